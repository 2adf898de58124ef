"""S3 of another make: s3rver from npm. It checks expiry as S3 does, and knows no conditions."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from signalbox.testing.harness import Harness
from tests.absent import absent

_SERVERS = Path(__file__).parents[1] / "servers"
BUCKET = "signalbox-conformance"
# The only account that s3rver has.
CREDENTIALS = "[default]\naws_access_key_id = S3RVER\naws_secret_access_key = S3RVER\n"


@contextmanager
def s3rver_harness() -> Iterator[Harness]:
    """A bucket on a fresh server, which ends with this block."""
    if shutil.which("node") is None or not (_SERVERS / "node_modules/s3rver").is_dir():
        absent("s3rver", "install node 20 or newer, then `python tests/servers/install.py`")
    with (
        tempfile.TemporaryDirectory() as directory,
        subprocess.Popen(
            ["node", str(_SERVERS / "s3rver.js"), BUCKET, f"{directory}/data"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as server,
    ):
        try:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            assert port, "s3rver did not start (its output is above)"
            credentials_file = Path(directory, "credentials.ini")
            credentials_file.write_text(CREDENTIALS)
            config = {
                "bucket": BUCKET,
                "region": "eu-central-1",
                "endpoint_url": f"http://127.0.0.1:{port}",
                "credentials_file": str(credentials_file),
            }
            yield Harness("s3", config, config | {"bucket": "no-such-bucket"})
        finally:
            server.terminate()
