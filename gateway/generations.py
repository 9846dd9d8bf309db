"""Loading a configuration as a whole, and swapping it as a whole.

A generation is immutable and named by its digest. A broken edit changes nothing: the old generation goes on serving,
and the mistakes are kept where /readyz and the log can show them. A drive takes `current` once and keeps it.
"""

import asyncio
import hashlib
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import watchfiles

from gateway import errors
from gateway.adapters.cedar import CedarPolicies
from gateway.adapters.cedar_grants import CedarGrants
from gateway.config.mistakes import Mistake, Mistakes
from gateway.config.policies import load_policies, mistakes_of_text
from gateway.config.policy_files import policy_files
from gateway.config.routes_file import load_routes
from gateway.config.schema import cedar_schema
from gateway.core.admit import REQUEST_NOT_KEPT, Admission, Edit, Inadmissible, asks_for, look, readmit
from gateway.core.approval import CannotEdit
from gateway.core.call import Call
from gateway.core.deployment import LoadedFile
from gateway.core.payload import not_kept, pack_request, unpack_request
from gateway.core.previews import Preview, asked_for
from gateway.core.routes import Routes
from gateway.served_files import ServedFiles
from gateway.wire.editing import differences, edited
from gateway.wire.index import Index
from gateway.wire.making import made

LOOK_MS = 2000
"""How often the files are looked at where nobody tells of a change."""
MOST_READINGS = 10
"""Of files that change while they are read."""
SETTLE_MS = 200
"""An editor or a deployment writes several files; looking after they settled avoids reporting half of an edit."""

NOT_A_READ = "the arguments of this call make no request of {tool}"
"""Why a preview cannot be made, without any argument."""

Signature = frozenset[tuple[str, int, int, int]]
"""Which files there are, and what tells one state of a file from another."""

log = logging.getLogger("gateway.generations")


@dataclass(frozen=True, slots=True)
class LoadedGeneration:
    """One valid set of routes, schema and policies, with everything compiled from them."""

    digest: str
    routes: Routes
    policies: CedarPolicies
    index: Index
    granting: CedarGrants
    files: tuple[LoadedFile, ...] = ()
    """What it was made of."""

    def readmit(self, call: Call, payload: Mapping[str, bytes]) -> Admission:
        """`call` as it would be admitted today. Raises Inadmissible."""
        data, salt = payload.get("request"), payload.get("salt")
        if not data or salt is None:
            raise Inadmissible(REQUEST_NOT_KEPT, not_kept(payload))
        request = unpack_request(data)
        system = self.routes.systems.get(request.system)
        if system is None or call.agent not in self.routes.agents:
            raise Inadmissible("unknown-tool", f"{call.tool} or {call.agent} is no longer declared.")
        try:
            tool, variables = self.index.match(system.name, request.method, request.target.partition("?")[0])
            if tool.name != call.tool:
                raise Inadmissible("unknown-tool", f"This request is no longer {call.tool}: routes.yaml has changed.")
            arguments = self.index.reader(tool).read(request, variables)
        except errors.GatewayError as error:
            raise Inadmissible(error.slug, error.detail) from error
        return readmit(call, system, tool, request, arguments, salt=salt)

    def edit(self, before: Admission, payload: Mapping[str, bytes], changes: Mapping[str, object]) -> Edit:
        """The same call with other arguments, read again as any request is. Raises CannotEdit."""
        request = pack_request(edited(before, changes))
        try:
            after = self.readmit(before.call, {**payload, "request": request})
        except Inadmissible as no:
            wrong = no.__cause__
            raise CannotEdit(wrong.clause if isinstance(wrong, errors.InvalidArguments) else no.reason) from no
        return Edit(admission=after, request=request, changed=differences(before, after, changes))

    def preview(self, held: Admission, preview: Preview, *, call_id: str, salt: bytes) -> Admission:
        """See ports.Generation. It is read back as if an agent had sent it, so nothing else than that is sent."""
        agent, tool = self.routes.agents.get(held.call.agent), self.routes.tool(preview.tool)
        if agent is None or tool is None:
            raise Inadmissible("unknown-tool", f"{preview.tool} or {held.call.agent} is no longer declared.")
        try:
            request = made(tool, asked_for(preview, {**held.extra, **held.question.input}))
            found, variables = self.index.match(tool.system, request.method, request.target.partition("?")[0])
            arguments = self.index.reader(tool).read(request, variables) if found is tool else None
        except errors.GatewayError as error:
            raise Inadmissible(error.slug, NOT_A_READ.format(tool=tool.name)) from error
        if arguments is None:
            raise Inadmissible("unknown-tool", NOT_A_READ.format(tool=tool.name))
        asker = asks_for(held.call, agent)
        return look(asker, held.system, tool, request, arguments, call_id=call_id, salt=salt)


def load(routes_path: Path, policies_path: Path, environ: Mapping[str, str]) -> LoadedGeneration:
    """The configuration in these files. Raises Mistakes with everything that is wrong."""
    routes, found = load_routes(routes_path, environ)
    if routes is None:
        raise Mistakes(found + mistakes_of_text(policies_path))
    loaded, more = load_policies(policies_path, routes)
    if loaded is None or found or more:
        raise Mistakes(found + more)
    parts = "\n".join((routes.digest, loaded.digest, cedar_schema(routes)))
    digest = hashlib.sha256(parts.encode()).hexdigest()
    return LoadedGeneration(
        digest, routes, CedarPolicies(loaded, routes), Index.of(routes), CedarGrants(routes),
        _files(routes_path, policies_path),
    )  # fmt: skip


def _files(routes_path: Path, policies_path: Path) -> tuple[LoadedFile, ...]:
    """Which files those are, for whoever looks them up in a repository; `load_settled` sees that they do not change."""
    found = {}
    for path in sorted(routes_path.glob("*.yaml")) if routes_path.is_dir() else [routes_path]:
        found[path] = routes_path.parent
    for path in policy_files(policies_path).files if policies_path.is_dir() else [policies_path]:
        found[path] = policies_path.parent
    try:
        digests = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}
    except OSError as error:
        raise Mistakes([Mistake(str(error.filename), 0, "it went away while it was read")]) from error
    return tuple(LoadedFile(name=str(path.relative_to(found[path])), sha256=digests[path]) for path in found)


def signature(routes_path: Path, policies_path: Path) -> Signature:
    """What is there now."""
    found = set()
    policies = policy_files(policies_path) if policies_path.is_dir() else None
    for mistake in policies.mistakes if policies else ():
        found.add((str(mistake), 0, 0, 0))
    for file in [
        *(routes_path.glob("*.yaml") if routes_path.is_dir() else [routes_path]),
        *(policies.files if policies else [policies_path]),
    ]:
        try:
            state = file.stat()
        except OSError:
            continue
        found.add((str(file.resolve()), state.st_mtime_ns, state.st_size, state.st_ino))
    return frozenset(found)


def load_settled(routes_path: Path, policies_path: Path) -> tuple[LoadedGeneration | Mistakes, Signature]:
    """What the files say, or what is wrong with them, and the state of the files that this is true of.

    Files that change while they are read are read again, so that routes of one release never meet policies of another.
    """
    loaded: LoadedGeneration | Mistakes
    after = signature(routes_path, policies_path)
    for _ in range(MOST_READINGS):
        before = after
        try:
            loaded = load(routes_path, policies_path, os.environ)
        except Mistakes as mistakes:
            loaded = mistakes
        after = signature(routes_path, policies_path)
        if after == before:
            return loaded, after
    found = Mistake(str(policies_path), 0, "the configuration kept changing while it was read: let it settle")
    return Mistakes([found]), after


@dataclass(slots=True)
class Generations:
    """What serves now, and why a newer one does not."""

    routes_path: Path
    policies_path: Path
    current: LoadedGeneration
    known: Signature = frozenset()
    """Of the files, when they were last loaded."""
    mistakes: list[str] = field(default_factory=list)
    """Of the last attempt to load; empty if what serves is what the files say."""
    record: Callable[[LoadedGeneration], Awaitable[None]] | None = None
    """Writes down what is about to serve, so that every verdict names what is known. Never raises."""
    tells: bool = True
    """Mistakes go into the log as an error; of several processes with the same files one is enough."""
    _loading: asyncio.Lock = field(default_factory=asyncio.Lock)

    served: ServedFiles | None = None
    """Where a copy of what serves is kept, for a process that starts while an edit is broken."""

    @classmethod
    def open(
        cls, routes_path: Path, policies_path: Path, *, tells: bool = True, served: ServedFiles | None = None
    ) -> "Generations":
        """What the files say; while they are broken, what served before in this run. Raises Mistakes."""
        loaded, known = load_settled(routes_path, policies_path)
        if isinstance(loaded, LoadedGeneration):
            opened = cls(routes_path, policies_path, loaded, known, tells=tells, served=served)
            opened._keep(loaded)
            return opened
        before = served.found() if served is not None else None
        if before is None:
            raise loaded
        copy = load(before / routes_path.name, before / policies_path.name, os.environ)
        told = [str(mistake) for mistake in loaded.found]
        log.error("the edit is not used, generation %s serves on from its copy:\n%s", copy.digest[:12], loaded)
        return cls(routes_path, policies_path, copy, known, mistakes=told, tells=tells, served=served)

    def _keep(self, loaded: LoadedGeneration) -> None:
        if self.served is None:
            return
        try:
            self.served.keep(loaded.digest, loaded.files, self.routes_path.parent, self.policies_path.parent)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            log.warning("no copy of the configuration could be kept (%s): a process that dies while an edit is broken "
                        "cannot start again before that is repaired", why)  # fmt: skip

    def serving(self) -> LoadedGeneration:
        return self.current

    def origin(self, generation: str, system: str) -> str:
        """Where that system was under that generation, or empty if it is no longer known."""
        found = self.current.routes.systems.get(system)
        return found.origin if found is not None and generation == self.current.digest else ""

    async def reload(self) -> None:
        """Take what the files say now, all of it or nothing. One at a time: an older state must never win."""
        async with self._loading:
            loaded, self.known = await asyncio.to_thread(load_settled, self.routes_path, self.policies_path)
            await self._take(loaded)

    async def _take(self, loaded: LoadedGeneration | Mistakes) -> None:
        if isinstance(loaded, Mistakes):
            self.mistakes = [str(mistake) for mistake in loaded.found]
            level = logging.ERROR if self.tells else logging.DEBUG
            log.log(level, "the edit is not used, the old configuration keeps serving:\n%s", loaded)
            return
        undone = bool(self.mistakes) and loaded.digest == self.current.digest
        self.mistakes = []
        if undone and self.tells:
            log.info("the edit was undone: the files are again what serves, generation %s", loaded.digest[:12])
        if loaded.digest != self.current.digest:
            if self.record is not None:
                await self.record(loaded)
            self.current = loaded
            await asyncio.to_thread(self._keep, loaded)
            log.info("generation %s serves now", loaded.digest[:12])

    async def watch(self) -> None:
        """Reload whenever what the paths lead to has changed, however it came to.

        Changes are noticed at once where the system tells of them, and by looking every LOOK_MS where it does not:
        a link swapped higher up, a network file system. What is compared is what is there, not what was reported.
        """
        while True:
            places = self._places()
            changes = watchfiles.awatch(
                *places, recursive=False, step=SETTLE_MS, rust_timeout=LOOK_MS, yield_on_timeout=True,
                ignore_permission_denied=True,
            )  # fmt: skip
            try:
                await self._follow(changes, places)
            except (OSError, RuntimeError) as error:  # a directory went away while it was looked at
                log.warning("watching the configuration: %s", error)
                await asyncio.sleep(LOOK_MS / 1000)

    async def _follow(self, changes: AsyncIterator[object], places: set[Path]) -> None:
        """Reload at every change, until other directories matter than those that are watched."""
        await self._look()
        async for _ in changes:
            await self._look()
            if self._places() != places:
                return

    async def _look(self) -> None:
        found = await asyncio.to_thread(signature, self.routes_path, self.policies_path)
        if found != self.known:
            await self.reload()

    def _places(self) -> set[Path]:
        """The directories whose entries matter, as they are now."""
        paths = [path for path in (self.routes_path, self.policies_path) if path.exists()]
        below = policy_files(self.policies_path).directories if self.policies_path.is_dir() else ()
        inside = [path.resolve() for path in paths if path.is_dir()]
        return {path.absolute().parent for path in paths} | {*inside, *below} or {Path.cwd()}
