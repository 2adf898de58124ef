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
    """The data in a server's folder.

    Every server reads an empty folder, or the file of Redis before 7.
    """

    in_folder: bool = False
    """True if the data are in `appendonlydir`."""
    of_valkey: bool = False
    """True if the format is Valkey's own."""
    version: int = 0
    """Version of the base file's format; 0 if that is a list of commands."""
    writer: str = _UNKNOWN
    """Name and version of the server that wrote the data."""

    def read_by(self, build: ServerBuild) -> bool:
        """Return whether servers of this product and version can read the data.

        The server may still refuse a newer version of the format.
        """
        if not self.in_folder:
            return True
        if build.valkey:
            return self.of_valkey or self.version <= _LAST_COMMON
        return not self.of_valkey and build.version >= (7,)


def data_in(folder: Path) -> ServerData:
    """Read what data a folder holds.

    Raises StateUnreadable if two servers have left data there, each its own.
    """
    manifest, old = _manifest(folder), folder / FILE
    last = _GUARD_READ.fullmatch(_head(old).decode(errors="replace"))
    if not manifest.is_file():
        if last is not None:
            # A server would take the guard for older data, and fail; without it, start empty.
            raise StateUnreadable(
                f"the data that {last[1]} had in {manifest.parent} are gone, or their manifest is",
                next_step=f"put {FOLDER} back, or remove {old} to begin without the routes, "
                "commands and audit trail that were in it",
            )
        return ServerData()
    base = _base(manifest)
    if base is not None and base.name == FILE and not base.exists():
        return (
            ServerData()
        )  # A newer server was stopped while it converted the file, and will continue.
    head = _head(base) if base is not None else b""
    form = re.match(rb"(REDIS|VALKEY)(\d+)\xfa", head)
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
    """Leave a file that makes a Redis before 7 refuse to start where it would not see the data.

    The file names the server that has the data open (`build`). Without `build`, while the server
    has yet to read the data, an existing name is kept.
    """
    old, text = folder / FILE, _GUARD.format(build or _UNKNOWN).encode()
    there = _head(old)
    if there and (build is None or not _GUARD_READ.fullmatch(there.decode(errors="replace"))):
        return  # Older data are there until the server has converted them.
    if there != text and _manifest(folder).is_file():
        written = old.with_suffix(".new")
        written.write_bytes(text)
        written.replace(old)


def unreadable(folder: Path, found: str, writer: str = _UNKNOWN) -> StateUnreadable:
    """Return the error for data that `found`, one or more servers, cannot read."""
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
    """Return the file that the manifest names as the base, None if there is none."""
    # A damaged one is for the server to refuse.
    for words in map(str.split, manifest.read_text(errors="replace").splitlines()):
        if words[0::2] == ["file", "seq", "type"] and words[5:] == ["b"]:
            return manifest.parent / words[1]
    return None


def _head(path: Path) -> bytes:
    """Return the file's first bytes; empty if it does not exist."""
    if not path.exists():
        return b""
    with path.open("rb") as file:
        return file.read(200)


def _writer(head: bytes) -> str:
    """Return the server that wrote a base file; unknown for one of Redis before 7."""
    said = re.search(rb"(redis|valkey)-ver[\x01-\x3f](\d+)([\d.]*)\xfa", head)
    if said is None or (said[1] == b"redis" and int(said[2]) < 7):
        return _UNKNOWN
    return f"{said[1].decode().title()} {said[2].decode()}{said[3].decode()}"
