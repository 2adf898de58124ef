"""The user's contexts, in a file: each names servers, and a default tenant and env.

Only the command line reads them. Workers, the gateway and programs use environment variables, so a
choice in one person's shell affects no service. Completion imports this module, so it must not
import anything slow.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

DEFAULT = "default"
"""Name for no context: then variables apply, or else a stack that runs here, or else the defaults.
"""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


@dataclass(frozen=True)
class Context:
    """A context. None stands for a value that it does not set."""

    state_url: str | None = None
    """Address of the state Redis, without a password."""
    state_password_file: str | None = None
    """File with the password of the state Redis."""
    broker_url: str | None = None
    """Address of the broker, without a password."""
    broker_password_file: str | None = None
    """File with the password of the broker."""
    payload_dir: str | None = None
    """Directory that producers and workers share for large content."""
    tenant: str | None = None
    """Tenant of a command without `-t`."""
    env: str | None = None
    """Environment of a command without `-e`."""
    mode: str | None = None
    """Mode of a command without `-m`."""

    def document(self) -> dict[str, str]:
        """The values that are set, as JSON data."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass
class Contexts:
    """All contexts of a user, and the one in use."""

    current: str = DEFAULT
    by_name: dict[str, Context] = field(default_factory=dict)

    def find(self, name: str) -> Context:
        """Return a context by name; the default one sets nothing. Raises NotFound."""
        if name == DEFAULT:
            return Context()
        if name not in self.by_name:
            from signalbox.commands.error import NotFound

            raise NotFound(
                f"there is no context {name!r} in {contexts_file()}",
                next_step="see: signalbox context list",
            )
        return self.by_name[name]


def contexts_file() -> Path:
    """Return the file's path by the XDG Base Directory Specification; relative paths in it are
    ignored."""
    given = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    folder = given if given.is_absolute() else Path.home() / ".config"
    return folder / "signalbox" / "contexts.json"


def check_name(name: str) -> str:
    """Check the name of a context. Raises InvalidCommand."""
    if name == DEFAULT or not _NAME.fullmatch(name):
        from signalbox.commands.error import InvalidCommand

        raise InvalidCommand(
            f"{name!r} is no name for a context",
            next_step=f"letters, digits and . _ - are; {DEFAULT!r} stands for none",
        )
    return name


def load_contexts() -> Contexts:
    """Read the user's file; without a file there are no contexts. Raises InvalidSetting and
    OSError."""
    path = contexts_file()
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return Contexts()
    try:
        return _read(json.loads(content))
    except (ValueError, TypeError, AttributeError) as error:
        from signalbox.commands.error import InvalidSetting

        raise InvalidSetting(
            f"{path} holds no contexts: {error}",
            next_step="mend it, or remove it and make the contexts anew with "
            "`signalbox context set`",
        ) from None


@contextmanager
def changed_contexts() -> Iterator[Contexts]:
    """Yield the contexts, and write them with all changes at the end; one change at a time."""
    # Followed if it is a link, as with configuration that is kept elsewhere.
    path = Path(os.path.realpath(contexts_file()))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600), "r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        contexts = load_contexts()
        yield contexts
        document = {
            "current": contexts.current,
            "contexts": {name: each.document() for name, each in contexts.by_name.items()},
        }
        written = path.with_suffix(".new")
        written.unlink(missing_ok=True)
        with open(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(document, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        written.replace(path)


def complete_context(incomplete: str) -> list[str]:
    """Return names for completion; none if the file cannot be read."""
    with suppress(Exception):
        names = [*load_contexts().by_name, DEFAULT]
        return sorted(name for name in names if name.startswith(incomplete))
    return []


def _read(document: Any) -> Contexts:
    known = {each.name for each in fields(Context)}
    by_name = {}
    for name, values in document.get("contexts", {}).items():
        if strange := values.keys() - known:
            raise ValueError(f"{name} has no field {min(strange)!r}")
        if not all(isinstance(value, str) for value in values.values()):
            raise ValueError(f"the fields of {name} are text")
        by_name[name] = Context(**values)
    current = document.get("current", DEFAULT)
    if not isinstance(current, str):
        raise ValueError("`current` is the name of a context")
    return Contexts(current, by_name)
