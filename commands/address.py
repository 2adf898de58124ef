"""Parses SIGNALBOX_STATE_URL and makes clients for it.

    redis://[user:password@]host:port/db              one server; rediss:// with TLS
    unix:///path?db=0                                 one server
    redis+cluster://[user:password@]host:port,…       nodes of a cluster, of which one must answer
    redis+sentinel://[user:password@]host:port,…/service/db
                                                      Sentinels and the name that they watch

With TLS, the last two begin with `rediss`. Parameters after `?` go to redis-py, such as
`ssl_ca_certs`; `sentinel_username` and `sentinel_password` are the credentials of the Sentinels
themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import redis
from redis import DriverInfo
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry
from redis.sentinel import Sentinel

from signalbox.commands.error import InvalidSetting
from signalbox.commands.servers import Address, Cluster, OneServer, Servers
from signalbox.commands.tls import check_tls_files

# Together under five seconds: that long a caller waits before it is told.
CONNECT_SECONDS = 1.5
ANSWER_SECONDS = 3.0
RETRY_SECONDS = 4.0
"""Seconds for which a call is retried during a failover or a move of a slot, before it fails."""

DRIVER = DriverInfo()
"""The library that CLIENT LIST shows. Made once for each process: for a connection without it,
redis-py looks up its own version among the installed packages, which takes 5 ms."""

_URL = re.compile(
    r"(?P<tls>rediss?)\+(?P<form>cluster|sentinel)://"
    r"(?:(?P<login>[^@/?]*)@)?(?P<hosts>[^/?@]+)(?:/(?P<path>[^?]*))?(?:\?(?P<query>.*))?"
)
_HOST = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(?::(?P<port>[0-9]{1,5}))?")
_PORTS = {"cluster": 6379, "sentinel": 26379}


@dataclass(frozen=True)
class ManyServers:
    """The parsed address of a cluster or of Sentinels."""

    form: str
    """`cluster` or `sentinel`."""
    addresses: list[Address]
    """Hosts and ports of the nodes or Sentinels."""
    service: str
    """Name of the primary that the Sentinels watch; empty for a cluster."""
    options: dict[str, Any]
    """Options of redis-py's connections to the servers of the state."""
    sentinel_options: dict[str, Any]
    """Options of redis-py's connections to the Sentinels."""


def servers_of(url: str) -> Servers:
    """Make clients that connect on first use and return bytes. Raises InvalidSetting."""
    check_tls_files(url, "SIGNALBOX_STATE_URL")
    many = read_url(url)
    if many is None:
        return OneServer(_one_server(url))
    if many.form == "cluster":

        def make(address: Address) -> redis.Redis:
            return redis.Redis.from_pool(
                redis.ConnectionPool(host=address[0], port=address[1], **many.options, **_options())
            )

        return Cluster(many.addresses, make, RETRY_SECONDS)
    options = dict(many.options)
    if options.pop("connection_class", None) is redis.SSLConnection:
        options["ssl"] = True
    sentinel = Sentinel(  # type: ignore[no-untyped-call]  # untyped in redis-py
        many.addresses,
        sentinel_kwargs={
            **many.sentinel_options,
            "socket_connect_timeout": CONNECT_SECONDS,
            "socket_timeout": CONNECT_SECONDS,
            "driver_info": DRIVER,
        },
        **options,
        **_options(),
    )
    client: redis.Redis = sentinel.master_for(many.service)  # type: ignore[no-untyped-call]  # untyped in redis-py
    return OneServer(client, RETRY_SECONDS)


def _one_server(url: str) -> redis.Redis:
    """Its client. What redis-py would pass over, or fail on at the first command, is refused."""
    options = _options()
    if url.startswith("unix:"):
        del options["socket_keepalive"]  # it knows none
    try:
        named = urlsplit(url)
        if named.scheme != "unix":
            if not named.hostname:
                raise _wrong("it names no host")
            if not re.fullmatch(r"(/[0-9]*)?", named.path):
                raise _wrong(f"the database is a number, not {named.path[1:]!r}")
        elif not named.path.strip("/"):
            raise _wrong("it names no socket: unix:///path/of/it")
        client: redis.Redis = redis.Redis.from_url(url, **options)
        pool = client.connection_pool
        pool.connection_class(**pool.connection_kwargs)
    except (ValueError, TypeError, redis.RedisError) as error:
        raise _wrong(str(error).removeprefix("AbstractConnection.__init__() ")) from error
    return client


def read_url(url: str) -> ManyServers | None:
    """Parse the address of a cluster or of Sentinels; return None for that of a single server.

    Raises InvalidSetting.
    """
    if not re.match(r"rediss?\+", url):
        return None
    found = _URL.fullmatch(url)
    if found is None:
        raise _wrong("it is not of the form redis+cluster://host:port,… or redis+sentinel://…")
    form, path = found["form"], (found["path"] or "").strip("/")
    addresses = [_address(part, _PORTS[form]) for part in found["hosts"].split(",")]
    service, _, database = path.partition("/")
    if form == "cluster" and path not in ("", "0"):
        raise _wrong("a cluster has one database: nothing stands behind its hosts")
    if form == "sentinel" and not service:
        raise _wrong("the name that the Sentinels watch is missing: …/service/0")
    if database and not database.isdecimal():
        raise _wrong(f"the database behind the service is a number, not {database!r}")
    query = dict(parse_qsl(found["query"] or ""))
    its_own: dict[str, Any] = {
        name: query.pop(f"sentinel_{name}")
        for name in ("username", "password")
        if f"sentinel_{name}" in query
    }
    login = f"{found['login']}@" if found["login"] else ""
    try:
        options = parse_url(f"{found['tls']}://{login}host/{database or 0}?{urlencode(query)}")  # type: ignore[no-untyped-call]  # untyped in redis-py
    except ValueError as error:
        raise _wrong(str(error)) from error
    del options["host"]
    if options.get("connection_class") is redis.SSLConnection:
        # The Sentinels say which server is the primary, so they are to be who they should be too.
        its_own |= {"ssl": True} | {n: v for n, v in options.items() if n.startswith("ssl_")}
    return ManyServers(form, addresses, service if form == "sentinel" else "", options, its_own)


def _options() -> dict[str, Any]:
    return {
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": ANSWER_SECONDS,
        "socket_keepalive": True,
        "health_check_interval": 15,
        "retry": Retry(NoBackoff(), 0),  # whoever asks, asks again
        "driver_info": DRIVER,
    }


def _address(text: str, port: int) -> Address:
    found = _HOST.fullmatch(text)
    if found is None:
        raise _wrong(f"{text!r} is not a host and a port")
    number = int(found["port"] or port)
    if not 0 < number < 65536:
        raise _wrong(f"{number} is no port")
    return found["host"].strip("[]"), number


def _wrong(reason: str) -> InvalidSetting:
    return InvalidSetting(
        f"SIGNALBOX_STATE_URL: {reason}", next_step="see docs/configuration.md for its forms"
    )
