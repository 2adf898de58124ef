"""Pages of keys, and the cursor that leads from one to the next."""

from __future__ import annotations

import base64
import hashlib
import json
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
from adapters.aws.failure import code_of
from adapters.s3.location import Location
from commands.error import InvalidCommand
from commands.object_store import ListObjects, ListResult, ObjectInfo

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def list_page(client: S3Client, location: Location, command: ListObjects) -> ListResult:
    """One page as S3 orders it, in UTF-8 byte order. Raises InvalidCommand for a bad cursor."""
    base = location.prefix("raw")
    binding = _binding(base, command)
    request: dict[str, Any] = {
        "Bucket": location.bucket,
        "Prefix": base + command.prefix,
        "MaxKeys": command.limit,
    }
    if command.delimiter:
        request["Delimiter"] = command.delimiter
    if command.cursor is not None:
        request["ContinuationToken"] = _open_cursor(command.cursor, binding)
    for _ in range(EMPTY_PAGES):
        page: Mapping[str, Any]
        try:
            page = client.list_objects_v2(**request)
        except ClientError as error:
            if command.cursor is not None and code_of(error) in ("InvalidArgument", "InvalidToken"):
                raise _bad_cursor() from error
            raise
        contents, folded = page.get("Contents", []), page.get("CommonPrefixes", [])
        _check(contents, folded, base + command.prefix, command.limit)
        token = None
        if page.get("IsTruncated"):
            token = checked_token(
                "S3", page.get("NextContinuationToken"), request.get("ContinuationToken")
            )
        if contents or folded or token is None:
            break
        # One that holds what was deleted and nothing else, perhaps.
        request["ContinuationToken"] = token
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
        next_cursor=_make_cursor(token, binding) if token else None,
    )


def _check(contents: Sequence[Any], folded: Sequence[Any], prefix: str, most: int) -> None:
    names = [entry["Key"] for entry in contents] + [entry["Prefix"] for entry in folded]
    if len(names) > most:
        raise foreign("S3", "more keys than a page has")
    if not all(name.startswith(prefix) for name in names):
        raise foreign("S3", "keys that are not below the prefix of the list")


def _binding(base: str, command: ListObjects) -> str:
    """Ties a cursor to its scope and question, so that one of another list is refused."""
    text = json.dumps([base, command.prefix, command.delimiter]).encode("ascii")
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def _make_cursor(token: str, binding: str) -> str:
    return base64.urlsafe_b64encode(f"{binding}{token}".encode()).decode("ascii")


def _open_cursor(cursor: str, binding: str) -> str:
    try:
        text = base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True).decode()
    except ValueError:
        raise _bad_cursor() from None
    if not text.startswith(binding) or text == binding or not text.isprintable():
        raise _bad_cursor()
    return text.removeprefix(binding)


def _bad_cursor() -> InvalidCommand:
    return InvalidCommand(
        "the cursor is not one of this list",
        next_step="send next_cursor as it came, with the same prefix and delimiter",
    )
