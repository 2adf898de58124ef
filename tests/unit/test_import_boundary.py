"""What may not be loaded: the lower packages stay free of Celery and of cloud SDKs."""

from __future__ import annotations

import subprocess
import sys

import pytest

FOREIGN = ("celery", "kombu", "boto3", "botocore", "grpc")


@pytest.mark.parametrize(
    "module",
    [
        "signalbox.commands.ledger.ledger",
        "signalbox.commands.wire",
        "signalbox.commands.object_store",
        "signalbox.adapters.catalogue",
        "signalbox.adapters.object_store",
        "signalbox.routing.registry.registry",
        "signalbox.routing.cache.route_cache",
        "signalbox.routing.cache.log_follower",
        "signalbox.routing.route_commands",
    ],
)
def test_importing_a_lower_package_loads_no_foreign_one(module: str) -> None:
    program = f"import sys, {module}; print([m for m in {FOREIGN!r} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
