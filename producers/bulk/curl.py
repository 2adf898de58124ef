"""Stores files by running curl against the gateway, as any HTTP client could."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from urllib.parse import quote

from signalbox.producers.bulk.folder import FileToStore, Tenancy

SIDE_BY_SIDE = 16
"""Number of parallel transfers."""


def find_curl() -> str | None:
    """Return the path of curl, None if it is not installed."""
    return shutil.which("curl")


def store_by_curl(curl: str, gateway: str, tenancy: Tenancy, files: Sequence[FileToStore]) -> str:
    """Put each file under its key, many in parallel.

    Return curl's error messages, or an empty text.
    """
    base = f"{gateway}/v1/objects/{tenancy.tenant_id}/{tenancy.env}"
    lines = []
    for file in files:
        lines += [
            f"url = {_quoted(f'{base}/{quote(file.key)}')}",
            f"upload-file = {_quoted(str(file.path))}",
            'output = "/dev/null"',
        ]
    done = subprocess.run(  # noqa: S603 - the user's own curl
        [
            *(curl, "--silent", "--show-error", "--fail", "--globoff", "--config", "-"),
            *("--parallel", "--parallel-max", str(SIDE_BY_SIDE)),
        ],
        input="\n".join(lines).encode("utf-8", "surrogateescape"),
        capture_output=True,
        check=False,
    )
    return done.stderr.decode(errors="replace").strip() if done.returncode else ""


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r") + '"'
