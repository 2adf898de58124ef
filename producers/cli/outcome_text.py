"""Prints the outcome of a command."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import signalbox
from signalbox.producers.cli.connection import make_client
from signalbox.producers.cli.console import err, print_json, print_pairs

SUPERSEDED = "Nothing was changed: the effect of a newer command was there already."


def show(outcome: signalbox.Outcome, as_json: bool) -> dict[str, Any]:
    """Print the result of a finished command; RemoteError if it failed."""
    result = outcome.unwrap()
    if as_json:
        print_json(result | {"op_id": outcome.op_id, "backend_type": outcome.backend_type})
        return result
    plain = {name: value for name, value in result.items() if name != "superseded"}
    print_pairs(plain | {"backend": outcome.backend_type, "op_id": outcome.op_id})
    if result.get("superseded"):
        err().print(SUPERSEDED)
    return result


def run_and_show(command: signalbox.Command, wait: float, as_json: bool) -> None:
    """Run one command and print its result."""
    with make_client() as client:
        show(client.run_outcome(command, timedelta(seconds=wait)), as_json)
