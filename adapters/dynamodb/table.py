"""Requests to one table, each within its time limit; unprocessed parts are requested again.

Nothing in a response is used that was not requested: the endpoint may be anyone's. Every write is
conditional or of an item that is never overwritten, so that botocore's retry does no harm.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from signalbox.adapters.aws.client import bounded
from signalbox.adapters.aws.failure import code_of
from signalbox.adapters.batch import RequestSize
from signalbox.adapters.dynamodb.client import client_for
from signalbox.adapters.dynamodb.config import DynamoDBConfig
from signalbox.adapters.dynamodb.failure import nonsense, translate
from signalbox.adapters.dynamodb.item import Item, key_of, keyed
from signalbox.adapters.dynamodb.key import Key
from signalbox.adapters.port import TimeLimit
from signalbox.adapters.response_check import not_asked
from signalbox.adapters.stored import UNREADABLE, readable
from signalbox.commands.scope import Scope

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TRANSACTION = RequestSize(100, 3 * 1024 * 1024)
"""Maximum items and bytes of a transaction; DynamoDB allows 4 MB."""
MAX_READS = 100
"""Maximum items of a BatchGetItem."""
MAX_PUTS = 25
"""Maximum items of a BatchWriteItem."""
ROUNDS = 8
"""Maximum number of requests for unprocessed items."""
PAUSE = 0.05
"""Maximum seconds before the second request; doubles with each."""
_CONFLICTS = 4


class ItemRefused(Exception):
    """The condition of a put failed."""

    def __init__(self, found: Item | None) -> None:
        self.found = found
        """The existing item; None if there is none."""


class Cancelled(Exception):
    """A transaction was cancelled and did nothing."""

    def __init__(self, reasons: list[tuple[str, Item | None]]) -> None:
        self.reasons = reasons
        """For each item the code of its reason (`None` if it was not the cause), and the existing
        item if its condition failed."""


class Table:
    """One table for one scope. Thread-safe; raises botocore's errors, and Expired."""

    def __init__(self, config: DynamoDBConfig, scope: Scope) -> None:
        self._config = config
        self._scope = scope

    def get(self, key: Key, limit: TimeLimit) -> Item | None:
        """Read one item; None if it does not exist."""
        answer = self._ask(
            limit,
            "get_item",
            TableName=self._config.table,
            Key=keyed(key),
            ConsistentRead=self._config.consistent_read,
        )
        found: Item | None = answer.get("Item")
        if found is not None and key_of(found) != key:
            raise not_asked("another item")
        return found

    def read(self, keys: Sequence[Key], limit: TimeLimit, *names: str) -> dict[Key, Item]:
        """Read up to 100 different items as they are now, with only the attributes `names`.

        Missing items are left out.
        """
        table, projection = self._config.table, _projection("pk", "sk", *names)
        wanted, found = list(keys), dict[Key, Item]()
        for pause in _pauses():
            request = {"Keys": [keyed(key) for key in wanted], "ConsistentRead": True, **projection}
            answer = self._ask(limit, "batch_get_item", RequestItems={table: request})
            for item in answer.get("Responses", {}).get(table, []):
                found[key_of(item)] = item
            left = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
            unprocessed = {key_of(item) for item in left}
            if not found.keys() | unprocessed <= set(keys):
                raise not_asked("other items")
            wanted = [key for key in wanted if key in unprocessed]
            if not wanted:
                return found
            # DynamoDB asks for a growing pause before the rest is requested again.
            time.sleep(min(pause, limit.remaining()))
        raise _throttled("BatchGetItem")

    def put(self, put: Mapping[str, Any], limit: TimeLimit) -> None:
        """Make one conditional put. Raises ItemRefused."""
        for pause in _pauses(_CONFLICTS):
            try:
                self._ask(limit, "put_item", **put)
                return
            except ClientError as error:
                if code_of(error) == "ConditionalCheckFailedException":
                    raise ItemRefused(_there(error.response, put)) from None
                if code_of(error) != "TransactionConflictException":
                    raise
            # A transaction on the row is running; it ends in a moment.
            time.sleep(min(pause, limit.remaining()))
        raise _throttled("PutItem", "TransactionConflictException")

    def condition(
        self, item: Item, expression: str, names: dict[str, str], values: Item
    ) -> dict[str, Any]:
        """Return a put on condition of `expression`, for `put` and `transact`."""
        put: dict[str, Any] = {
            "TableName": self._config.table,
            "Item": item,
            "ConditionExpression": expression,
            "ExpressionAttributeNames": names,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        # DynamoDB refuses an empty one.
        return put | {"ExpressionAttributeValues": values} if values else put

    def transact(self, puts: Sequence[Mapping[str, Any]], limit: TimeLimit) -> None:
        """Make up to 100 conditional puts, all or none. Raises Cancelled."""
        actions: Any = [{"Put": put} for put in puts]
        try:
            self._ask(limit, "transact_write_items", TransactItems=actions)
        except ClientError as error:
            reasons: Any = error.response.get("CancellationReasons")
            if code_of(error) != "TransactionCanceledException" or not reasons:
                raise
            if len(reasons) != len(puts):
                raise nonsense(IndexError()) from error
            found = [
                (str(reason.get("Code", "None")), _there(reason, put))
                for reason, put in zip(reasons, puts, strict=True)
            ]
            raise Cancelled(found) from None

    def write(self, items: Sequence[Item], limit: TimeLimit) -> list[Item]:
        """Put up to 25 items with different keys, unconditionally.

        Return those that were not written. These are items for which DynamoDB had no capacity
        within the limit.
        """
        table, left = self._config.table, {key_of(item): item for item in items}
        for pause in _pauses():
            puts = [{"PutRequest": {"Item": item}} for item in left.values()]
            answer = self._ask(limit, "batch_write_item", RequestItems={table: puts})
            entries = answer.get("UnprocessedItems", {}).get(table, [])
            with readable("an answer"):
                keys = [key_of(entry["PutRequest"]["Item"]) for entry in entries]
            if not set(keys) <= left.keys():
                raise not_asked("other items")
            # Our own items, not what was returned with their keys.
            left = {key: left[key] for key in keys}
            if not left or pause >= limit.remaining():
                break
            # DynamoDB asks for a growing pause here too; the time limit bounds it.
            time.sleep(pause)
        return list(left.values())

    def walk(
        self,
        pk: str,
        limit: TimeLimit,
        *,
        after: bytes | None = None,
        between: tuple[bytes, bytes] | None = None,
        descending: bool = False,
        first: int | None = None,
        texts: Sequence[str] = (),
    ) -> Iterator[Item]:
        """Iterate over a partition's items in order, requested when they are needed.

        The first request reads `first` items, later ones a mebibyte. `after` is the sort key after
        which to begin; `between` are both ends, inclusive. Rows without one of the `texts` are left
        out.
        """
        values: Item = {":pk": {"S": pk}}
        condition = "pk = :pk"
        if after is not None:
            condition += " AND sk < :sk" if descending else " AND sk > :sk"
            values[":sk"] = {"B": after}
        if between is not None:
            condition += " AND sk BETWEEN :low AND :high"
            values |= {":low": {"B": between[0]}, ":high": {"B": between[1]}}
        query: dict[str, Any] = {
            "TableName": self._config.table,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": values,
            "ConsistentRead": self._config.consistent_read,
            "ScanIndexForward": not descending,
        }
        if texts:
            # DynamoDB reads them all the same, but sends fewer.
            query["FilterExpression"] = " AND ".join(
                f"contains(#row, :text{number})" for number in range(len(texts))
            )
            query["ExpressionAttributeNames"] = {"#row": "row"}
            values |= {f":text{number}": {"S": text} for number, text in enumerate(texts)}
        if first is not None:
            query["Limit"] = first
        track = _Track(pk, descending, after, between)
        while True:
            answer = self._ask(limit, "query", **query)
            for item in answer.get("Items", []):
                track.step(key_of(item))
                yield item
            if not (last := answer.get("LastEvaluatedKey")):
                return
            query["ExclusiveStartKey"] = keyed(track.end(key_of(last)))
            query.pop("Limit", None)

    def scan(
        self, beginning: str, limit: TimeLimit, *, after: Key | None
    ) -> tuple[list[Key], Key | None]:
        """Read a mebibyte of the table, of all its tenants, in no order.

        Returns the keys of those items whose partition key has this beginning, and the key after
        which to go on; None at the end.
        """
        request: dict[str, Any] = {
            "TableName": self._config.table,
            "FilterExpression": "begins_with(#0, :beginning)",
            "ExpressionAttributeValues": {":beginning": {"S": beginning}},
            "ConsistentRead": self._config.consistent_read,
            **_projection("pk", "sk"),
        }
        if after is not None:
            request["ExclusiveStartKey"] = keyed(after)
        answer = self._ask(limit, "scan", **request)
        keys = [key_of(item) for item in answer.get("Items", [])]
        if not all(key.pk.startswith(beginning) for key in keys):
            raise not_asked("items of another partition")
        last = answer.get("LastEvaluatedKey")
        return keys, key_of(last) if last else None

    def _ask(self, limit: TimeLimit, method: str, **request: Any) -> dict[str, Any]:
        """Make one request within the limit and return its response.

        Raises botocore's ClientError, and Unavailable and so on for any other failure.
        """
        with bounded(limit):
            try:
                answer: dict[str, Any] = getattr(self._client, method)(**request)
            except ClientError:
                raise
            except (BotoCoreError, OSError) as error:
                raise translate(error) from error
            except UNREADABLE as error:
                raise nonsense(error) from error
            if type(answer) is not dict:
                raise nonsense(TypeError())
            return answer

    @property
    def _client(self) -> DynamoDBClient:
        # Looked up each time, so that a forked child never uses its parent's client.
        return client_for(self._config, self._scope)


class _Track:
    """Checks that items of a partition arrive in order and in range."""

    def __init__(
        self,
        pk: str,
        descending: bool,
        after: bytes | None,
        between: tuple[bytes, bytes] | None,
    ) -> None:
        self._pk, self._descending = pk, descending
        self._position = after
        self._between = between
        self._page_end: bytes | None = None

    def step(self, key: Key) -> None:
        """Record an item. Raises IntegrityMismatch for one that was not requested."""
        self._check(key, strictly=True)
        self._position = key.sk

    def end(self, key: Key) -> Key:
        """Record the end of a page. Raises IntegrityMismatch if it leads back."""
        before = self._position
        self._check(key, strictly=False)
        if key.sk == before == self._page_end:
            raise not_asked("pages without an end")
        self._position = self._page_end = key.sk
        return key

    def _check(self, key: Key, *, strictly: bool) -> None:
        if key.pk != self._pk:
            raise not_asked("items of another position")
        if self._between and not self._between[0] <= key.sk <= self._between[1]:
            raise not_asked("items out of range")
        if self._position is None or (key.sk == self._position and not strictly):
            return
        if key.sk == self._position or (key.sk < self._position) is not self._descending:
            raise not_asked("items in another order")


def _there(answer: Any, put: Mapping[str, Any]) -> Item | None:
    """Return the existing item in place of the put, if the response has it."""
    found: Item | None = answer.get("Item")
    if found and key_of(found) != key_of(put["Item"]):
        raise not_asked("another item")
    return found or None


def _projection(*names: str) -> dict[str, Any]:
    placeholders = {f"#{number}": name for number, name in enumerate(names)}
    return {
        "ProjectionExpression": ",".join(placeholders),
        "ExpressionAttributeNames": placeholders,
    }


def _pauses(rounds: int = ROUNDS) -> Iterator[float]:
    for number in range(rounds):
        yield random.uniform(0, PAUSE * 2**number)


def _throttled(operation: str, code: str = "ProvisionedThroughputExceededException") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, operation)
