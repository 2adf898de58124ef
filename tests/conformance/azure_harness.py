"""Azure Blob Storage for the conformance suite: Azurite from npm, and a container on it."""

from __future__ import annotations

import functools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobServiceClient

from signalbox.testing.harness import Harness
from tests.absent import absent
from tests.conformance.lasting import start_lasting

CONTAINER = "signalbox-conformance"
ACCOUNT = "devstoreaccount1"
# Azurite's own, the same everywhere and good for nothing else.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_PROGRAM = Path(__file__).with_name("azure_server.py")
_SCRIPT = Path(__file__).parents[1] / "servers/node_modules/azurite/dist/src/blob/main.js"


@functools.cache
def azurite() -> str:
    """The address of an account on an Azurite that lives as long as the tests."""
    if shutil.which("node") is None or not _SCRIPT.is_file():
        absent("azure_blob", "install node 20 or newer, then `python tests/servers/install.py`")
    port = start_lasting("-P", str(_PROGRAM), str(_SCRIPT))
    assert port, "Azurite did not start (its output is above)"
    return f"http://127.0.0.1:{port}/{ACCOUNT}"


@contextmanager
def azure_harness() -> Iterator[Harness]:
    """A fresh container; the unusable config is one that nobody made."""
    url = azurite()
    service = BlobServiceClient(url, credential={"account_name": ACCOUNT, "account_key": KEY})
    container = service.get_container_client(CONTAINER)
    with suppress(ResourceExistsError):  # other tests have it already
        container.create_container()
    with tempfile.TemporaryDirectory() as directory:
        key_file = Path(directory, "key")
        key_file.write_text(KEY)
        config = {
            "account_url": url,
            "container": CONTAINER,
            "account_key_file": str(key_file),
        }
        yield Harness(
            backend_type="azure_blob",
            config=config,
            unusable_config=config | {"container": "no-such-container"},
        )
