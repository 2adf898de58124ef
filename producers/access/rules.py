"""Rules of a Redis ACL for what a user does."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from signalbox.commands.script import Script


@dataclass(frozen=True)
class Use:
    """What one part of the code does on a server, or several parts together.

    `commands` are those that it sends directly, with `|` before a subcommand; the commands in
    `scripts` are added. Keys are patterns; written keys are read as well. Channels in `patterns`
    are subscribed to by exactly that pattern.
    """

    commands: str = ""
    scripts: tuple[Script, ...] = ()
    writes: Collection[str] = ()
    reads: Collection[str] = ()
    channels: Collection[str] = ()

    def __or__(self, other: Use) -> Use:
        return Use(
            f"{self.commands} {other.commands}",
            (*self.scripts, *other.scripts),
            {*self.writes, *other.writes},
            {*self.reads, *other.reads},
            {*self.channels, *other.channels},
        )

    @property
    def all_commands(self) -> frozenset[str]:
        within = (name for script in self.scripts for name in script.commands)
        return frozenset([*self.commands.split(), *within])

    def rules(self, *, with_reads: bool = True) -> list[str]:
        """Return the rules in the order in which a server applies them, without user and passwords.

        Redis before 7 has no keys that may only be read: without `with_reads`, the user's commands
        may then write them too.
        """
        read = "%R~" if with_reads else "~"
        return [
            "resetchannels",
            *("-@all", *(f"+{name}" for name in sorted(self.all_commands))),
            *(f"~{pattern}" for pattern in sorted(self.writes)),
            *(f"{read}{pattern}" for pattern in sorted(set(self.reads) - set(self.writes))),
            *(f"&{pattern}" for pattern in sorted(self.channels)),
        ]


@dataclass(frozen=True)
class Anything:
    """The use of an administrator: everything."""

    def rules(self, *, with_reads: bool = True) -> list[str]:  # noqa: ARG002 - as Use
        return ["~*", "&*", "+@all"]
