"""Sealing: what was journalled goes into the Merkle logs, in order, once, and is signed.

One round, over all partitions that have news (the order is the whole safety of it):

    1  read what follows the sealed entry in the stream of Redis
    2  write bundles and tiles, durably, here and in the store
    3  compare and set `{p}:sealed` in Redis: from now on this is the one tree of its size
    4  sign it and write the checkpoint, durably, in the store and then here
    5  remove the partial tiles that nobody needs any more

A crash anywhere leaves what the next round repairs by working as always: `Finder` looks where each log stands, what was
set but not signed is signed, what was written but not set is written again. There is no recovery beside that. One
partition a round is looked at anew even if nothing failed, so damage is noticed within a minute.

After any failure the state is not known; it is forgotten and read again. Nothing here may sign what Redis did not
accept, and nothing here may ever change a leaf.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.core.deployment import LOGS
from gateway.core.sealed import BEGINNING, Sealed
from gateway.ledger.anchored import Anchored, AnchorFiles
from gateway.ledger.copying import files_between
from gateway.ledger.files import LogFiles
from gateway.ledger.growing import Tip, grow
from gateway.ledger.note import Signer, sign_checkpoint
from gateway.ledger.restoring import restore
from gateway.ledger.seals import Change, Seals
from gateway.ledger.seams import last_of, seam_of
from gateway.ledger.standing import RawEntry, standing
from gateway.ledger.store import Store, StoreUnavailable
from gateway.ledger.tiles import CHECKPOINT
from gateway.ledger.unsealable import Lost, NotHere, Unsealable, unavailable, unwritable
from gateway.ledger.witnesses import Finder, Found, Known, known_of
from gateway.ledger.writing import LedgerDirectory, Swept

LEASE_MS = 10_000
"""How long one host seals alone; after that another may take over, and a successor on the same host at any time."""
MOST_ENTRIES = 8192
"""In one round: some 14,000 facts, 7 MB. If there are more, the next one begins at once."""
PATIENCE_MS = 500
"""What is left of the lease at least when something is made visible that only its holder may."""


class LeaseLost(Exception):
    """Somebody else seals, or may by now: nothing is wrong, but this round is over."""


@dataclass(frozen=True, slots=True)
class Log:
    """A log that this steward may append to."""

    tip: Tip
    text: bytes
    """`{p}:sealed` in Redis."""
    entry: str
    """The sealed one; what follows waits."""


@dataclass(slots=True)
class Sealer:
    seals: Seals
    directory: LedgerDirectory
    signer: Signer
    """Of the whole ledger; each log is signed under its own name."""
    holder: str
    """`<place> <chance>`: the place is this host and its directory, the chance this process."""
    who: str
    """The host and the directory, for people."""
    store: Store | None = None
    anchors: AnchorFiles = field(default_factory=AnchorFiles)
    clock: Callable[[], float] = time.monotonic
    problem: str = ""
    """Why nothing is sealed, in sentences; empty while it is, here or elsewhere."""
    hard: bool = False
    """Effects must stop now. Otherwise it may pass by itself, and only its lasting is wrong."""
    behind: bool = False
    """There is more to seal than one round could."""
    _lease: int = 0
    _until: float = 0.0
    _logs: dict[str, Log] = field(default_factory=dict)
    _again: int = 0

    @property
    def holds(self) -> bool:
        """Whether this steward is the one that seals, and can."""
        return bool(self._logs)

    async def round(self) -> int:
        """Seal what waits, if this steward is the one; how many entries that were.

        What is wrong is said in `problem`. Raises only what Redis raises.
        """
        try:
            sealed = await self._round()
        except (LeaseLost, Swept):
            self._forget()
            return 0
        except Unsealable as error:
            self._forget()
            self.problem, self.hard = str(error), error.hard
            await self._leave(error)
            return 0
        except BaseException:
            self._forget()
            raise
        self.problem, self.hard = "", False
        return sealed

    async def _round(self) -> int:
        try:
            await self._hold()
            return await self._seal_waiting() if self._logs else 0
        except OSError as error:
            raise unwritable(self.directory.path, error) from error
        except StoreUnavailable as error:
            raise unavailable(error) from error

    def doubt(self, problem: str) -> None:
        """Something that nobody foresaw happened in a round: say so, and read everything anew."""
        self._forget()
        self.problem, self.hard = problem, False

    def _forget(self) -> None:
        self._logs.clear()
        self.directory.doubt()
        self.behind = False

    async def _leave(self, error: Unsealable) -> None:
        """Let a host try that may have what this one lacks, unless it is Redis that lacks something."""
        if isinstance(error, Lost):
            await self.seals.report_loss(str(error), error.written)
        if self._lease:
            self._lease = 0
            await self.seals.release(self.holder)

    # --- Where the logs stand --------------------------------------------------------------------------------

    async def _hold(self) -> None:
        """Have the lease, and know every log. Without it: know none."""
        if not self._logs and not await self.seals.free(self.holder):
            return  # another host seals
        if await self.anchors.look(self.signer.verifier, anew=not self._logs):
            self._logs.clear()  # all of them are held against that
        missing = tuple(name for name in LOGS if name not in self._logs)
        found = await self._find(missing) if missing else {}
        if missing == LOGS or self.clock() > self._until - LEASE_MS / 2000:
            await self._take(found, anew=missing == LOGS)
        if missing:
            await self._settle(found)

    async def _take(self, found: Mapping[str, Found], *, anew: bool) -> None:
        """Have the lease for another while, with a number that nobody's is above. Raises LeaseLost."""
        began = self.clock()
        above = max((log.known.sealed.lease for log in found.values() if log.known.sealed), default=0)
        lease = await self.seals.take(self.holder, LEASE_MS, above)
        if not lease or (lease != self._lease and not anew):  # somebody was in between: what is remembered is of before
            raise LeaseLost
        if lease != self._lease:
            await asyncio.to_thread(self.directory.sweep)
        self._lease, self._until = lease, began + LEASE_MS / 1000

    async def _find(self, partitions: tuple[str, ...]) -> dict[str, Found]:
        anchored: Mapping[str, Sequence[Anchored]] = {}
        if partitions == LOGS and self.anchors.found:
            anchored = self.anchors.besides(await self.seals.abandoned())
        acknowledged = await self.seals.acknowledged()
        known = known_of(await self.seals.states(partitions))
        sealer, verifier = await self.seals.sealer(), self.signer.verifier
        finder = Finder(self.directory, verifier, self.store, sealer, acknowledged, anchored)
        found = {name: await self._found(finder, name, item) for name, item in known.items()}
        if given_up := [note.text for log in found.values() for note in log.abandoned]:
            await self.seals.abandon(given_up)
        return found

    async def _found(self, finder: Finder, name: str, known: Known) -> Found:
        """What looks wrong is so only if Redis still says the same: somebody else may seal meanwhile."""
        try:
            return await self._sought(finder, name, known)
        except Unsealable:
            if (await self.seals.states((name,)))[name][0] != known.text:
                raise LeaseLost from None
            raise

    async def _sought(self, finder: Finder, name: str, known: Known) -> Found:
        try:
            return await asyncio.to_thread(finder.find, name, known)
        except NotHere as missing:
            if finder.sealer != self.who:  # another host has it
                raise
            await restore(self.seals, self.directory, missing, self.signer.verifier)
            return await asyncio.to_thread(finder.find, name, known)

    async def _settle(self, found: Mapping[str, Found]) -> None:
        """Make what is known of these logs true everywhere: in Redis for a new holder, in the store, in checkpoints."""
        changes: dict[str, Change] = {}
        logs: dict[str, Log] = {}
        for name, it in found.items():
            entry, change = it.known.sealed.entry if it.known.sealed else BEGINNING, Change(it.known.text, b"")
            if it.adopt:
                log = LogFiles(self.directory.path / name, it.tip.size)
                last, seam = await asyncio.to_thread(last_of, log), await seam_of(self.seals, name, log)
                entry, change = seam.entry, change._replace(end=last, seam=seam.text)
            text = Sealed(self._lease, it.tip.size, it.tip.root, entry).text  # also of an empty log: it has our number
            logs[name] = Log(it.tip, text, entry)
            if it.adopt or text != it.known.text:
                changes[name] = change._replace(after=text)
        if await self.seals.seal(changes, self._lease):
            raise LeaseLost
        unsigned = [name for name, it in found.items() if it.signed < it.tip.size]
        await asyncio.to_thread(self._complete, found, unsigned)
        self._logs |= logs
        if len(found) == len(LOGS):
            await self.seals.say_sealer(self.who)

    def _complete(self, found: Mapping[str, Found], unsigned: Collection[str]) -> None:
        if self.store is not None:
            for name, it in (behind := {name: it for name, it in found.items() if it.stored < it.tip.size}).items():
                for path, data in files_between(self.directory, name, it.stored, it.tip.size):
                    self.store.put(f"{name}/{path}", data)
            unsigned = list({*unsigned, *behind})
        self._sign({name: found[name].tip for name in unsigned})

    # --- A round ---------------------------------------------------------------------------------------------

    async def _seal_waiting(self) -> int:
        found, everything = await self.seals.waiting(
            {name: log.entry for name, log in self._logs.items()}, MOST_ENTRIES
        )
        self.behind = not everything
        if found:
            before = {name: self._logs[name] for name in found}
            tips = await asyncio.to_thread(self._write, found)
            after = {name: self._log(tips[name], entries[-1][0].decode()) for name, entries in found.items()}
            changes = {name: Change(before[name].text, log.text) for name, log in after.items()}
            self._in_time()
            if await self.seals.seal(changes, self._lease):
                raise LeaseLost
            await asyncio.to_thread(self._publish, before, after)
            self._logs |= after
        self._look_again()
        return sum(map(len, found.values()))

    def _log(self, tip: Tip, entry: str) -> Log:
        return Log(tip, Sealed(self._lease, tip.size, tip.root, entry).text, entry)

    def _look_again(self) -> None:
        """The next round reads one log anew, as at a start."""
        self._again = (self._again + 1) % len(LOGS)
        self._logs.pop(LOGS[self._again], None)

    def _in_time(self) -> None:
        """A process that slept too long must not show what another may have gone beyond. Raises LeaseLost."""
        if self.clock() > self._until - PATIENCE_MS / 1000:
            raise LeaseLost

    def _write(self, found: Mapping[str, list[RawEntry]]) -> dict[str, Tip]:
        """Bundles, tiles and long leaves of what was found, here and in the store."""
        tips, files = {}, dict[str, bytes]()
        for name, entries in found.items():
            leaves: list[bytes] = []
            for entry in entries:
                some, long = standing(name, entry)
                leaves += some
                for path, leaf in long.items():
                    files[f"{name}/{path}"] = leaf
            grown = grow(self._logs[name].tip, leaves)
            tips[name] = grown.tip
            files.update((f"{name}/{path}", data) for path, data in grown.files.items())
        self._in_time()
        self.directory.put(files, self._in_time)
        self._store(files)
        return tips

    def _publish(self, before: Mapping[str, Log], after: Mapping[str, Log]) -> None:
        """Checkpoints of what Redis accepted; then nobody needs the partial tiles of before."""
        self._sign({name: log.tip for name, log in after.items()})
        superseded = {f"{name}/{path}" for name, log in before.items() for path in log.tip.partial}
        kept = {f"{name}/{path}" for name, log in after.items() for path in log.tip.partial}
        self.directory.tidy(superseded - kept, kept)
        if self.store is not None:
            self.directory.in_parallel(self.store.delete, superseded - kept)

    def _sign(self, tips: Mapping[str, Tip]) -> None:
        notes = {
            f"{name}/{CHECKPOINT}": sign_checkpoint(self.signer.of(name), tip.size, tip.root).encode()
            for name, tip in tips.items()
        }
        self._in_time()
        self._store(notes)  # first: who takes over must know what was signed, even from a Redis that forgot it
        self.directory.put(notes, self._in_time)

    def _store(self, files: Mapping[str, bytes]) -> None:
        if self.store is not None:
            put = self.store.put
            self.directory.in_parallel(lambda name: put(name, files[name]), files)
