"""A local stand-in for S3, for tours and tests: moto's server. It is not S3."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path
from typing import Self

from signalbox.commands.error import Unavailable
from signalbox.commands.extra import require
from signalbox.producers.embedded.ports import free_port
from signalbox.producers.embedded.process import ManagedProcess


class S3StandIn:
    """moto's server on a free port. Its data are in memory and gone when it stops."""

    def __init__(self, data_dir: Path, port: int | None = None) -> None:
        self._data_dir = data_dir
        # Any free port: a fixed one might be taken by another stand-in that starts at the same
        # time, and either would answer for the other.
        self._port = port or free_port()
        self.credentials_file = data_dir / "stand-in-credentials"
        server = "signalbox.producers.embedded.s3_stand_in_server"
        command = [sys.executable, "-m", server, "-p", str(self._port)]
        self._process = ManagedProcess(
            "s3-stand-in", command, data_dir / "logs" / "s3-stand-in.log"
        )

    @property
    def endpoint_url(self) -> str:
        """Address of the server."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start the server; return when it answers. Raises ExtraNotInstalled and Unavailable."""
        require("the stand-in for S3", "embedded", "flask", "flask_cors", "moto")
        self._data_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.credentials_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as secret:
            secret.write("[default]\naws_access_key_id = stand-in\n")
            secret.write("aws_secret_access_key = stand-in\n")
        self._process.start()
        self._process.wait_until(self._answers, timedelta(minutes=5))

    def create_bucket(self, name: str) -> None:
        """Create a bucket with a plain HTTP request; an existing one is no error."""
        request = urllib.request.Request(f"{self.endpoint_url}/{name}", method="PUT")  # noqa: S310
        try:
            urllib.request.urlopen(request, timeout=10).close()  # noqa: S310
        except urllib.error.HTTPError as error:
            if error.code != 409:
                raise Unavailable(f"the stand-in refused the bucket {name}: {error}") from error

    def stop(self) -> None:
        """Stop the server."""
        self._process.stop(timedelta(seconds=2))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.endpoint_url}/moto-api/", timeout=30).close()  # noqa: S310
        except OSError:
            return False
        return True
