"""Firestore for the conformance suite: Google's own emulator, one for all tests.

The emulators on npm are no stand-in: they answer, but let every `update_time` precondition hold,
know neither BatchWrite nor the cursors of a query, and commit half of what should be all or none.
"""

from __future__ import annotations

import functools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from signalbox.testing.harness import Harness
from tests.absent import absent
from tests.conformance.lasting import start_lasting

_PROGRAM = Path(__file__).with_name("firestore_emulator.py")
_JAR = "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar"
_SDKS = ("/usr/lib/google-cloud-sdk", "/usr/share/google-cloud-sdk", "/opt/google-cloud-sdk")
_FIREBASE_CACHE = Path("~/.cache/firebase/emulators")
_INSTALL = (
    "install Java 17 and the emulator: `gcloud components install cloud-firestore-emulator`, "
    "Debian's package google-cloud-cli-firestore-emulator, or "
    "`npx firebase-tools setup:emulators:firestore`"
)


def find_emulator() -> Path | None:
    """The emulator's jar, from the Google Cloud SDK or the cache of firebase-tools."""
    gcloud = shutil.which("gcloud")
    roots = [Path(gcloud).resolve().parent.parent] if gcloud else []
    jars = [root / _JAR for root in [*roots, *map(Path, _SDKS)]]
    jars += sorted(_FIREBASE_CACHE.expanduser().glob("cloud-firestore-emulator-v*.jar"))
    return next((jar for jar in jars if jar.is_file()), None)


@functools.cache
def firestore_emulator() -> str:
    """host:port of an emulator that lives as long as the tests."""
    jar = find_emulator()
    if jar is None or shutil.which("java") is None:
        absent("firestore", _INSTALL)
    port = start_lasting("-P", str(_PROGRAM), str(jar))
    if not port:
        pytest.fail(f"the Firestore emulator {jar} did not start (its output is above): {_INSTALL}")
    return f"127.0.0.1:{port}"


@contextmanager
def firestore_harness() -> Iterator[Harness]:
    """A project on the emulator, which holds every project and database that is asked for: the
    unusable config is one whose key file the worker does not have."""
    project = {"project": "signalbox-conformance"}
    with tempfile.TemporaryDirectory() as directory:
        yield Harness(
            backend_type="firestore",
            config=project | {"emulator_host": firestore_emulator()},
            unusable_config=project | {"credentials_file": f"{directory}/missing.json"},
        )
