"""ACLs of a deployment: a user for each role with a password, on the state or the broker."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from signalbox.commands.error import InvalidSetting, LocalFileError
from signalbox.commands.settings import Settings
from signalbox.producers.access.broker_roles import broker_roles
from signalbox.producers.access.rules import Anything, Use
from signalbox.producers.access.state_roles import STATE

ADMIN = "admin"
ROLES = (ADMIN, *STATE, "flower")
READERS = ("reader", "flower")
LEAST_LENGTH = 16
_HASH = re.compile(r"#[0-9a-f]{64}")


def roles_on(server: str, settings: Settings) -> Mapping[str, Use]:
    """Return what each role needs on `state` or `broker`, or on both if they are one server.

    Raises InvalidSetting if the broker is no Redis.
    """
    on_state, on_broker = dict(STATE), dict[str, Use]()
    if settings.broker_url.startswith(("redis", "unix", "sentinel")):
        on_broker = broker_roles(_database(settings.broker_url))
    elif server == "broker":
        raise InvalidSetting(
            "SIGNALBOX_BROKER_URL names no Redis, which alone has these rules",
            next_step="see docs/security.md for RabbitMQ",
        )
    if _server(settings.state_url) == _server(settings.broker_url):
        # A server has one set of users for all of its databases.
        names = dict.fromkeys([*on_state, *on_broker])
        return {name: on_state.get(name, Use()) | on_broker.get(name, Use()) for name in names}
    return on_state if server == "state" else on_broker


def users(
    roles: Mapping[str, Use], passwords: Mapping[str, Sequence[str]], *, with_reads: bool = True
) -> dict[str, list[str]]:
    """Return the rules of each user with a password; see `Use.rules`.

    Raises InvalidSetting for a user that may only read, on a server that cannot enforce that.
    """
    for name in READERS if not with_reads else ():
        if name in passwords and name in roles and roles[name].writes:
            raise InvalidSetting(
                f"Redis 6.2 cannot keep {name} from deleting what it may read",
                next_step="take its password out of the file, or use Redis 7 or Valkey",
            )
    known: dict[str, Use | Anything] = {ADMIN: Anything(), **roles}
    return {
        name: ["on", *passwords[name], *role.rules(with_reads=with_reads)]
        for name, role in known.items()
        if name in passwords
    }


def read_passwords(path: Path) -> dict[str, list[str]]:
    """Return the passwords of each role as `#` and SHA-256.

    A line of the file is a role and a password, or such a digest. Raises LocalFileError and
    InvalidSetting, which do not quote passwords.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise LocalFileError(f"{path} cannot be read: {type(error).__name__}") from None
    found: dict[str, list[str]] = defaultdict(list)
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("//"):
            continue
        role, _, password = line.strip().partition(" ")
        at = f"{path}, line {number}"
        if role not in ROLES:
            raise InvalidSetting(
                f"{at}: no role is called so", next_step=f"one of {', '.join(ROLES)}"
            )
        password = password.strip()
        if not _HASH.fullmatch(password):
            if len(password) < LEAST_LENGTH or not password.isprintable() or " " in password:
                raise InvalidSetting(
                    f"{at}: the password of {role} has less than {LEAST_LENGTH} characters, or a "
                    "blank in it",
                    next_step="make one with `openssl rand -hex 32`",
                )
            password = "#" + hashlib.sha256(password.encode()).hexdigest()
        found[role].append(password)
    return dict(found)


def _server(url: str) -> tuple[str, ...]:
    """Return the server of an address, without user and database."""
    hosts = [part.rpartition("@")[2] for part in urlsplit(url).netloc.split(",")]
    return tuple(sorted(hosts)) if any(hosts) else (urlsplit(url).path,)


def _database(url: str) -> int:
    parts = urlsplit(url.partition(";")[0])
    asked = parse_qs(parts.query)
    text = (asked.get("db") or asked.get("virtual_host") or [parts.path.strip("/")])[0]
    return int(text) if text.isdecimal() else 0
