"""The tour: stores a folder through the queue, and switches its route meanwhile."""

from __future__ import annotations

import getpass
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from signalbox.commands.error import SignalboxError
from signalbox.commands.model import new_op_id
from signalbox.commands.object_store import ListObjects
from signalbox.commands.proof.trust import trust_of
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.state import connect_to
from signalbox.producers.bulk.curl import find_curl, store_by_curl
from signalbox.producers.bulk.folder import (
    BATCH_COMMANDS,
    FileToStore,
    StoredFile,
    Tenancy,
    digests,
    files_below,
    store_files,
)
from signalbox.producers.cli.event_text import print_events
from signalbox.producers.cli.progress import progress
from signalbox.producers.client.client import Client
from signalbox.routing.registry.change import Change
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import RouteTarget

TENANCY = Tenancy("t_demo", "dev")
SCOPE = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id=TENANCY.tenant_id, env=TENANCY.env)
OWN_LEFTOVERS = frozenset(
    {
        *(".git", ".venv", ".venv-docs", ".signalbox", "__pycache__", "build", "dist"),
        *(".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".import_linter_cache"),
        *("node_modules", ".schemathesis"),
    }
)
"""Folders left out of the project's own tree: what tools and tests have put there."""


@dataclass
class Tour:
    """Plays the tour against a running stack, and counts deviations."""

    client: Client
    """Client of the stack."""
    console: Console
    """Where the tour prints."""
    source: Path
    """The folder that is stored."""
    own_tree: bool
    """True if it is the project's own tree, of which OWN_LEFTOVERS are left out."""
    base_dir: Path
    """Base directory of the filesystem backend."""
    s3_config: dict[str, Any]
    """Config of the S3 route."""
    gateway: str | None = None
    """Address of the gateway; None to store nothing over HTTP."""
    wrong: list[str] = field(default_factory=list)
    """Deviations found so far."""

    def play(self) -> bool:
        """Run the tour; return whether every file was stored, read back and equal."""
        self.registry = Registry(connect_to(self.client.settings), trust_of(self.client.settings))
        skip = OWN_LEFTOVERS if self.own_tree else frozenset()
        files = files_below(self.source, skip=skip)
        self._title(f"1. {SCOPE} is routed to the filesystem")
        self._route("filesystem", {"base_dir": str(self.base_dir)}, "the tour begins")
        self._title(f"2. {len(files)} files of {self.source} go through the queue")
        first = self._store(files)
        self._title("3. read back through the queue and compared by SHA-256")
        self._compare(first)
        self._title("4. stored again, and switched to S3 (a local stand-in) half-way")
        copies = [FileToStore(file.path, f"again/{file.key}") for file in files]
        second = self._store(copies, switch_after=len(copies) // 2)
        on_s3, before = _split(second, "s3")
        self.console.print(f"stored before the switch: {len(before)}, after it: {len(on_s3)}")
        self._title("5. both places, each read through its own route")
        self._list("S3 (stand-in)")
        self._compare(on_s3)
        self._route("filesystem", {"base_dir": str(self.base_dir)}, "look at the former place")
        self._list("filesystem")
        self._compare(before)
        if self.gateway is not None:
            self._title(f"6. the same folder by curl, over HTTP ({self.gateway})")
            self._by_curl(self.gateway, first)
        self._title("7. the audit trail")
        print_events("", self.registry.history(SCOPE, limit=20))
        return self._verdict(len(first) + len(second))

    def _route(self, backend: str, config: dict[str, Any], reason: str) -> None:
        known = self.registry.get(SCOPE)
        change = self.registry.set if known is None else self.registry.switch
        route = change(
            SCOPE,
            RouteTarget(backend, config, Mode.LAB),
            Change(actor=getpass.getuser(), reason=reason, change_id=new_op_id()),
        )
        self.console.print(f"route: {SCOPE} -> {route.backend_type}, revision {route.revision}")

    def _store(self, files: list[FileToStore], switch_after: int | None = None) -> list[StoredFile]:
        stored: list[StoredFile] = []
        with progress(self.console) as bar:
            task = bar.add_task("storing", total=len(files))
            # Small batches for a small folder, so that the switch falls into the middle.
            size = max(1, min(BATCH_COMMANDS, len(files) // 20))
            stream = store_files(self.client, TENANCY, files, batch_commands=size)
            for number, item in enumerate(stream):
                stored.append(item)
                bar.advance(task)
                if item.error is not None:
                    self._complain(f"{item.file.key}: {item.error}")
                if number + 1 == switch_after:
                    self._route("s3", self.s3_config, "half of it is stored")
        return stored

    def _by_curl(self, gateway: str, stored: Iterable[StoredFile]) -> None:
        curl = find_curl()
        if curl is None:
            self.console.print("there is no curl on this machine", style="yellow")
            return
        # Only files whose name and content could be stored above.
        good = [item for item in stored if item.error is None]
        copies = [FileToStore(item.file.path, f"curl/{item.file.key}") for item in good]
        if said := store_by_curl(curl, gateway, TENANCY, copies):
            self._complain(f"curl: {said}")
        self._compare([replace(item, file=copy) for item, copy in zip(good, copies, strict=True)])

    def _compare(self, stored: Iterable[StoredFile]) -> None:
        expected = {item.file.key: item.sha256 for item in stored if item.error is None}
        same = 0
        with progress(self.console) as bar:
            task = bar.add_task("comparing", total=len(expected))
            for key, digest in digests(self.client, TENANCY, list(expected)):
                bar.advance(task)
                if digest == expected[key]:
                    same += 1
                else:
                    said = str(digest) if isinstance(digest, SignalboxError) else "other content"
                    self._complain(f"{key}: {said}")
        self.console.print(f"{same} of {len(expected)} digests equal")

    def _list(self, name: str) -> None:
        table = Table(title=f"{name}: the first keys", title_justify="left")
        table.add_column("key", overflow="fold")
        table.add_column("bytes", justify="right")
        command = ListObjects(
            tenant_id=TENANCY.tenant_id, env=TENANCY.env, prefix="again/", limit=5
        )
        for entry in self.client.run(command).objects:
            table.add_row(escape(entry.key), str(entry.size))
        self.console.print(table)

    def _verdict(self, total: int) -> bool:
        if self.wrong:
            self.console.print(f"[bold red]{len(self.wrong)} of {total} went wrong[/bold red]")
            return False
        self.console.print(f"[bold green]all {total} objects stored, and every digest equal[/]")
        return True

    def _complain(self, text: str) -> None:
        self.wrong.append(text)
        if len(self.wrong) <= 20:
            self.console.print(escape(text), style="red")

    def _title(self, text: str) -> None:
        self.console.print()
        self.console.rule(escape(text), align="left")


def _split(
    stored: Iterable[StoredFile], backend_type: str
) -> tuple[list[StoredFile], list[StoredFile]]:
    """Return the files that were stored on `backend_type`, and those stored elsewhere."""
    there: list[StoredFile] = []
    elsewhere: list[StoredFile] = []
    for item in stored:
        if item.outcome is not None and item.error is None:
            (there if item.outcome.backend_type == backend_type else elsewhere).append(item)
    return there, elsewhere
