"""Waits for outcomes: workers announce them through the state Redis, the ledger stores them."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta

from signalbox.commands.error import StateUnavailable
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.ledger.parcel_outcome import announced
from signalbox.commands.outcome import Outcome
from signalbox.commands.ref import Ref
from signalbox.commands.state import State
from signalbox.producers.client.outcome_watch import OutcomeWatch

RECHECK_SECONDS = 2.0
"""Seconds after which the ledger is asked without an announcement, since one can be missed (a
reconnect)."""
LISTEN_SECONDS = 1.0
"""Seconds between two checks of the listener whether it is still needed."""


class OutcomeWaiter:
    """Receives the announcements of one client's outcomes on its own thread.

    Threads call `wait`. Others register with `watch`, after `listen` was called.
    """

    def __init__(self, client: State, ledger: Ledger) -> None:
        self.channel = f"signalbox:reply:{uuid.uuid4().hex}"
        self._client = client
        self._ledger = ledger
        self.watch = OutcomeWatch(ledger)
        self._changed = threading.Condition()
        self._awaited: set[str] = set()
        self._announced: dict[str, Outcome | None] = {}
        """Announced outcomes of awaited commands; None where the ledger has to be asked."""
        self._thread: threading.Thread | None = None
        self._subscribed = threading.Event()
        self._closed = False

    def wait(self, refs: Collection[Ref], timeout: timedelta) -> dict[str, Outcome]:
        """Return the outcomes that exist within `timeout`; missing commands are still open.

        Raises StateUnavailable.
        """
        deadline = time.monotonic() + timeout.total_seconds()
        self.listen()
        # Subscribe before the ledger is asked, so that no announcement falls in between.
        self._subscribed.wait(RECHECK_SECONDS)
        found: dict[str, Outcome] = {}
        open_refs = set(refs)
        with self._changed:
            self._awaited |= open_refs
        try:
            asked: Collection[str] = open_refs
            while True:
                names = list(asked)
                outcomes = self._ledger.outcomes(names) if names else []
                for ref, outcome in zip(names, outcomes, strict=True):
                    if outcome is not None:
                        found[ref] = outcome
                        open_refs.discard(ref)
                left = deadline - time.monotonic()
                if not open_refs or left <= 0:
                    return found
                with self._changed:
                    heard = self._changed.wait_for(
                        lambda: self._announced.keys() & open_refs,
                        timeout=min(left, RECHECK_SECONDS),
                    )
                    announced = {ref: self._announced.pop(ref) for ref in heard}
                asked = [ref for ref, outcome in announced.items() if outcome is None]
                found |= {ref: outcome for ref, outcome in announced.items() if outcome is not None}
                open_refs.difference_update(found)
                if not heard:
                    asked = list(open_refs)
        finally:
            with self._changed:
                self._awaited -= set(refs)
                for ref in refs:
                    self._announced.pop(ref, None)

    def close(self) -> None:
        """Stop the thread."""
        self._closed = True
        if self._thread is not None:
            with suppress(StateUnavailable):
                self._client.publish(self.channel, "")  # wakes it at once
            self._thread.join(timeout=5)
        self.watch.close()

    def listen(self) -> None:
        """Start to receive announcements; outcomes before that are looked up at the start."""
        with self._changed:
            if self._thread is None or not self._thread.is_alive():
                self._subscribed.clear()
                self._thread = threading.Thread(
                    target=self._run, name="signalbox-outcomes", daemon=True
                )
                self._thread.start()

    def _run(self) -> None:
        while not self._closed:
            try:
                with self._client.subscription() as subscription:
                    subscription.subscribe(self.channel)
                    while not self._closed:
                        message = subscription.get_message(timeout=LISTEN_SECONDS)
                        if message is not None and message["type"] == "subscribe":
                            self._subscribed.set()
                            self.watch.look(everywhere=True)  # announced before the subscription
                        elif message is not None and message["type"] == "message":
                            self._hear(message["data"])
                        self.watch.look()
            except Exception:  # noqa: BLE001 - waiters continue by asking the ledger
                self._subscribed.set()
                time.sleep(0.5)

    def _hear(self, message: bytes) -> None:
        outcomes, refs = announced(message)
        with self._changed:
            news: dict[str, Outcome | None] = {outcome.ref: outcome for outcome in outcomes}
            news |= dict.fromkeys(refs)
            if heard := self._awaited & news.keys():
                self._announced |= {ref: news[ref] for ref in heard}
                self._changed.notify_all()
        self.watch.hear(outcomes, refs)
