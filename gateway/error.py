"""What a gateway refuses by itself, and every error code's HTTP status.

HttpError
├── InvalidRequest        INVALID_REQUEST        400
├── Unauthenticated       UNAUTHENTICATED        401
├── TokenInvalid          TOKEN_INVALID          401
├── TokenExpired          TOKEN_EXPIRED          401
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
├── TooManyConnections    TOO_MANY_CONNECTIONS   503
└── IssuerUnavailable     ISSUER_UNAVAILABLE     503
"""

from __future__ import annotations

from collections.abc import Iterator

from signalbox.commands.error import SignalboxError


class HttpError(SignalboxError):
    """A request that is refused before it becomes a command."""

    code = "HTTP_ERROR"


class InvalidRequest(HttpError):
    """The request is malformed."""

    code, http_status = "INVALID_REQUEST", 400


class Unauthenticated(HttpError):
    """The request needs a valid token."""

    code, http_status = "UNAUTHENTICATED", 401


class TokenInvalid(HttpError):
    """The token is malformed, forged, for something else, or of a key or principal that ended."""

    code, http_status = "TOKEN_INVALID", 401


class TokenExpired(HttpError):
    """The token was valid, and its time is over."""

    code, http_status = "TOKEN_EXPIRED", 401


class ForeignOrigin(HttpError):
    """A web page of this origin may not use the gateway."""

    code, http_status = "FOREIGN_ORIGIN", 403


class WrongToken(HttpError):
    """The token is valid, but not for this request."""

    code, http_status = "WRONG_TOKEN", 403


class NoSuchPath(HttpError):
    """The path does not exist."""

    code, http_status = "NO_SUCH_PATH", 404


class MethodNotAllowed(HttpError):
    """The path does not have this method."""

    code, http_status = "METHOD_NOT_ALLOWED", 405


class RequestTimeout(HttpError):
    """The request did not arrive in time."""

    code, http_status = "REQUEST_TIMEOUT", 408


class UnsupportedMediaType(HttpError):
    """The body has a media type that is not accepted."""

    code, http_status = "UNSUPPORTED_MEDIA_TYPE", 415


class RangeNotSatisfiable(HttpError):
    """The object does not have the requested bytes."""

    code, http_status = "RANGE_NOT_SATISFIABLE", 416


class WrongHost(HttpError):
    """The host name is not this gateway's: DNS rebinding may have led a browser here."""

    code, http_status = "WRONG_HOST", 421


class HeadersTooLarge(HttpError):
    """The request line and headers are too large or too many."""

    code, http_status = "HEADERS_TOO_LARGE", 431


class NotReady(HttpError):
    """The gateway is stopping, or no worker is running."""

    code, http_status, temporary = "NOT_READY", 503, True


class NoRoom(HttpError):
    """The body is large, and those of other requests use all memory for bodies."""

    code, http_status, temporary = "NO_ROOM", 503, True


class TooManyConnections(HttpError):
    """All connections are in use."""

    code, http_status, temporary = "TOO_MANY_CONNECTIONS", 503, True


class IssuerUnavailable(HttpError):
    """The issuer of tokens does not tell its keys, and none are known here."""

    code, http_status, temporary = "ISSUER_UNAVAILABLE", 503, True


def kinds(of: type[SignalboxError] = SignalboxError) -> Iterator[type[SignalboxError]]:
    """Yield the class and all its subclasses."""
    yield of
    for child in of.__subclasses__():
        yield from kinds(child)


STATUS: dict[str, int] = {kind.code: kind.http_status for kind in kinds()}
"""HTTP status of each error code, as the class defines it. One exception: a failed condition of
`If-None-Match` or `If-Match` is 412, whatever its code (RFC 9110, 13.1)."""


def status_of(code: str, unknown: int, *, conditional: bool = False) -> int:
    """Return the status of an error; `unknown` for a code of a worker of another release."""
    if conditional and code in ("ALREADY_EXISTS", "PRECONDITION_FAILED"):
        return 412
    return STATUS.get(code, unknown)
