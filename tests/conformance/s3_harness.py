"""S3 for the conformance suite: a bucket on a moto server."""

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


@contextmanager
def s3_harness() -> Iterator[Harness]:
    """A fresh bucket; credentials come from a file, never from the environment."""
    endpoint, bucket = aws_server(), f"signalbox-{uuid.uuid4().hex}"
    with tempfile.TemporaryDirectory() as directory:
        credentials_file = Path(directory, "credentials.ini")
        credentials_file.write_text(CREDENTIALS)
        boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=REGION,
            aws_access_key_id="conformance",
            aws_secret_access_key="conformance",
        ).create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        config = {
            "bucket": bucket,
            "region": REGION,
            "endpoint_url": endpoint,
            "credentials_file": str(credentials_file),
        }
        yield Harness(
            backend_type="s3", config=config, unusable_config=config | {"bucket": "no-such-bucket"}
        )
