"""StreamEvents as text for people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from signalbox.commands.visible import visible
from signalbox.producers.cli.console import out, print_json, print_rows
from signalbox.producers.cli.policy_text import sentence
from signalbox.routing.registry.event import StreamEvent

_NOTHING = "–"
_PLACES = ("bucket", "container", "table", "project")
"""Config entries in which backends name the location of their data."""


def print_events(title: str, events: list[StreamEvent], signed_by: list[str] | None = None) -> None:
    """Print a table of changes; a scope that is the same for all is named once.

    `signed_by` says by whom each is signed, where changes are.
    """
    subjects = {event.subject for event in events}
    one = len(subjects) == 1
    rows = []
    for event in events:
        row = [
            event.revision,
            event.time.strftime("%m-%d %H:%M:%S"),
            event.type.rpartition(".")[2],
            event.data.actor,
            event.data.reason,
            _state(event.data.before),
            _after(event),
        ]
        rows.append(row if one else [row[0], event.subject, *row[1:]])
    columns = ["rev", "time (UTC)", "what", "who", "why", "before", "after"]
    if signed_by is not None:
        columns.append("signed by")
        for row, author in zip(rows, signed_by, strict=True):
            row.append(author)
    if one:
        title = f"{title} {subjects.pop()}".strip()
    print_rows(title, columns if one else [columns[0], "subject", *columns[1:]], rows)


def print_event(event: StreamEvent, as_json: bool) -> None:
    if as_json:
        print_json(event.model_dump(mode="json"))
        return
    data = event.data
    line = (
        f"{event.revision} {event.time:%H:%M:%S} {event.type.rpartition('.')[2]} {event.subject} "
        f"{_state(data.before)} -> {_after(event)} ({data.actor}: {data.reason})"
    )
    out().print(visible(line), soft_wrap=True, markup=False)


def _after(event: StreamEvent) -> str:
    """The state after the change; for a refusal, the reason and what was requested."""
    data = event.data
    if data.error is None:
        return _state(data.after)
    asked = _state(data.after)
    return data.error["code"] if asked == _NOTHING else f"{data.error['code']} for {asked}"


def _state(state: dict[str, Any] | None) -> str:
    """A short description of a route, lock or policy; `--json` prints it completely."""
    if not state:
        return _NOTHING
    if "backend_type" in state:
        config = state.get("config", {})
        named = [str(config[name]) for name in _PLACES if name in config]
        place = named[0] if named else Path(str(config.get("base_dir", ""))).name
        return f"{state['backend_type']} {place}".strip()
    if "owner" in state:
        return f"{state['owner']} until {state['until'][:19].replace('T', ' ')}"
    if "epoch" in state:
        return f"epoch {state['epoch']}"
    if "ttl_seconds" in state:
        return f"{state['ttl_seconds']:g} s"
    return sentence(state)
