"""What a server left in its folder, and which servers read that.

Until Redis 7 the append-only file is `appendonly.aof`; since then, and in Valkey, it is a folder,
`appendonlydir`, whose manifest names a base and what came after. A newer server takes the file of
an older one into its folder. An older server **does not look into the folder: it starts empty**,
without a word. That is why we look before a server is started, and why `guard` leaves a file where
an older server, also one that a former release of Signalbox starts, would begin anew.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from signalbox.commands.error import StateUnreadable
from signalbox.producers.embedded.server_build import ServerBuild

FILE, FOLDER = "appendonly.aof", "appendonlydir"
_GUARD = "signalbox: the data are in appendonlydir, of {}; a Redis before 7 does not read them.\n"
_UNKNOWN = "Valkey, or Redis 7 or later"
_GUARD_READ = re.compile(_GUARD.replace("{}", f"([A-Za-z]+ [0-9.]+|{_UNKNOWN})"))
_LAST_COMMON = 11
"""The form of Redis 7.2, from which Valkey comes. Later forms of each the other refuses."""


@dataclass(frozen=True)
class ServerData:
    """What lies in the folder. Nothing, or the file of before Redis 7, is for every server."""

    in_folder: bool = False
    of_valkey: bool = False
    """In a form that only Valkey has."""
    version: int = 0
    """Of the form of the base; 0 where that is a list of commands."""
    writer: str = _UNKNOWN

    def read_by(self, build: ServerBuild) -> bool:
        """Whether it is of a kind that reads them; it may still say that it is too old."""
        if not self.in_folder:
            return True
        if build.valkey:
            return self.of_valkey or self.version <= _LAST_COMMON
        return not self.of_valkey and build.version >= (7,)


def data_in(folder: Path) -> ServerData:
    """Look at the data. Raises StateUnreadable where two servers have left some, each its own."""
    manifest = _manifest(folder)
    if not manifest.is_file():
        return ServerData()
    base, old = _base(manifest), folder / FILE
    if base is not None and base.name == FILE and not base.exists():
        return ServerData()  # a newer server was ended while it took the file over, and goes on
    head = _head(base) if base is not None else b""
    form = re.match(rb"(REDIS|VALKEY)(\d+)\xfa", head)
    last = _GUARD_READ.fullmatch(_head(old).decode(errors="replace"))
    if last is None and _head(old):
        raise StateUnreadable(
            f"{folder} holds the data of two servers: in {FOLDER}, and in {FILE} those of a Redis "
            "before 7",
            next_step="an older Redis was started there, and began anew: move what you do not need "
            "elsewhere, and start again",
        )
    return ServerData(
        in_folder=True,
        of_valkey=form is not None and form[1] == b"VALKEY",
        version=int(form[2]) if form else 0,
        writer=last[1] if last and last[1] != _UNKNOWN else _writer(head),
    )


def guard(folder: Path, build: ServerBuild | None = None) -> None:
    """Have a Redis before 7 refuse to start where data lie that it does not see; name the server
    that has them open. Without one, which is while it has yet to read them, a name that is there
    stays."""
    old, text = folder / FILE, _GUARD.format(build or _UNKNOWN).encode()
    there = _head(old)
    if there and (build is None or not _GUARD_READ.fullmatch(there.decode(errors="replace"))):
        return  # data of before are there until the server has taken them over
    if there != text and _manifest(folder).is_file():
        written = old.with_suffix(".new")
        written.write_bytes(text)
        written.replace(old)


def unreadable(folder: Path, found: str, writer: str = _UNKNOWN) -> StateUnreadable:
    """For data that `found`, one or more servers, cannot read."""
    return StateUnreadable(
        f"the data in {folder} were written by {writer}; {found} cannot read them",
        next_step="install the server that wrote them, or a later one of its kind (valkey-server "
        "or redis-server, on PATH), or start it there yourself and set SIGNALBOX_STATE_URL and "
        "SIGNALBOX_BROKER_URL to it; to begin without the routes, commands and audit trail that "
        "are in it, move the folder elsewhere",
    )


def _manifest(folder: Path) -> Path:
    return folder / FOLDER / f"{FILE}.manifest"


def _base(manifest: Path) -> Path | None:
    """The file that the manifest names as the base, if it names one."""
    for words in map(str.split, manifest.read_text().splitlines()):
        if words[0::2] == ["file", "seq", "type"] and words[5] == "b":
            return manifest.parent / words[1]
    return None


def _head(path: Path) -> bytes:
    """Its first bytes; none where there is no such file."""
    if not path.exists():
        return b""
    with path.open("rb") as file:
        return file.read(200)


def _writer(head: bytes) -> str:
    """Who wrote a base; one of before Redis 7 tells nothing of who took it over."""
    said = re.search(rb"(redis|valkey)-ver[\x01-\x3f](\d+)([\d.]*)\xfa", head)
    if said is None or (said[1] == b"redis" and int(said[2]) < 7):
        return _UNKNOWN
    return f"{said[1].decode().title()} {said[2].decode()}{said[3].decode()}"
