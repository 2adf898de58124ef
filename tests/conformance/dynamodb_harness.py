"""DynamoDB for the conformance suite: a table on a moto server."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import boto3

from signalbox.testing.harness import Harness
from tests.conformance.aws_server import CREDENTIALS, aws_server

REGION: Final = "eu-central-1"


def create_table(endpoint: str, table: str) -> None:
    """A table as docs/backends.md says that the operator makes it."""
    client = boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="conformance",
        aws_secret_access_key="conformance",
    )
    client.create_table(
        TableName=table,
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "B"},
        ],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    client.update_time_to_live(
        TableName=table,
        TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"},
    )


@contextmanager
def dynamodb_harness() -> Iterator[Harness]:
    """A fresh table; credentials come from a file, never from the environment."""
    endpoint, table = aws_server(), f"signalbox-{uuid.uuid4().hex}"
    with tempfile.TemporaryDirectory() as directory:
        credentials_file = Path(directory, "credentials.ini")
        credentials_file.write_text(CREDENTIALS)
        create_table(endpoint, table)
        config = {
            "table": table,
            "region": REGION,
            "endpoint_url": endpoint,
            "credentials_file": str(credentials_file),
        }
        yield Harness(
            backend_type="dynamodb",
            config=config,
            unusable_config=config | {"table": "no-such-table"},
        )
