"""Leader election: a lock in the state Redis, which its holder renews."""

from __future__ import annotations

from signalbox.commands.script import Script
from signalbox.commands.state import State

LEADER_MS = 4000
"""How long the lock lasts without renewal, in milliseconds."""

# Renewed by its holder, or taken when nobody holds it. A lock that would last longer than any
# renewal allows was written before Redis' clock was set back. Asked several times a second, it is
# written only when half of it is over: every write waits for the disk.
_LEAD = Script.of("""
local holder, left = redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])
local most = tonumber(ARGV[2])
if holder and left <= most and (holder ~= ARGV[1] or left > most / 2) then
  return holder == ARGV[1] and 1 or 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
""")


class Election:
    """A candidate for the leadership of one task.

    Two may lead for a moment after one was suspended.
    """

    def __init__(self, client: State, task: str, name: str) -> None:
        self._key = f"signalbox:{task}"
        self._name = name
        self._client = client

    def leads(self) -> bool:
        """Take or renew the leadership; return whether this candidate has it.

        Raises StateUnavailable.
        """
        call = _LEAD.call([self._key], [self._name, LEADER_MS])
        return bool(self._client.run([call], [_LEAD])[0])
