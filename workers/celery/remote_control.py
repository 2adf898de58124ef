"""Celery's remote control, restricted to commands that only read.

Anyone with access to the broker can send it. Commands that change or end a worker or revoke tasks
are removed, unless SIGNALBOX_REMOTE_CONTROL allows them.
"""

from __future__ import annotations

from typing import Any

import structlog
from celery.app.control import Control, Mailbox
from celery.worker.control import Panel
from kombu.pidbox import Node

from signalbox.commands.settings import Settings

log = structlog.get_logger("signalbox.worker")

HARMLESS = frozenset(
    {
        *("ping", "clock", "heartbeat", "enable_events", "stats", "conf", "dump_conf", "report"),
        *("active", "dump_active", "reserved", "dump_reserved", "scheduled", "dump_schedule"),
        *("revoked", "dump_revoked", "registered", "dump_tasks", "active_queues", "query_task"),
    }
)
"""Commands that Flower and `signalbox status` use: they show what is running and change nothing."""
_SETTING = "SIGNALBOX_REMOTE_CONTROL"


class GuardedNode(Node):
    """A worker's mailbox.

    Answers commands that it refuses with an error, and drops unreadable ones.
    """

    def handle_message(self, body: Any, message: Any = None) -> Any:
        mailbox: Any = self.mailbox
        if not _is_readable(body, mailbox.reply_exchange.name):
            log.warning("a remote control message was dropped", reason="its format is wrong")
            return None
        destination = body.get("destination")
        # Addresses by pattern are ignored: a regular expression can take for ever.
        if body.get("pattern") or (destination and self.hostname not in destination):
            return None
        if message is not None:
            self.adjust_clock(message.headers.get("clock") or 0)
        known = ("method", "arguments", "reply_to", "ticket")
        return self.dispatch(**{name: body.get(name) for name in known})  # type: ignore[no-untyped-call]  # kombu has no types

    def handle(self, method: Any, arguments: Any = None) -> Any:
        handlers: Any = self.handlers
        if method not in handlers:
            log.warning("a remote control command was refused", method=method[:80])
            return {
                "error": f"{method[:80]} is not obeyed: whoever can write to the broker could send "
                f"it. {_SETTING}=true in a worker's environment turns remote control on"
            }
        return super().handle(method, arguments)  # type: ignore[no-untyped-call]  # kombu has no types


class GuardedMailbox(Mailbox):
    """The mailbox whose nodes are GuardedNode."""

    node_cls = GuardedNode


class GuardedControl(Control):
    """Celery's control whose mailbox is GuardedMailbox."""

    Mailbox = GuardedMailbox


def guard_remote_control(app: Any, settings: Settings) -> None:
    """Restrict the app's workers to harmless commands, unless the setting allows all."""
    app.control_cls = GuardedControl
    if settings.remote_control:
        return
    for name in [name for name in Panel.data if name not in HARMLESS]:
        del Panel.data[name]
        Panel.meta.pop(name, None)


def _is_readable(body: Any, replies: str) -> bool:
    if not isinstance(body, dict) or not isinstance(body.get("method"), str):
        return False
    arguments, reply_to = body.get("arguments"), body.get("reply_to")
    destination, ticket = body.get("destination"), body.get("ticket")
    return (
        (arguments is None or isinstance(arguments, dict))
        and (ticket is None or isinstance(ticket, str))
        and (
            destination is None
            or (isinstance(destination, list) and all(isinstance(d, str) for d in destination))
        )
        and (
            reply_to is None
            or (
                isinstance(reply_to, dict)
                and reply_to.get("exchange") == replies
                and isinstance(reply_to.get("routing_key"), str)
            )
        )
    )
