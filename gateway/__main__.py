"""`python -m gateway`: errors of settings become a message and exit code 1."""

from __future__ import annotations

import sys

from pydantic import ValidationError

from commands.error import SignalboxError, reason_of
from commands.settings import Settings
from gateway.server import serve
from workers.log import configure_logging

if __name__ == "__main__":
    try:
        configure_logging(Settings())
        serve()
    except SignalboxError as error:
        print(f"{error.code} {error}", file=sys.stderr)  # noqa: T201 - says why it ends
        sys.exit(1)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = f"{error.title}.{'.'.join(map(str, first['loc']))}"
        print(f"INVALID_SETTING {name}: {reason_of(first)}", file=sys.stderr)  # noqa: T201
        sys.exit(1)
