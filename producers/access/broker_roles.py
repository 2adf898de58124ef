"""Table of what each role does on a Redis broker.

The keys are kombu's: a list for each queue, `_kombu.binding.*` for bindings, and `unacked*` for
unacknowledged messages. Remote control and events are publications, whose channels begin with the
number of the database. See tests/integration/test_acl.py.
"""

from __future__ import annotations

from signalbox.commands.scope import ResourceKind
from signalbox.producers.access.rules import Use

_CONNECT = Use("ping select client|setinfo multi exec")
_KINDS = tuple(ResourceKind)
_DATA = tuple(f"{kind}.*" for kind in _KINDS)
_OTHERS = ("routing.*", "commands.*")
_BINDINGS = ("_kombu.binding.", "_kombu.binding_permanent.")

_REPLIES = "*.reply.celery.pidbox"


def _bound(*names: str) -> tuple[str, ...]:
    return tuple(f"{binding}{name}" for binding in _BINDINGS for name in names)


# Our queues are bound to one exchange, those of a service's own Celery each to its own.
_SEND = _CONNECT | Use("lpush llen sadd", writes=(*_DATA, *_bound("commands.0", *_DATA)))
_SEND_ALL = _SEND | Use(writes=(*_OTHERS, *_bound(*_OTHERS)))


def broker_roles(database: int) -> dict[str, Use]:
    """Return the uses of each role for a broker in this database."""
    control, events = f"/{database}.celery.pidbox", f"/{database}.celeryev/"
    # Kombu's scripts for queues that expire: an exchange's table goes with its last queue.
    bind = Use(
        "evalsha script|load script|exists sadd srem zadd zrangebyscore zrem exists del time",
        writes=(
            "_kombu.binding_deadlines",
            *_bound("celeryev", "celery.pidbox", "reply.celery.pidbox"),
        ),
    )
    ask = _CONNECT | bind | Use("publish brpop llen", writes=(_REPLIES,), channels=(control,))
    count = Use("exists llen", reads=(*_DATA, *_OTHERS))
    work = Use(
        "brpop rpush hset hdel hget zadd zrem zrange watch unwatch set get "
        "psubscribe punsubscribe publish smembers",
        writes=("unacked", "unacked_index", "unacked_mutex", "*.celery.pidbox"),
        channels=(control, f"{events}*"),
    )
    return {
        "producer": _SEND,
        "worker": _SEND_ALL | bind | work,
        "control": _SEND_ALL | bind | work,
        "operator": _SEND_ALL | ask | count,
        "gateway": _SEND_ALL | ask | count,
        "data_gateway": _SEND | ask | count,
        "reader": ask | count,
        "flower": ask
        | count
        | Use("psubscribe punsubscribe", writes=("celeryev.*",), channels=(f"{events}*",)),
    }
