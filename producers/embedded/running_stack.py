"""Where a running stack's servers are, for the command line in its folder.

`signalbox up` keeps `stack.json` in its data directory locked for as long as it runs. A file that
nobody has locked was left by one that was killed, and says nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast

FILE = "stack.json"


@contextmanager
def announced(data_dir: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Let `find_running_stack` find these variables until the end. Raises OSError."""
    path, written = data_dir / FILE, data_dir / f"{FILE}.new"
    written.unlink(missing_ok=True)
    # An address may hold a password. The lock is taken before anybody can see the file.
    with open(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        json.dump(dict(environment), file)
        file.flush()
        written.replace(path)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def find_running_stack(data_dir: Path) -> dict[str, str] | None:
    """The variables of the stack that runs on this directory, if one does and it is our own."""
    try:
        file = (data_dir / FILE).open()
    except OSError:
        return None
    with file:
        # Another user's file could send what is stored to servers of theirs.
        if os.fstat(file.fileno()).st_uid != os.getuid():
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return cast("dict[str, str]", json.load(file))
        return None
