"""Probe of a backend: writes, reads, compares and deletes under a reserved name."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from signalbox.adapters.catalogue import find_backend
from signalbox.adapters.port import AdapterContext, Call
from signalbox.commands.error import IntegrityMismatch, InternalError, SignalboxError
from signalbox.commands.event_stream import AppendEvent, Event, ReadEvents
from signalbox.commands.ledger.entry import Claimed
from signalbox.commands.metrics_store import IngestPoints, Point, QueryPoints
from signalbox.commands.model import new_op_id
from signalbox.commands.object_store import DeleteObject, GetObject, PutObject
from signalbox.commands.payload import InlinePayload, PayloadStore
from signalbox.commands.routing import ProbeResult, ProbeRoute, ProbeStep, RouteConfig
from signalbox.commands.scope import Mode, ResourceKind
from signalbox.commands.tabular_store import DeleteRow, GetRow, UpsertRow
from signalbox.routing.policy.mode_check import check_mode
from signalbox.routing.policy.policy import FREE, check_place
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import no_route

NAME = ".signalbox-probe"
"""Reserved name: tables, series and streams of this name, and object keys below it."""
_ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)


class Prober:
    """Runs probes."""

    def __init__(self, registry: Registry, payloads: PayloadStore) -> None:
        self._registry = registry
        self._payloads = payloads

    def probe(self, claimed: Claimed) -> ProbeResult:
        """Probe the backend; return the steps that succeeded and the backend's error, if any.

        Raises RouteNotFound, and the errors that forbid the backend before it is called.
        """
        command = claimed.command
        assert isinstance(command, ProbeRoute)  # noqa: S101 - the executor calls this for no other command
        backend_type, config, modes, revision = self._target(command)
        policy = self._registry.policies.get(command.tenant_id)
        terms = policy.terms if policy else FREE
        backend = find_backend(command.resource_kind, backend_type)
        check_mode(command.scope, backend, terms.mode, *modes)
        backend.check_config(config)
        backend.boundary(command.scope, config).check_named()
        check_place(command.scope, terms, backend_type, config)
        mode = next((mode for mode in (terms.mode, *modes) if mode.sellable), Mode.LAB)
        call = Call(
            mark=str(claimed.mark),
            seq=claimed.seq,
            takeover=claimed.takeover,
            deadline=claimed.deadline,
            payloads=self._payloads,
        )
        watch = _Watch()
        error: SignalboxError | None = None
        try:
            context = AdapterContext(scope=command.scope, mode=mode, config=config)
            with watch.step("open"):
                adapter = backend.open(context)
            with closing(adapter):
                _TRIES[command.resource_kind](adapter, command, call, watch)
        except SignalboxError as failure:
            error = failure
        except Exception as failure:  # noqa: BLE001 - the error is the result of the probe
            error = InternalError(
                f"{type(failure).__name__} in the adapter", next_step="see the worker's log"
            )
        if error is not None:
            error.at(kind=command.resource_kind, tenant_id=command.tenant_id, env=command.env)
            error.at(backend_type=backend_type)
        return ProbeResult(
            backend_type=backend_type,
            revision=revision,
            steps=watch.steps,
            error=error.detail() if error else None,
        )

    def _target(self, command: ProbeRoute) -> tuple[str, RouteConfig, list[Mode], int | None]:
        if command.backend_type is not None:
            return command.backend_type, command.config, [command.mode], None
        route = self._registry.get(command.scope)
        if route is None:
            raise no_route(command.scope)
        return route.backend_type, route.config, [route.mode, command.mode], route.revision


class _Watch:
    """Times the steps that succeed."""

    def __init__(self) -> None:
        self.steps: list[ProbeStep] = []

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        took = (time.perf_counter() - started) * 1000
        self.steps.append(ProbeStep(name=name, milliseconds=round(took, 2)))


def _try_objects(store: Any, command: ProbeRoute, call: Call, watch: _Watch) -> None:
    target = {"tenant_id": command.tenant_id, "env": command.env, "key": f"{NAME}/{command.op_id}"}
    content = os.urandom(64)
    payload = InlinePayload(data=content)
    with watch.step("write"):
        store.put(PutObject.model_validate(target | {"payload": payload}), call)
    with watch.step("read"):
        stream = store.get(GetObject.model_validate(target), call)
        with closing(stream.body) as body:
            found = body.read()
    with watch.step("compare"):
        _compare(found, content)
    with watch.step("fences"):
        store.check_fences(target["key"], call)
    with watch.step("delete"):
        store.delete(DeleteObject.model_validate(target), call)


def _try_rows(store: Any, command: ProbeRoute, call: Call, watch: _Watch) -> None:
    target = {"tenant_id": command.tenant_id, "env": command.env}
    # Another key each time, since a tombstone of an earlier attempt refuses writes.
    target |= {"table_name": NAME, "key": new_op_id()}
    data = {"content": os.urandom(64)}
    with watch.step("write"):
        store.upsert(UpsertRow.model_validate(target | {"data": data}), call)
    with watch.step("read"):
        found = store.get(GetRow.model_validate(target), call).data
    with watch.step("compare"):
        _compare(found, data)
    with watch.step("delete"):
        # As a separate command would: each sequence number leaves one record.
        store.delete(DeleteRow.model_validate(target), replace(call, seq=call.seq + 1))


def _try_points(store: Any, command: ProbeRoute, call: Call, watch: _Watch) -> None:
    # Always the same point, since points cannot be deleted.
    value = float(call.seq)
    target = {"tenant_id": command.tenant_id, "env": command.env}
    point = Point(series=NAME, timestamp=_ORIGIN, value=value)
    with watch.step("write"):
        store.ingest(IngestPoints.model_validate(target | {"points": [point]}), call)
    span = {"start": _ORIGIN, "end": _ORIGIN + timedelta(seconds=1)}
    with watch.step("read"):
        found = store.query(QueryPoints.model_validate(target | {"series": NAME} | span), call)
    with watch.step("compare"):
        _compare([point.value for point in found.points], [value])


def _try_events(store: Any, command: ProbeRoute, call: Call, watch: _Watch) -> None:
    # One event a day at most, since events cannot be deleted; later probes of the day find it.
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    target = {"tenant_id": command.tenant_id, "env": command.env, "stream": NAME}
    event = Event(id=day, type="probe", data={"day": day})
    with watch.step("write"):
        append = AppendEvent.model_validate(target | {"event": event})
        version = store.append(append, call).version
    with watch.step("read"):
        read = ReadEvents.model_validate(target | {"after": version - 1, "limit": 1})
        found = store.read(read, call).events
    with watch.step("compare"):
        _compare([(event.version, event.data) for event in found], [(version, {"day": day})])


def _compare(found: Any, written: Any) -> None:
    if found != written:
        raise IntegrityMismatch(
            "what was read is not what was written",
            next_step="keep this backend out of use, and look for who else writes there",
        )


_TRIES: dict[ResourceKind, Callable[[Any, ProbeRoute, Call, _Watch], None]] = {
    ResourceKind.OBJECT_STORE: _try_objects,
    ResourceKind.TABULAR_STORE: _try_rows,
    ResourceKind.METRICS_STORE: _try_points,
    ResourceKind.EVENT_STREAM: _try_events,
}
