"""The calls to one table, each within its limit; what DynamoDB leaves undone is asked for again.

Of an answer nothing is taken that was not asked for: an endpoint may be anyone's.

Every write is either conditional or of an item that nothing overwrites, so that botocore's second
attempt does no harm.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from signalbox.adapters.answer import not_asked
from signalbox.adapters.aws.client import bounded
from signalbox.adapters.aws.failure import code_of
from signalbox.adapters.batch import RequestSize
from signalbox.adapters.dynamodb.client import client_for
from signalbox.adapters.dynamodb.config import DynamoDBConfig
from signalbox.adapters.dynamodb.failure import nonsense, translate
from signalbox.adapters.dynamodb.item import Item, key_of, keyed
from signalbox.adapters.dynamodb.key import Key
from signalbox.adapters.port import TimeLimit
from signalbox.adapters.stored import UNREADABLE, readable
from signalbox.commands.scope import Scope

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TRANSACTION = RequestSize(100, 3 * 1024 * 1024)
"""Items of one, and their bytes. DynamoDB takes 4 MB."""
MAX_READS = 100
"""Items in a BatchGetItem."""
MAX_PUTS = 25
"""Items in a BatchWriteItem."""
ROUNDS = 8
PAUSE = 0.05
"""Seconds at most before the second round; doubles with each."""
_CONFLICTS = 4


class ItemRefused(Exception):
    """The condition of a put does not hold; `found` is what is there (None: nothing)."""

    def __init__(self, found: Item | None) -> None:
        self.found = found


class Cancelled(Exception):
    """A transaction did nothing; for each of its items the reason's code (`None`: it was not to
    blame) and what is there, if its condition did not hold."""

    def __init__(self, reasons: list[tuple[str, Item | None]]) -> None:
        self.reasons = reasons


class Table:
    """One table for one scope. Thread-safe; raises botocore's errors, and Expired."""

    def __init__(self, config: DynamoDBConfig, scope: Scope) -> None:
        self._config = config
        self._scope = scope

    def get(self, key: Key, limit: TimeLimit) -> Item | None:
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
        """Those of up to 100 distinct items that are there, as they are now, with only the
        attributes `names`."""
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
            # DynamoDB asks for a growing pause before the rest is asked for again.
            time.sleep(min(pause, limit.remaining()))
        raise _throttled("BatchGetItem")

    def put(self, put: Mapping[str, Any], limit: TimeLimit) -> None:
        """Do one conditional put. Raises ItemRefused."""
        for pause in _pauses(_CONFLICTS):
            try:
                self._ask(limit, "put_item", **put)
                return
            except ClientError as error:
                if code_of(error) == "ConditionalCheckFailedException":
                    raise ItemRefused(_there(error.response, put)) from None
                if code_of(error) != "TransactionConflictException":
                    raise
            # Another transaction is on the row: it is over in a moment.
            time.sleep(min(pause, limit.remaining()))
        raise _throttled("PutItem", "TransactionConflictException")

    def condition(
        self, item: Item, expression: str, names: dict[str, str], values: Item
    ) -> dict[str, Any]:
        """A put that holds only if `expression` does, for `put` and `transact`."""
        put: dict[str, Any] = {
            "TableName": self._config.table,
            "Item": item,
            "ConditionExpression": expression,
            "ExpressionAttributeNames": names,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        # An empty one is refused.
        return put | {"ExpressionAttributeValues": values} if values else put

    def transact(self, puts: Sequence[Mapping[str, Any]], limit: TimeLimit) -> None:
        """Do up to 100 conditional puts, all or none. Raises Cancelled."""
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
        """Put up to 25 items of distinct keys, without a condition; what DynamoDB had no
        capacity for, however often it was asked in time."""
        table, left = self._config.table, {key_of(item): item for item in items}
        for pause in _pauses():
            puts = [{"PutRequest": {"Item": item}} for item in left.values()]
            answer = self._ask(limit, "batch_write_item", RequestItems={table: puts})
            entries = answer.get("UnprocessedItems", {}).get(table, [])
            with readable("an answer"):
                keys = [key_of(entry["PutRequest"]["Item"]) for entry in entries]
            if not set(keys) <= left.keys():
                raise not_asked("other items")
            # Ours, not what came back under their keys.
            left = {key: left[key] for key in keys}
            if not left or pause >= limit.remaining():
                break
            time.sleep(pause)
        return list(left.values())

    def walk(
        self,
        pk: str,
        limit: TimeLimit,
        *,
        behind: bytes | None = None,
        between: tuple[bytes, bytes] | None = None,
        descending: bool = False,
        first: int | None = None,
        texts: Sequence[str] = (),
    ) -> Iterator[Item]:
        """A partition's items in order, as they are asked for: `first` of them with the first
        request, then a mebibyte a request. `behind` is a place in that order, `between` both
        ends. Of rows those are left out that lack one of the `texts`."""
        values: Item = {":pk": {"S": pk}}
        condition = "pk = :pk"
        if behind is not None:
            condition += " AND sk < :sk" if descending else " AND sk > :sk"
            values[":sk"] = {"B": behind}
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
            # It reads them all the same, and sends fewer.
            query["FilterExpression"] = " AND ".join(
                f"contains(#row, :text{number})" for number in range(len(texts))
            )
            query["ExpressionAttributeNames"] = {"#row": "row"}
            values |= {f":text{number}": {"S": text} for number, text in enumerate(texts)}
        if first is not None:
            query["Limit"] = first
        track = _Track(pk, descending, behind, between)
        while True:
            answer = self._ask(limit, "query", **query)
            for item in answer.get("Items", []):
                track.step(key_of(item))
                yield item
            if not (last := answer.get("LastEvaluatedKey")):
                return
            query["ExclusiveStartKey"] = keyed(track.end(key_of(last)))
            query.pop("Limit", None)

    def _ask(self, limit: TimeLimit, method: str, **request: Any) -> dict[str, Any]:
        """One request and its answer, in time. Raises botocore's ClientError, and
        Unavailable and the like for everything else that it may come to."""
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
        # Asked anew each time, so that a forked child never uses its parent's.
        return client_for(self._config, self._scope)


class _Track:
    """The order in which a partition's items come, and between which ends."""

    def __init__(
        self,
        pk: str,
        descending: bool,
        behind: bytes | None,
        between: tuple[bytes, bytes] | None,
    ) -> None:
        self._pk, self._descending = pk, descending
        self._place = behind
        self._between = between
        self._page_end: bytes | None = None

    def step(self, key: Key) -> None:
        """An item comes. Raises IntegrityMismatch for one that was not asked for."""
        self._check(key, strictly=True)
        self._place = key.sk

    def end(self, key: Key) -> Key:
        """A page ends there. Raises IntegrityMismatch where that leads back."""
        before = self._place
        self._check(key, strictly=False)
        if key.sk == before == self._page_end:
            raise not_asked("pages without an end")
        self._place = self._page_end = key.sk
        return key

    def _check(self, key: Key, *, strictly: bool) -> None:
        if key.pk != self._pk:
            raise not_asked("items of another place")
        if self._between and not self._between[0] <= key.sk <= self._between[1]:
            raise not_asked("items out of range")
        if self._place is None or (key.sk == self._place and not strictly):
            return
        if key.sk == self._place or (key.sk < self._place) is not self._descending:
            raise not_asked("items in another order")


def _there(answer: Any, put: Mapping[str, Any]) -> Item | None:
    """What stands in the place of the put, as far as it was told."""
    found: Item | None = answer.get("Item")
    if found and key_of(found) != key_of(put["Item"]):
        raise not_asked("another item")
    return found or None


def _projection(*names: str) -> dict[str, Any]:
    places = {f"#{number}": name for number, name in enumerate(names)}
    return {"ProjectionExpression": ",".join(places), "ExpressionAttributeNames": places}


def _pauses(rounds: int = ROUNDS) -> Iterator[float]:
    for number in range(rounds):
        yield random.uniform(0, PAUSE * 2**number)


def _throttled(operation: str, code: str = "ProvisionedThroughputExceededException") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, operation)
