"""Table of what each role does on the state Redis, from which its ACL is made.

tests/integration/test_acl.py uses everything as these users and compares. Add new commands and keys
here.

A script runs with the permissions of its caller: each command in it is checked with the keys that
it names, whether they are declared or not. `KEYS[1]` of our scripts is a bare hash tag, which
counts as written.
"""

from __future__ import annotations

from signalbox.commands.ledger import (
    dead,
    era,
    ledger,
    op_id_sweep,
    parcels,
    rate_queue,
    reader,
    usage,
)
from signalbox.commands.ledger.layout import KEY as LAYOUT
from signalbox.commands.ledger.staged import DEPLOYMENT_KEY
from signalbox.producers.access.rules import Use
from signalbox.routing.audit.archive_mark import TRIM
from signalbox.routing.registry.event_log import CHANGE
from signalbox.routing.registry.keys import TAG

LEDGER = "{l[0-9]*}*"
"""Keys of the ledger's shards. One pattern covers all, since every script names many of them, and a
server compares a key with one pattern after the other."""
ANNOUNCEMENTS = "signalbox:reply:*"

# Of a connection: redis-py's own, SELECT where the database is not 0, the map of a cluster; then
# what makes a write wait for replicas (State.run, with what it writes first).
_CONNECT = Use("ping select client|setinfo cluster|slots")
_RUN = Use("evalsha script|load")
_WAIT = Use("set wait")

_SUBMIT = (
    _CONNECT
    | _RUN
    | _WAIT
    | Use(
        "exists hget hmget hsetnx setnx get publish subscribe",
        scripts=(ledger.SUBMIT, parcels.SUBMIT_PARCELS, reader.OUTCOMES),
        # Where a key has no hash tag, what waits for replicas writes beside it.
        writes=(LEDGER, LAYOUT, "{ledger}:synced", DEPLOYMENT_KEY, f"{{{DEPLOYMENT_KEY}}}:synced"),
        channels=(ANNOUNCEMENTS,),
    )
)

# Routes, policies, locks and events as anyone reads them; dead letters, outcomes and totals.
_LOOK = _CONNECT | Use(
    "hmget hget hgetall hvals hscan lrange xrange xread multi exec time "
    "zcard zcount zscore zrangebyscore zrangebylex",
    reads=(LEDGER, LAYOUT, f"{TAG}:*", "signalbox:breakers", "signalbox:pulses"),
)

# `signalbox outcome` of an op_id alone: a command by its name, whoseever it is.
_FIND = Use("scan hexists")

_PERMIT = Use("set", writes=(f"{TAG}:permit:*", f"{TAG}:synced"))

_CHANGE = Use(
    "xrevrange",  # of signed changes, each of which goes on from one that counts
    scripts=(CHANGE, dead.REPLAY, dead.PURGE),
    writes=(
        *(f"{TAG}{name}" for name in ("", ":head", ":fence", ":log", ":routes", ":policies")),
        *(f"{TAG}{name}" for name in (":locks", ":index:*", ":history:*", ":change:*")),
        *(f"{TAG}{name}" for name in (":principals", ":gone", ":tree")),
    ),
)

_RUN_COMMANDS = Use(
    "hmget hget hgetall hlen hscan hset hdel mget smembers time multi exec "
    "zcount zrange zrangebyscore xrange xread",
    scripts=(
        *(ledger.CLAIM, ledger.FINISH, ledger.RENEW, ledger.DUE, ledger.BURY, rate_queue.PACE),
        *(
            parcels.TAKE,
            parcels.END,
            parcels.LATE,
            op_id_sweep.FORGET,
            usage.ALLOW,
            usage.GIVE_BACK,
        ),
    ),
    writes=("signalbox:breakers",),
    reads=(f"{TAG}:*",),
)
# One worker leads each of these (workers/maintenance/election.py), and all give signs of life.
_MAINTAIN = Use(
    "get set pttl zadd zrem zremrangebyscore",
    writes=[
        f"signalbox:{task}" for task in ("archiver", "janitor", "pacer", "reconciler", "pulses")
    ],
)
_ARCHIVE = Use(
    scripts=(TRIM,),
    writes=[f"{TAG}{name}" for name in ("", ":archive", ":head", ":history:*", ":log")],
)

_WORKER = _SUBMIT | _RUN_COMMANDS | _MAINTAIN | _ARCHIVE | _PERMIT
_GATEWAY = _SUBMIT | _LOOK | _PERMIT | _CHANGE

STATE = {
    "producer": _SUBMIT,
    "worker": _WORKER,
    "control": _WORKER | _CHANGE,
    # `routes rebase`, and `routes check --recount`.
    "operator": _GATEWAY | _FIND | Use("hset", scripts=(era.REBASE,)),
    "gateway": _GATEWAY,
    "data_gateway": _SUBMIT | _LOOK,
    "reader": _LOOK | _FIND,
}
