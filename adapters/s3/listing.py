"""Pages of keys, and the cursor that leads from one to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from adapters.answer import (
    EMPTY_PAGES,
    checked_etag,
    checked_size,
    checked_token,
    foreign,
    unreadable,
)
from adapters.aws.failure import code_of, status_of
from adapters.cursor import cursor_refused, make_cursor, open_cursor, page_behind
from adapters.s3.location import Location
from commands.object_store import ListObjects, ListResult, ObjectInfo

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def list_page(client: S3Client, location: Location, command: ListObjects) -> ListResult:
    """One page as S3 orders it, in UTF-8 byte order. Raises InvalidCommand for a bad cursor."""
    base = location.prefix("raw")
    request: dict[str, Any] = {
        "Bucket": location.bucket,
        "Prefix": base + command.prefix,
        "MaxKeys": command.limit,
    }
    if command.delimiter:
        request["Delimiter"] = command.delimiter

    def ask(token: str | None) -> Mapping[str, Any]:
        place: dict[str, Any] = {} if token is None else {"ContinuationToken": token}
        return client.list_objects_v2(**request, **place)

    token = None if command.cursor is None else _token(command, command.cursor)
    for number in range(EMPTY_PAGES):
        try:
            page = ask(token) if number else page_behind(token, ask, _is_fault)
        except ClientError as error:
            if command.cursor is not None and code_of(error) in ("InvalidArgument", "InvalidToken"):
                raise cursor_refused() from error
            raise
        contents, folded = page.get("Contents", []), page.get("CommonPrefixes", [])
        _check(contents, folded, base + command.prefix, command.limit)
        following = page.get("NextContinuationToken")
        token = checked_token("S3", following, token) if page.get("IsTruncated") else None
        # One that is empty holds what was deleted and nothing else, perhaps.
        if contents or folded or token is None:
            break
    else:
        raise unreadable("S3", "the list has nothing but empty pages")
    return ListResult(
        objects=[
            ObjectInfo(
                key=entry["Key"].removeprefix(base),
                size=checked_size("S3", entry["Size"]),
                etag=checked_etag("S3", entry["ETag"]),
                modified=entry["LastModified"],
            )
            for entry in contents
            # Consoles make an empty object of this name when one creates a "folder".
            if entry["Key"] != base
        ],
        prefixes=[
            entry["Prefix"].removeprefix(base) for entry in folded if entry["Prefix"] != base
        ],
        next_cursor=make_cursor(command, token) if token else None,
    )


def _check(contents: Sequence[Any], folded: Sequence[Any], prefix: str, most: int) -> None:
    names = [entry["Key"] for entry in contents] + [entry["Prefix"] for entry in folded]
    if len(names) > most:
        raise foreign("S3", "more keys than a page has")
    if not all(name.startswith(prefix) for name in names):
        raise foreign("S3", "keys that are not below the prefix of the list")


def _is_fault(error: Exception) -> bool:
    # 503 asks to slow down.
    return isinstance(error, ClientError) and status_of(error) in (500, 501, 502)


def _token(command: ListObjects, cursor: str) -> str:
    token = open_cursor(command, cursor)
    if not (isinstance(token, str) and token and token.isprintable()):
        raise cursor_refused()
    return token
