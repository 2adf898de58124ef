"""How a credential file is read: a regular file of bounded size, and what a route shows is checked.

So a route that names another file of the worker gets an error, and nothing of the file anywhere.
"""

from __future__ import annotations

import os
import re
import stat

from signalbox.commands.error import Misconfigured

MAX_BYTES = 64 * 1024
MAX_LINE = 4096
_PASSWORD = re.compile(r"[^\x00-\x1f\x7f]{1,1024}")


def read_text(path: str, next_step: str) -> str:
    """The file's text. Raises Misconfigured, which never quotes it."""
    try:
        # Neither a pipe without a writer nor a device keeps the reader waiting.
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
    """The one line that the file holds, without blanks around it. Raises Misconfigured."""
    text = read_text(path, next_step).strip()
    if not text or len(text) > MAX_LINE or not text.isprintable():
        raise Misconfigured(f"{path} does not hold one line", next_step=next_step)
    return text


def read_password(path: str, next_step: str) -> str:
    """The password: one line of at most 1,024 characters, its blanks included."""
    text = read_text(path, next_step).removesuffix("\n").removesuffix("\r")
    if not _PASSWORD.fullmatch(text):
        raise Misconfigured(f"{path} does not hold one line", next_step=next_step)
    return text
