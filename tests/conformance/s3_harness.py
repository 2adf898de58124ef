"""S3 for the conformance suite: a moto server in a process of its own, and a bucket on it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import boto3

from tests.conformance.harness import Harness

BUCKET = "signalbox-conformance"
REGION: Final = "eu-central-1"
_SERVER = Path(__file__).with_name("moto_s3.py")
_CREDENTIALS = """\
[default]
aws_access_key_id = conformance
aws_secret_access_key = conformance
"""


@contextmanager
def s3_server() -> Iterator[str]:
    """The address of a fresh S3 on a free loopback port."""
    # In a process of its own: moto's decorators in other tests would reset its state.
    # The end of its standard input ends it, so that it cannot outlive the tests.
    with subprocess.Popen(
        [sys.executable, "-P", str(_SERVER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            assert port, "the moto server did not start"
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


@contextmanager
def s3_harness() -> Iterator[Harness]:
    """A bucket on a fresh server; credentials come from a file, never from the environment."""
    with s3_server() as endpoint, tempfile.TemporaryDirectory() as directory:
        credentials_file = Path(directory, "credentials.ini")
        credentials_file.write_text(_CREDENTIALS)
        boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=REGION,
            aws_access_key_id="conformance",
            aws_secret_access_key="conformance",
        ).create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        config = {
            "bucket": BUCKET,
            "region": REGION,
            "endpoint_url": endpoint,
            "credentials_file": str(credentials_file),
        }
        yield Harness(
            backend_type="s3", config=config, bad_place=config | {"bucket": "no-such-bucket"}
        )
