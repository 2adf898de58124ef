"""Reports that a command failed. Imported only then, since `--help` needs none of it."""

from __future__ import annotations

import json
import sys
from typing import NoReturn

from pydantic import ValidationError

from signalbox.commands.error import LocalFileError, SignalboxError
from signalbox.commands.settings import invalid_setting
from signalbox.producers.cli.console import print_error


def report(error: Exception) -> NoReturn:
    """Print the error and exit with 1; one that is not typed is raised again."""
    typed = _typed(error)
    if typed is None:
        raise error
    if "--json" in sys.argv:
        print(json.dumps({"error": typed.detail().model_dump()}), file=sys.stderr)  # noqa: T201
    else:
        print_error(typed.code, str(typed))
    sys.exit(1)


def _typed(error: Exception) -> SignalboxError | None:
    if isinstance(error, SignalboxError):
        return error
    if isinstance(error, OSError):
        return LocalFileError(f"{error.filename or 'a file'}: {error.strerror}")
    if not isinstance(error, ValidationError):
        return None
    if error.title != "Settings":
        from signalbox.commands.parse import invalid_command  # imports every command there is

        return invalid_command(error)
    return invalid_setting(error)
