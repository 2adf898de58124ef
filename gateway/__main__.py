"""Start the gateway with `python -m signalbox.gateway`.

Invalid settings end it with exit code 1.
"""

from __future__ import annotations

import sys

from pydantic import ValidationError

from signalbox.commands.error import SignalboxError
from signalbox.commands.extra import require
from signalbox.commands.settings import Settings, invalid_setting
from signalbox.gateway.settings import PREFIX
from signalbox.workers.execution.command_log import configure_logging


def _end(error: SignalboxError) -> None:
    print(f"{error.code} {error}", file=sys.stderr)  # noqa: T201 - tells why it ends
    sys.exit(1)


if __name__ == "__main__":
    try:
        configure_logging(Settings())
        require("the gateway", "gateway", "fastapi", "httptools", "uvicorn")
        from signalbox.gateway.server import serve

        serve()
    except SignalboxError as error:
        _end(error)
    except ValidationError as error:
        own = error.title == "GatewaySettings"
        _end(invalid_setting(error, PREFIX if own else "SIGNALBOX_"))
