"""What SIGNALBOX_BROKER_URL may say: what Celery would pass over, or fail on later, is refused."""

from __future__ import annotations

from kombu.transport import TRANSPORT_ALIASES, resolve_transport
from kombu.utils.url import parse_url

from signalbox.commands.error import InvalidSetting

OURS = "signalbox"
"""Transport option of Signalbox' own apps, which alone get its transports' checks."""
_FORMS = "begin it with redis:// or amqp://; see docs/configuration.md"


def check_broker(url: str) -> None:
    """Raises InvalidSetting if Celery does not speak with such a broker. Calls nobody."""
    for one in url.split(";"):
        _check(one)


def _check(url: str) -> None:
    scheme, separator, _ = url.partition("://")
    if not separator or scheme.partition("+")[0] not in TRANSPORT_ALIASES:
        raise _wrong(f"no broker is reached by {scheme}{separator}")
    if scheme.startswith(("redis+", "rediss+")) and scheme != "redis+socket":
        # Celery would pass over what stands behind it, and use 127.0.0.1:6379.
        raise _wrong(
            f"Celery knows no {scheme}://",
            "name one Redis, or its Sentinels: sentinel://host:26379;sentinel://…",
        )
    try:
        # Not by a Connection: it would remember today's transport, in whose place ours comes later.
        resolve_transport(scheme.partition("+")[0])
        parsed = {} if "+" in scheme else parse_url(url)
    except (ValueError, LookupError) as error:
        raise _wrong(str(error)) from error
    except ImportError as error:
        raise _wrong(f"{scheme}:// needs {error.name}, which is not installed") from error
    database = (parsed.get("virtual_host") or "").strip("/")
    if scheme in ("redis", "rediss") and database and not database.isdecimal():
        raise _wrong(f"the database is a number, not {database!r}")


def _wrong(reason: str, next_step: str = _FORMS) -> InvalidSetting:
    return InvalidSetting(f"SIGNALBOX_BROKER_URL: {reason}", next_step=next_step)
