"""The calls to one table, each within the lease; what DynamoDB leaves undone is asked for again.

Every write is either conditional or of an item that nothing overwrites, so that botocore's second
attempt does no harm.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from adapters.aws.client import leased
from adapters.aws.failure import code_of
from adapters.dynamodb.client import client_for
from adapters.dynamodb.config import DynamoDBConfig
from adapters.dynamodb.item import Item, key_of, keyed
from adapters.dynamodb.key import Key
from adapters.port import Call
from commands.scope import Scope

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MOST_READS = 100
"""Items in a BatchGetItem."""
MOST_PUTS = 25
"""Items in a BatchWriteItem."""
ROUNDS = 8
PAUSE = 0.05
"""Seconds at most before the second round; doubles with each."""
_CONFLICTS = 4


class Refused(Exception):
    """The condition of a put does not hold; `found` is what is there (None: nothing)."""

    def __init__(self, found: Item | None) -> None:
        self.found = found


class Cancelled(Exception):
    """A transaction did nothing; for each of its items the reason's code (`None`: it was not to
    blame) and what is there, if its condition did not hold."""

    def __init__(self, reasons: list[tuple[str, Item | None]]) -> None:
        self.reasons = reasons


class Table:
    """One table for one scope. Thread-safe; raises botocore's errors, and LeaseExpired."""

    def __init__(self, config: DynamoDBConfig, scope: Scope) -> None:
        self._config = config
        self._scope = scope

    def get(self, key: Key, call: Call) -> Item | None:
        with leased(call):
            answer: Any = self._client.get_item(
                TableName=self._config.table,
                Key=keyed(key),
                ConsistentRead=self._config.consistent_read,
            )
        found: Item | None = answer.get("Item")
        return found

    def read(self, keys: Sequence[Key], call: Call, *names: str) -> dict[Key, Item]:
        """Those of up to 100 distinct items that are there, as they are now, with only the
        attributes `names`."""
        wanted: Any = {
            "Keys": [keyed(key) for key in keys],
            "ConsistentRead": True,
            **_projection("pk", "sk", *names),
        }
        found: dict[Key, Item] = {}
        for pause in _pauses():
            with leased(call):
                answer: Any = self._client.batch_get_item(RequestItems={self._config.table: wanted})
            for item in answer["Responses"].get(self._config.table, []):
                found[key_of(item)] = item
            wanted = answer.get("UnprocessedKeys", {}).get(self._config.table)
            if not wanted:
                return found
            time.sleep(min(pause, call.remaining()))
        raise _throttled("BatchGetItem")

    def put(self, put: Mapping[str, Any], call: Call) -> None:
        """Do one conditional put. Raises Refused."""
        for pause in _pauses(_CONFLICTS):
            try:
                with leased(call):
                    self._client.put_item(**put)
                return
            except ClientError as error:
                if code_of(error) == "ConditionalCheckFailedException":
                    raise Refused(error.response.get("Item")) from None  # type: ignore[arg-type]
                if code_of(error) != "TransactionConflictException":
                    raise
            time.sleep(min(pause, call.remaining()))
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

    def transact(self, puts: Sequence[Mapping[str, Any]], call: Call) -> None:
        """Do up to 100 conditional puts, all or none. Raises Cancelled."""
        actions: Any = [{"Put": put} for put in puts]
        try:
            with leased(call):
                self._client.transact_write_items(TransactItems=actions)
        except ClientError as error:
            reasons: Any = error.response.get("CancellationReasons")
            if code_of(error) != "TransactionCanceledException" or not reasons:
                raise
            found = [(reason.get("Code", "None"), reason.get("Item")) for reason in reasons]
            raise Cancelled(found) from None

    def write(self, items: Sequence[Item], call: Call) -> list[Item]:
        """Put up to 25 items of distinct keys, without a condition; what DynamoDB had no
        capacity for, however often it was asked within the lease."""
        left: Any = [{"PutRequest": {"Item": item}} for item in items]
        for pause in _pauses():
            with leased(call):
                answer: Any = self._client.batch_write_item(RequestItems={self._config.table: left})
            left = answer.get("UnprocessedItems", {}).get(self._config.table)
            if not left or pause >= call.remaining():
                break
            time.sleep(pause)
        return [entry["PutRequest"]["Item"] for entry in left or []]

    def walk(
        self,
        pk: str,
        call: Call,
        *,
        behind: bytes | None = None,
        between: tuple[bytes, bytes] | None = None,
        descending: bool = False,
        first: int | None = None,
    ) -> Iterator[Item]:
        """A partition's items in order, as they are asked for: `first` of them with the first
        request, then a mebibyte a request. `behind` is a place in that order, `between` both
        ends."""
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
        if first is not None:
            query["Limit"] = first
        while True:
            with leased(call):
                answer: Any = self._client.query(**query)
            yield from answer["Items"]
            if not answer.get("LastEvaluatedKey"):
                return
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
            query.pop("Limit", None)

    @property
    def _client(self) -> DynamoDBClient:
        # Asked anew each time, so that a forked child never uses its parent's.
        return client_for(self._config, self._scope)


def _projection(*names: str) -> dict[str, Any]:
    places = {f"#{number}": name for number, name in enumerate(names)}
    return {"ProjectionExpression": ",".join(places), "ExpressionAttributeNames": places}


def _pauses(rounds: int = ROUNDS) -> Iterator[float]:
    for number in range(rounds):
        yield random.uniform(0, PAUSE * 2**number)


def _throttled(operation: str, code: str = "ProvisionedThroughputExceededException") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, operation)
