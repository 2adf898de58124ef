"""The client of the state Redis: one server, the primary that Sentinels name, or a cluster.

Keys that change together share a hash tag, so they are always on one server. On a cluster, a slot
that is being moved is not used until the move has ended: `ASK` is never followed, since a script on
a server with half of its keys would treat the others as missing. KEYS[1] of every script is the
hash tag itself, which is the name of no key, so the server that a slot leaves refuses every script
during the whole move.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Protocol, Self

import redis
from redis.client import PubSub

from signalbox.commands.address import servers_of
from signalbox.commands.exchange import Unit, exchange, exchange_with_one, tag_of
from signalbox.commands.servers import OneServer, Servers
from signalbox.commands.settings import Settings
from signalbox.commands.state_error import refusal_of, state_errors

Call = tuple[Any, ...]
"""A Redis command with its arguments. Its first key determines the server."""

PAUSE_SECONDS = 0.05
MAX_TOLD = 5
"""Maximum number of times that one call loads scripts or follows a moved slot."""
_ELSEWHERE = {"ASK", "TRYAGAIN", "CLUSTERDOWN", "READONLY", "MASTERDOWN", "LOADING"}
"""Refusals that end by themselves once a slot has been moved or a replica promoted."""
_KEY_AT = {"EVALSHA": 3, "XREAD": 6}
"""Index of a call's first key if it is not 1; XREAD is COUNT n BLOCK ms STREAMS key id."""


class _At(tuple[Any, ...]):
    """TIME, and the hash tag of whose server it is asked."""

    key: str

    def __new__(cls, tag: str) -> Self:
        made = super().__new__(cls, ("TIME",))
        made.key = tag
        return made


class Loadable(Protocol):
    """A script that may have to be loaded into a server."""

    source: str
    """Source text of the script."""


class State:
    """A client of the state Redis. Thread-safe; it connects on first use, and returns bytes.

    All methods raise StateUnavailable. A call may be sent twice, since its answer may be lost.
    """

    def __init__(
        self,
        servers: Servers,
        *,
        ledger_shards: int | None = None,
        tenant_shards: int | None = None,
        replicas: int = 0,
    ) -> None:
        self._servers = servers
        self._replicas = replicas
        self.ledger_shards = ledger_shards
        """Number of shards of a new ledger; see commands/ledger/layout.py."""
        self.tenant_shards = tenant_shards
        """Number of queues of each kind that this process uses; None if it uses none."""
        self.is_worker = False
        """True if this process consumes those queues, and so may say how many there are."""
        self.layout: Any = None
        """The layout of the ledger, once that module has read it."""

    def run(
        self,
        calls: Sequence[Call],
        scripts: Sequence[Loadable] = (),
        *,
        after: Sequence[Call] = (),
        durable: bool = False,
    ) -> list[Any]:
        """Send all calls in one round trip to each server, and return their answers in order.

        Calls with the same hash tag run in order. The calls `after` run after all others: in the
        same round trip if one server has all keys, else in a second one. With `durable`, the
        answers wait for as many replicas as are configured. If a server does not know a script,
        `scripts` are loaded and the call is repeated.
        """
        every = [*calls, *after]
        replicas = self._replicas if durable else 0
        first: list[Any] | None = None
        if isinstance(self._servers, OneServer) and not replicas:
            # Nearly all calls go to one server and succeed, at half the price of what is below.
            with state_errors():
                first = exchange_with_one(self._servers.any(), every)
            if not any(isinstance(answer, Exception) for answer in first):
                return first
        units = [Unit(_key_of(call), (call,)) for call in every]
        return self._answers(units, len(calls), scripts, replicas, first)

    def call(self, *call: Any) -> Any:
        """Run one command and return its answer."""
        return self.run([call])[0]

    def atomic(self, calls: Sequence[Call]) -> list[Any]:
        """Run commands with the same hash tag in a transaction, and return their answers."""
        unit = Unit(str(calls[0][1]), (("MULTI",), *calls, ("EXEC",)))
        answers: list[Any] = self._answers([unit], 1, (), 0)[0]
        return answers

    @staticmethod
    def time_call(tag: str) -> Call:
        """Return a call of TIME on the server that has this hash tag, since TIME has no key."""
        return _At(tag)

    def scan(self, match: str, tag: str = "") -> Iterator[bytes]:
        """Yield all keys that match, some perhaps twice.

        Scans every key of all servers, or of the server that has the hash tag `tag`.
        """
        with state_errors():
            for server in [self._servers.of(tag)] if tag else self._servers.all():
                yield from server.scan_iter(match=match, count=1000)

    def scan_hash(self, key: str) -> Iterator[tuple[bytes, bytes]]:
        """Yield fields and values of a large hash in steps, some perhaps twice."""
        cursor = 0
        while True:
            cursor, rows = self.call("HSCAN", key, cursor, "COUNT", 1000)
            yield from rows.items()
            if cursor == 0:
                return

    def publish(self, channel: str, message: str) -> None:
        """Publish a message on a channel."""
        with state_errors():
            self._servers.of(channel).publish(channel, message)

    def subscription(self) -> PubSub:
        """Return a new subscription to all publications; it raises redis.RedisError."""
        with state_errors():
            pubsub: PubSub = self._servers.any().pubsub()  # type: ignore[no-untyped-call]
            return pubsub

    def ping(self) -> None:
        """Return if every server answers."""
        with state_errors():
            for server in self._servers.all():
                server.ping()

    def server(self, key: str = "") -> redis.Redis:
        """Return the client of the server that has this key now; it does not follow a move."""
        with state_errors():
            return self._servers.of(key)

    def close(self) -> None:
        """Close all connections."""
        self._servers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answers(
        self,
        units: list[Unit],
        front: int,
        scripts: Sequence[Loadable],
        replicas: int,
        first: list[Any] | None = None,
    ) -> list[Any]:
        """`first` are answers to all units, some of them errors, if they were sent already."""
        answers: list[Any] = first or [None] * len(units)
        left: Sequence[int] = range(len(units))
        retries = _Retries(self._servers)
        with state_errors():
            while left:
                if first is not None:
                    asked, first = set(left), None
                else:
                    try:
                        parts = self._parts(units, left, front)
                    except redis.RedisError as error:
                        retries.after(error)  # nothing was sent: it is not known where to
                        continue
                    exchange(parts, units, answers, replicas)
                    asked = {index for its in parts.values() for index in its}
                failed = {i: answers[i] for i in asked if isinstance(answers[i], Exception)}
                if failed:
                    self._learn(failed, units, scripts, retries)
                elif len(asked) == len(left):
                    break
                left = _again(units, left, asked, failed, front)
        return answers

    def _parts(
        self, units: Sequence[Unit], left: Sequence[int], front: int
    ) -> dict[redis.Redis, list[int]]:
        """Return what to send now to each server; `after` only if one server has all keys."""
        if isinstance(self._servers, OneServer):
            return {self._servers.any(): list(left)}
        parts: dict[redis.Redis, list[int]] = {}
        for index in left:
            parts.setdefault(self._servers.of(units[index].key), []).append(index)
        if len(parts) == 1 or left[0] >= front or left[-1] < front:
            return parts
        fronts = {client: [i for i in its if i < front] for client, its in parts.items()}
        return {client: its for client, its in fronts.items() if its}

    def _learn(
        self,
        failed: dict[int, redis.RedisError],
        units: Sequence[Unit],
        scripts: Sequence[Loadable],
        retries: _Retries,
    ) -> None:
        """Make what failed succeed the next time. Raises what will not."""
        unknown: set[str] = set()
        for index, error in failed.items():
            if isinstance(error, redis.exceptions.NoScriptError) and scripts:
                unknown.add(units[index].key)
            elif isinstance(error, redis.exceptions.MovedError):
                self._servers.moved(error)
        for client in {self._servers.of(key) for key in unknown}:
            for script in scripts:
                client.script_load(script.source)
        errors = {id(error): error for error in failed.values()}
        retries.after(*errors.values())


def _key_of(call: Call) -> str:
    return call.key if isinstance(call, _At) else str(call[_KEY_AT.get(call[0], 1)])


class _Retries:
    """How long what failed is asked again."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._until = time.monotonic() + servers.retry_seconds
        self._tries = self._told = 0

    def after(self, *errors: redis.RedisError) -> None:
        """Return when it makes sense to ask again. Raises the first error where it does not."""
        self._tries += 1
        over = time.monotonic() > self._until
        rest = told = False
        for error in errors:
            refusal = refusal_of(error)
            if isinstance(error, redis.exceptions.NoScriptError | redis.exceptions.MovedError):
                # The server was told, or the right one is known now.
                told = True
                if self._told > MAX_TOLD:
                    raise error
            elif refusal in _ELSEWHERE:
                self._servers.look_anew()
                rest = True
                if over:
                    raise error
            elif refusal is None and isinstance(error, redis.ConnectionError | redis.TimeoutError):
                self._servers.look_anew()
                rest = True
                # A pooled connection may be stale: it is tried twice in any case.
                if over and self._tries > 1:
                    raise error
            else:
                raise error
        self._told += told
        if rest and self._servers.retry_seconds:
            time.sleep(PAUSE_SECONDS)


def _again(
    units: Sequence[Unit],
    left: Sequence[int],
    asked: Collection[int],
    failed: Collection[int],
    front: int,
) -> list[int]:
    """Return what is to be sent in the next round.

    In each hash tag, these are all calls from the first that failed on, since later ones may rely
    on its effect, and the calls `after`.
    """
    again: list[int] = []
    broken: set[str] = set()
    for index in left:
        tag = tag_of(units[index].key)
        stands_behind = index >= front and bool(again) and again[0] < front
        if index in failed or tag in broken or stands_behind:
            broken.add(tag)
        elif index in asked:
            continue
        again.append(index)
    return again


def connect(
    url: str,
    *,
    ledger_shards: int | None = None,
    tenant_shards: int | None = None,
    replicas: int = 0,
) -> State:
    """Make a client for an address; see `State`. Raises InvalidSetting."""
    return State(
        servers_of(url),
        ledger_shards=ledger_shards,
        tenant_shards=tenant_shards,
        replicas=replicas,
    )


def connect_to(settings: Settings) -> State:
    """Make a client as the settings say. Raises InvalidSetting."""
    return connect(
        settings.state_url,
        ledger_shards=settings.ledger_shards,
        tenant_shards=settings.tenant_shards,
        replicas=settings.state_replicas,
    )


def state_over(client: State | redis.Redis) -> State:
    """Wrap an existing Redis client, such as fakeredis'."""
    return client if isinstance(client, State) else State(OneServer(client))
