"""One worker at a time does what needs doing once: a lock that its holder renews."""

from __future__ import annotations

from signalbox.commands.script import Script
from signalbox.commands.state import State

LEADER_MS = 4000
"""A leader that died is followed by another within this time and a turn."""

# Renewed by its holder, or taken when nobody holds it. One that would be held for longer than any
# renewal is from before Redis' clock was set back.
_LEAD = Script.of("""
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] and redis.call('PTTL', KEYS[1]) <= tonumber(ARGV[2]) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
""")


class Election:
    """A candidate for one task. Two may lead for a moment, when one was frozen."""

    def __init__(self, client: State, task: str, name: str) -> None:
        self._key = f"signalbox:{task}"
        self._name = name
        self._client = client

    def leads(self) -> bool:
        """Whether this one leads now. Raises StateUnavailable."""
        call = _LEAD.call([self._key], [self._name, LEADER_MS])
        return bool(self._client.run([call], [_LEAD])[0])
