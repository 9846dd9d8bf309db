# Two stages, one Python. The RUN lines are those of `make .venv` (.ci/run checks that they still are),
# so the tests and the demo run them too. The container has no make and needs none.

FROM python:3.12-slim AS build
WORKDIR /app
COPY pyproject.toml requirements.lock ./
RUN python3 -m venv .venv
RUN .venv/bin/python -m pip -qq --disable-pip-version-check --no-input install --require-hashes --only-binary :all: --no-binary localstripe -r requirements.lock
COPY . .
RUN .venv/bin/python -m pip -qq --disable-pip-version-check --no-input install --no-deps --no-build-isolation -e .

FROM python:3.12-slim
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# Root owns the program, so the gateway cannot change it; 10001 owns the data only.
COPY --from=build /app /app
USER 10001:10001
WORKDIR /data
VOLUME /data
WORKDIR /app
# agents, and the control plane: publish the second to approvers and operators only. Both must listen on 0.0.0.0 here
# (routes.yaml, `listen`): the default is loopback, which nothing outside the container reaches.
EXPOSE 8080 8081
# Plain, or over TLS (`listen: {tls: ...}`), whose certificate names another host than loopback. docs/operations.md, `Container`.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import ssl, urllib.request as r\ntry:\n    r.urlopen('http://127.0.0.1:8081/livez', timeout=2)\nexcept Exception:\n    r.urlopen('https://127.0.0.1:8081/livez', timeout=2, context=ssl._create_unverified_context())"]
# A directory of its own below the volume: the gateway makes it, private, whoever owns the volume's root.
CMD ["gateway", "serve", "--routes", "/app/routes.yaml", "--policies", "/app/policies", "--data", "/data/gateway"]
