"""Reads credential files: only regular files of limited size, whose content is never shown.

A route that names another file of the worker gets an error that reveals nothing of it.
"""

from __future__ import annotations

import os
import re
import stat

from signalbox.commands.error import Misconfigured

MAX_BYTES = 64 * 1024
"""Maximum size of a credential file, in bytes."""
MAX_LINE = 4096
"""Maximum length of the line in `read_line`, in characters."""
_PASSWORD = re.compile(r"[^\x00-\x1f\x7f]{1,1024}")


def read_text(path: str, next_step: str) -> str:
    """Return the file's text. Raises Misconfigured, which never quotes it."""
    try:
        # Non-blocking, so that a pipe without a writer or a device does not block the reader.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as source:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Misconfigured(f"{path} is no regular file", next_step=next_step)
            content = source.read(MAX_BYTES + 1)
            if len(content) > MAX_BYTES:
                raise Misconfigured(
                    f"{path} is larger than any credential file ({MAX_BYTES} bytes)",
                    next_step=next_step,
                )
            return content.decode("utf-8")
    except (OSError, ValueError) as error:
        raise Misconfigured(
            f"{path} cannot be read: {type(error).__name__}", next_step=next_step
        ) from None


def read_line(path: str, next_step: str) -> str:
    """Return the only line of the file, stripped. Raises Misconfigured."""
    text = read_text(path, next_step).strip()
    if not text or len(text) > MAX_LINE or not text.isprintable():
        raise Misconfigured(f"{path} does not hold one line", next_step=next_step)
    return text


def read_password(path: str, next_step: str) -> str:
    """Return the only line of the file, at most 1,024 characters, spaces included.

    Raises Misconfigured.
    """
    text = read_text(path, next_step).removesuffix("\n").removesuffix("\r")
    if not _PASSWORD.fullmatch(text):
        raise Misconfigured(f"{path} does not hold one line", next_step=next_step)
    return text
