"""What a gateway refuses by itself, and every error code's HTTP status.

HttpError
├── InvalidRequest        INVALID_REQUEST        400
├── Unauthenticated       UNAUTHENTICATED        401
├── ForeignOrigin         FOREIGN_ORIGIN         403
├── WrongToken            WRONG_TOKEN            403
├── NoSuchPath            NO_SUCH_PATH           404
├── MethodNotAllowed      METHOD_NOT_ALLOWED     405
├── RequestTimeout        REQUEST_TIMEOUT        408
├── UnsupportedMediaType  UNSUPPORTED_MEDIA_TYPE 415
├── RangeNotSatisfiable   RANGE_NOT_SATISFIABLE  416
├── WrongHost             WRONG_HOST             421
├── HeadersTooLarge       HEADERS_TOO_LARGE      431
├── NotReady              NOT_READY              503
├── NoRoom                NO_ROOM                503
└── TooManyConnections    TOO_MANY_CONNECTIONS   503
"""

from __future__ import annotations

from collections.abc import Iterator

from signalbox.commands.error import SignalboxError


class HttpError(SignalboxError):
    """A request that reaches no command."""

    code = "HTTP_ERROR"


class InvalidRequest(HttpError):
    code, http_status = "INVALID_REQUEST", 400


class Unauthenticated(HttpError):
    code, http_status = "UNAUTHENTICATED", 401


class ForeignOrigin(HttpError):
    """A page of an origin that was not named."""

    code, http_status = "FOREIGN_ORIGIN", 403


class WrongToken(HttpError):
    """A token that is good for less than this."""

    code, http_status = "WRONG_TOKEN", 403


class NoSuchPath(HttpError):
    code, http_status = "NO_SUCH_PATH", 404


class MethodNotAllowed(HttpError):
    code, http_status = "METHOD_NOT_ALLOWED", 405


class RequestTimeout(HttpError):
    """The request did not come in the time that it may take."""

    code, http_status = "REQUEST_TIMEOUT", 408


class UnsupportedMediaType(HttpError):
    code, http_status = "UNSUPPORTED_MEDIA_TYPE", 415


class RangeNotSatisfiable(HttpError):
    code, http_status = "RANGE_NOT_SATISFIABLE", 416


class WrongHost(HttpError):
    """A name that is not this gateway's: a browser may have been led here by a stranger's DNS."""

    code, http_status = "WRONG_HOST", 421


class HeadersTooLarge(HttpError):
    code, http_status = "HEADERS_TOO_LARGE", 431


class NotReady(HttpError):
    code, http_status, temporary = "NOT_READY", 503, True


class NoRoom(HttpError):
    """A large body, while those of other requests fill what the gateway keeps for them."""

    code, http_status, temporary = "NO_ROOM", 503, True


class TooManyConnections(HttpError):
    code, http_status, temporary = "TOO_MANY_CONNECTIONS", 503, True


def kinds(of: type[SignalboxError] = SignalboxError) -> Iterator[type[SignalboxError]]:
    """Every class of error that has a code of its own."""
    yield of
    for child in of.__subclasses__():
        yield from kinds(child)


STATUS: dict[str, int] = {kind.code: kind.http_status for kind in kinds()}
"""The HTTP status of each error code, as the classes say it. The one exception: a condition of
`If-None-Match` or `If-Match` that does not hold is 412, whatever its code (RFC 9110, 13.1)."""


def status_of(code: str, unknown: int, *, conditional: bool = False) -> int:
    """The status of an error; `unknown` for the code of a worker of another release."""
    if conditional and code in ("ALREADY_EXISTS", "PRECONDITION_FAILED"):
        return 412
    return STATUS.get(code, unknown)
