"""The cleaner: removes leftovers of crashes, such as staged content and unreferenced files.

It runs as a thread in every worker; the elected leader cleans, every ten minutes.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from signalbox.adapters.catalogue import find_backend
from signalbox.adapters.port import AdapterContext
from signalbox.commands.error import SignalboxError
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.ledger.op_id_sweep import forget_old
from signalbox.commands.ledger.staged import Deployment, staged_refs
from signalbox.commands.payload import DirectoryPayloadStore
from signalbox.commands.proof.trust import trust_of
from signalbox.commands.scope import ResourceKind
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect_to
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import Route
from signalbox.workers.maintenance.background_service import BackgroundService
from signalbox.workers.maintenance.election import Election

INTERVAL_SECONDS = 600.0
"""Seconds between two runs by the leader."""


class Cleaner(BackgroundService):
    """Removes the leftovers of crashed producers, workers and readers."""

    name = "cleaner"
    interval = 2.0
    """Seconds between renewals of the leadership, so that no other cleaner begins meanwhile."""

    def __init__(self, settings: Settings, name: str) -> None:
        super().__init__()
        self._left = INTERVAL_SECONDS
        self._settings = settings
        self._client = connect_to(settings)
        self._ledger = Ledger(self._client, settings)
        self._registry = Registry(self._client, trust_of(settings))
        self._leader = Election(self._client, "janitor", name)

    def run_once(self) -> tuple[int, int]:
        """Clean once; return the numbers of staged contents and of stored files removed.

        Raises StateUnavailable.
        """
        self._ledger.forget_faults()
        forget_old(self._client, self._settings.read_retention)
        return self._clear_payloads(), self._clear_stores()

    def _clear_payloads(self) -> int:
        # Read in each run: a replaced or emptied state has another name, and content that was
        # staged for the former one must not be removed for it.
        deployment, grace = Deployment(self._client), self._settings.orphan_grace
        folder = self._settings.payload_dir or Path(".signalbox/payloads")
        payloads = DirectoryPayloadStore(folder, deployment)
        # Listed before the ledger is read: content that is staged and submitted meanwhile is not on
        # the list, or its age has been reset.
        old = set(payloads.older_than(grace))
        if not old:
            return 0
        old.difference_update(staged_refs(self._client))
        if Deployment(self._client)() != deployment():
            return 0
        return sum(payloads.forget(name, grace) for name in old)

    def _clear_stores(self) -> int:
        removed = 0
        for kind in ResourceKind:
            after: str | None = None
            while not self._stopped.is_set():
                page = self._registry.list_page(kind, after=after, limit=500)
                for route in page.routes:
                    removed += self._clear_store(route)
                after = page.next_after
                if after is None:
                    break
        return removed

    def _clear_store(self, route: Route) -> int:
        try:
            backend = find_backend(route.scope.kind, route.backend_type)
            adapter = backend.open(
                AdapterContext(scope=route.scope, mode=route.mode, config=route.config)
            )
            with closing(adapter):
                collect = getattr(adapter, "collect_orphans", None)
                return int(collect(self._settings.orphan_grace)) if collect else 0
        except SignalboxError as error:
            self._log.warning(
                "leftovers could not be removed", scope=route.scope.field, error=str(error)
            )
            return 0

    def step(self) -> float:
        leads = self._leader.leads()
        self._left = self._left - self.interval if leads else INTERVAL_SECONDS
        if leads and self._left <= 0:
            self._left = INTERVAL_SECONDS
            payloads, files = self.run_once()
            if payloads or files:
                self._log.info("leftovers removed", payloads=payloads, files=files)
        return self.interval
