"""Every write of every backend killed behind its effect, or frozen before it, and taken over."""

from __future__ import annotations

from pathlib import Path

import pytest

from signalbox.adapters.catalogue import CATALOGUE
from signalbox.commands.ledger.dead import Which
from signalbox.commands.model import new_op_id
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect
from signalbox.producers.client.client import Client
from signalbox.producers.embedded.redis_server import RedisServer
from signalbox.routing.registry.change import Change
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import RouteTarget
from tests.chaos.campaign import environment
from tests.chaos.load import ENV, TENANT
from tests.chaos.part import CannotRun, Part, Play, Row
from tests.chaos.write import WRITES, Write
from tests.chaos.write_bench import (
    CLOUD_LEASE,
    FROZEN_TURNS,
    KILLED_TURNS,
    LEASE,
    LOCKED_TURNS,
    TURN,
    Bench,
)
from tests.conformance.harness import HARNESSES


def a_write(write: Write, backend_type: str, fenced: bool) -> Play:
    """The write's row on a backend."""

    def play(folder: Path) -> Row:
        lease = CLOUD_LEASE if _is_fenced(write, backend_type) else LEASE
        quick = {"SIGNALBOX_LEASE": str(lease), "SIGNALBOX_LOG_LEVEL": "error"}
        quick |= {"SIGNALBOX_MAX_ATTEMPTS": "100", "SIGNALBOX_MAX_DEATHS": "100"}
        quick |= {"SIGNALBOX_PAYLOAD_DIR": str(folder / "payloads")}
        redis = RedisServer(folder / "redis")
        redis.start()
        quick |= {"SIGNALBOX_STATE_URL": redis.url, "SIGNALBOX_BROKER_URL": redis.url}
        try:
            with environment(quick), HARNESSES[write.kind, backend_type]() as harness:
                config = harness.config | (
                    {"fenced_writes": fenced} if _is_fenced(write, backend_type) else {}
                )
                scope = Scope(kind=write.kind, tenant_id=TENANT, env=ENV)
                route = Registry(connect(redis.url)).set(
                    scope,
                    RouteTarget(backend_type, config, Mode.LAB),
                    Change(actor="chaos", reason="chaos", change_id=new_op_id()),
                )
                with Client(Settings()) as client:
                    bench = Bench(write, route, client, folder, fenced=fenced)
                    for turn in range(KILLED_TURNS):
                        bench.killed_turn(turn)
                    after_kills = bench.counts["undone"]
                    locks = backend_type == "filesystem"
                    for turn in range(LOCKED_TURNS if locks else FROZEN_TURNS):
                        bench.locked_turn(turn) if locks else bench.frozen_turn(turn)
                    return _row(bench, client, after_kills)
        except pytest.skip.Exception as reason:
            raise CannotRun(str(reason)) from None
        finally:
            redis.stop()

    return play


def _is_fenced(write: Write, backend_type: str) -> bool:
    """Whether the route says whether writes are fenced, which ends with its lease in any case."""
    return write.kind is ResourceKind.OBJECT_STORE and backend_type != "filesystem"


def _row(bench: Bench, client: Client, after_kills: int) -> Row:
    counts = bench.counts
    letters = list(client.dead.find(Which(tenant_id=TENANT)))
    values = {name: counts[name] for name in ("killed", "frozen", "commands", "lost", "doubled")}
    values["undone by takeovers"] = after_kills
    values["undone by the thawed"] = counts["undone"] - after_kills
    values["failed"] = len(letters)
    values["open"] = client.ledger.totals()["open"]
    promised = [name for name in values if name not in ("killed", "frozen", "commands")]
    notes = bench.notes + [f"{letter.op}: {letter.code}" for letter in letters[:3]]
    # A row whose writers never died or never froze has shown nothing.
    struck = counts["killed"] > 0 and counts["frozen"] > 0
    good = struck and all(values[name] == 0 for name in promised)
    return Row(values, good, notes)


def _plays() -> dict[str, Play]:
    plays: dict[str, Play] = {}
    for backend in CATALOGUE:
        if (backend.kind, backend.backend_type) not in HARNESSES:
            continue
        for write in WRITES:
            if write.kind is not backend.kind:
                continue
            name = f"{backend.backend_type} {write.name}"
            plays[name] = a_write(write, backend.backend_type, fenced=True)
            if _is_fenced(write, backend.backend_type) and write.name != "register":
                plays[f"{name} (unfenced)"] = a_write(write, backend.backend_type, fenced=False)
    return plays


WRITES_PART = Part(
    "writes",
    "Each write of each backend",
    f"""
Each command is run by a forked process, the writer.

- *Killed*: {KILLED_TURNS * TURN} writers of each row are ended with SIGKILL, most of them between
  the effect and its record in the ledger. One in five is killed between two steps of the effect;
  if the effect has only one step, that writer ends normally. Another process takes the command
  over. For half of the keys there is a newer command by then.
- *Frozen*: {FROZEN_TURNS * TURN} more writers are stopped right before the effect, after the last
  check of the lease and after the request was signed. They continue when their command was taken
  over and a newer one is done. On the filesystem, a writer that is stopped within a transaction
  blocks all others of its tenant and env, so {LOCKED_TURNS} are stopped there, and each continues
  when its lease has expired.
- *Unfenced*: the route has `fenced_writes: false`. Then only the expiry of the request itself
  stops a writer that continues ([backends](backends.md#nothing-newer-is-undone-s3-and-azure)).
  The test servers of these rows check the expiry as S3 and Azure do.
""",
    _plays(),
)
