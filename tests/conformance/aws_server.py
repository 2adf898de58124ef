"""AWS for tests: a moto server in a process of its own."""

from __future__ import annotations

import functools
from pathlib import Path

from tests.conformance.lasting import start_lasting

_SERVER = Path(__file__).with_name("moto_server.py")
CREDENTIALS = """\
[default]
aws_access_key_id = conformance
aws_secret_access_key = conformance
"""


@functools.cache
def aws_server() -> str:
    """The address of an AWS that lives as long as the tests; each takes buckets of its own."""
    # In a process of its own: moto's decorators in other tests would reset its state.
    port = start_lasting("-P", str(_SERVER), quiet=True)
    assert port, "the moto server did not start"
    return f"http://127.0.0.1:{port}"
