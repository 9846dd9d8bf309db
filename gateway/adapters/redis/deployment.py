"""Facts about the deployment, in a ledger of their own beside those of the calls' partitions.

Each is written once: whoever writes the same again, because a reply was lost or because every process of every host
loads the same configuration, finds what is there. `{64}:length` counts them, as a call's list counts its facts.
"""

import secrets
from dataclasses import dataclass

from gateway.adapters.redis.journal import RedisJournal
from gateway.core.codec import encode
from gateway.core.deployment import DEPLOYMENT, NAME, DeploymentFact, Loaded, LossAcknowledged
from gateway.ports import JournalUnavailable

NOTE = """
local there = redis.call('GET', KEYS[3])
if there then return there end
local time, position = redis.call('TIME'), redis.call('INCR', KEYS[2]) - 1
local at = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
local envelope = '{"at":' .. at .. ',"by":"' .. ARGV[1] .. '","fact":' .. ARGV[2] .. '}'
local from = string.format('%.0f', position)
local entry = redis.call('XADD', KEYS[1], '*', 'gateway', ARGV[3], 'from', from, 'facts', envelope)
if ARGV[4] == '' then
  redis.call('SET', KEYS[3], entry)
else
  redis.call('SET', KEYS[3], entry, 'PX', ARGV[4])
end
return entry
"""
"""Returns the entry. Never writes what was written under the same name before."""
TOKEN_MS = 3_600_000
"""How long a lost reply may be asked for again."""


@dataclass(frozen=True, slots=True)
class RedisDeployment:
    journal: RedisJournal

    async def note(self, fact: DeploymentFact) -> None:
        """Durable when it returns. A generation is noted once for ever. Raises JournalUnavailable.

        While records are missing nothing is noted but that a person knows.
        """
        if self.journal.loss and not isinstance(fact, LossAcknowledged):
            raise JournalUnavailable(self.journal.loss)
        token, p = secrets.token_hex(8), "{" + DEPLOYMENT + "}"
        once, lasts = (fact.generation, "") if isinstance(fact, Loaded) else (token, str(TOKEN_MS))
        named = (f"{p}:ledger", f"{p}:length", f"{p}:once:{once}")
        entry = await self.journal.ask("EVAL", NOTE, str(len(named)), *named, token, encode(fact), NAME, lasts)
        self.journal.remember(DEPLOYMENT, entry)
