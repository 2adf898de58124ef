"""`signalbox routes switch --dry-run`: the result of a switch, without changing anything."""

from __future__ import annotations

from typing import Any

import typer

from signalbox.commands.error import RoutingError, SignalboxError
from signalbox.commands.scope import ResourceKind, Scope
from signalbox.producers.cli.connection import actor, make_client, make_registry
from signalbox.producers.cli.console import out, print_json, print_pairs
from signalbox.producers.client.client import Client
from signalbox.producers.diagnosis import count_objects, probe
from signalbox.routing.route import Route, RouteTarget


def rehearse(
    scope: Scope,
    target: RouteTarget,
    if_revision: int | None,
    lock_token: int | None,
    wait: float,
    as_json: bool,
) -> None:
    """Print before, after, the verdict, a probe of the target, and what would stay on the old
    backend.

    Exit code 1 if the switch would be refused or the target does not work.
    """
    registry = make_registry()
    refusal: RoutingError | None = None
    before = registry.get(scope)
    try:
        plan = registry.plan_switch(
            scope,
            target,
            actor(),
            if_revision=if_revision,
            lock_token=lock_token,
        )
        before = plan.seen.route
    except RoutingError as error:
        refusal = error.at(kind=scope.kind, tenant_id=scope.tenant_id, env=scope.env)  # type: ignore[assignment]
    document: dict[str, Any] = {
        "scope": scope.field,
        "before": before.document() if before else None,
        "after": target.document(),
        "verdict": refusal.detail().model_dump() if refusal else "allowed",
    }
    healthy = refusal is None
    if refusal is None:
        with make_client() as client:
            found = probe(client, scope, target.mode, wait, target.backend_type, target.config)
            healthy = found.healthy
            document["probe"] = found.model_dump(mode="json")
            document["stays_behind"] = _left(client, before, wait)
    if as_json:
        print_json(document)
    else:
        _print(document)
    if not healthy:
        raise typer.Exit(1)


def _left(client: Client, before: Route | None, wait: float) -> dict[str, Any] | str:
    """Return what a switch does not move: data stays where it was written."""
    if before is None:
        return "nothing"
    if before.scope.kind is not ResourceKind.OBJECT_STORE:
        return "all that is stored there; it is counted for object_store alone"
    try:
        # In the route's own mode: a switch to another one may be just what is rehearsed.
        count = count_objects(client, before.scope, before.mode, wait)
    except SignalboxError as error:
        # Off a backend that is broken is where a switch is wanted most.
        return f"not counted: {error.code} {error.message}"
    return {"objects": count.objects, "bytes": count.bytes, "at_least": not count.whole}


def _print(document: dict[str, Any]) -> None:
    verdict = document["verdict"]
    shown = document | {
        "verdict": verdict
        if isinstance(verdict, str)
        else f"{verdict['code']} {verdict['message']}"
    }
    if "probe" in document:
        tried = document["probe"]
        steps = ", ".join(f"{step['name']} {step['milliseconds']} ms" for step in tried["steps"])
        error = tried["error"]
        shown["probe"] = f"{steps}; {error['code']} {error['message']}" if error else f"ok: {steps}"
        left = document["stays_behind"]
        if isinstance(left, dict):
            more = "at least " if left["at_least"] else ""
            shown["stays_behind"] = f"{more}{left['objects']} objects, {left['bytes']} bytes"
    print_pairs(shown)
    out().print("nothing was changed")
