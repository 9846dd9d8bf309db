"""The control plane as a person's command line reaches it: requests with the person's token, refusals as sentences.

It has no rights of its own: what a person may do is decided at the other end, by the same checks as for everybody. It
must never follow a redirect or ask a proxy of the environment, because either would see the token.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

DEFAULT_URL = "http://127.0.0.1:8081"
TIMEOUT_SECONDS = 30.0


class NotPossible(Exception):
    """A sentence about why the control plane cannot be asked, or gave no answer."""


class Refused(Exception):
    """The control plane's own sentence about why it did not do what was asked."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind
        """The slug of the error, such as `approval-stale`."""


@dataclass(frozen=True, slots=True)
class ControlPlane:
    url: str
    """Scheme and host, perhaps a port."""
    token: str
    ca_file: str = ""
    """PEM file of certificate authorities beside the built-in ones; empty: none."""

    @classmethod
    def at(cls, url: str, environ: Mapping[str, str]) -> "ControlPlane":
        """With the token and the authorities that the environment names. Raises NotPossible."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
            raise NotPossible(
                f"{url!r} is not the address of a control plane: give one such as {DEFAULT_URL} by --url or in "
                "GATEWAY_CONTROL_URL."
            )
        token = environ.get("GATEWAY_TOKEN", "").strip()
        if not token:
            raise NotPossible(
                "GATEWAY_TOKEN is not set: put your person's token there. An operator makes one by `gateway key new "
                "person NAME`; it begins with gp_."
            )
        return cls(url.rstrip("/"), token, environ.get("GATEWAY_CA_FILE", ""))

    def get(self, path: str, **query: str | int) -> dict[str, Any]:
        """The JSON object at `path`. Raises NotPossible or Refused."""
        return self._ask("GET", path, params=query)

    def post(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """What is answered to `body`. Raises NotPossible or Refused; after the former it may have been recorded."""
        return self._ask("POST", path, json=dict(body))

    def delete(self, path: str) -> dict[str, Any]:
        """What is answered to taking away what is at `path`. Raises as `post`."""
        return self._ask("DELETE", path)

    def _ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        try:
            with httpx.Client(
                base_url=self.url, timeout=TIMEOUT_SECONDS, trust_env=False, verify=self._authorities(),
                headers={"authorization": f"Bearer {self.token}"},
            ) as client:  # fmt: skip
                answer = client.request(method, path, **more)
            told = answer.json()
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            raise NotPossible(
                f"The control plane at {self.url} does not answer ({why}): is the gateway running, and is this its "
                "control address (--url or GATEWAY_CONTROL_URL)?"
            ) from error
        except (OSError, UnicodeError) as error:
            raise NotPossible(f"The control plane at {self.url} cannot be asked: {error}.") from error
        except ValueError as error:
            raise NotPossible(f"What answers at {self.url} is not a gateway's control plane.") from error
        if not isinstance(told, dict):
            raise NotPossible(f"What answers at {self.url} is not a gateway's control plane.")
        if answer.status_code >= 400 or answer.is_redirect:
            kind = str(told.get("type", "")).removeprefix("urn:gateway:")
            raise Refused(kind, str(told.get("detail") or f"The control plane answered {answer.status_code}."))
        return told

    def _authorities(self) -> ssl.SSLContext | bool:
        if not self.ca_file:
            return True
        context = ssl.create_default_context()
        context.load_verify_locations(Path(self.ca_file))
        return context
