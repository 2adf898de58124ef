"""`signalbox object put -r`, `get -r`, `rm -r` and `cp`, and the counts that `sync` prints too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

import signalbox
from signalbox.commands.error import SignalboxError
from signalbox.commands.vocabulary import Mode
from signalbox.producers.cli.connection import make_client, make_tenancy, named
from signalbox.producers.cli.console import err, out, print_json
from signalbox.producers.cli.error_groups import ErrorGroups
from signalbox.producers.cli.interrupt import interruptible
from signalbox.producers.cli.objects import Key, app
from signalbox.producers.cli.options import AsJson, EnvName, ModeName, Tenant, Wait
from signalbox.producers.cli.outcome_text import SUPERSEDED, show
from signalbox.producers.cli.progress import progress

if TYPE_CHECKING:
    from signalbox.producers.bulk.folder import FileToStore, StoredFile, Tenancy

End = TypeVar("End")
SHOWN_LINKS = 5
"""Number of files that are named as left out; further ones are counted."""


@app.command()
def cp(
    tenant: Tenant,
    env: EnvName,
    key: Key,
    target: Annotated[str, typer.Argument(metavar="TARGET", help="Key of the copy.")],
    mode: ModeName = Mode.LAB,
    wait: Wait = 30,
    as_json: AsJson = False,
) -> None:
    """Copy an object, with its content type and metadata, under another key."""
    tenancy, timeout = make_tenancy(tenant, env, mode), timedelta(seconds=wait)
    with make_client() as client:
        found = client.run(signalbox.GetObject(**named(tenancy), key=key), timeout)
        try:
            with client.content.open(found) as content:
                payload = client.content.payload(content)
        finally:
            client.content.discard(found)
        command = signalbox.PutObject(
            **named(tenancy),
            key=target,
            payload=payload,
            content_type=found.info.content_type,
            metadata=found.info.metadata,
        )
        show(client.run_outcome(command, timeout), as_json)


def put_folder(
    client: signalbox.Client, tenancy: Tenancy, folder: Path, prefix: str, as_json: bool
) -> None:
    """Store every file below the folder."""
    from signalbox.producers.bulk.folder import files_below

    need_folder(folder)
    tally = Tally("files stored")
    files = files_below(folder, folder_prefix(prefix), left_out=tally.left_out)
    store_all(client, tenancy, files, tally)
    tally.show(as_json)


def get_folder(
    client: signalbox.Client, tenancy: Tenancy, prefix: str, folder: Path, as_json: bool
) -> None:
    """Fetch every object below the prefix."""
    from signalbox.producers.bulk.remote_folder import objects_below

    prefix = folder_prefix(prefix)
    objects = list(objects_below(client, tenancy, prefix))
    fetch_all(client, tenancy, objects, folder, prefix).show(as_json)


def remove_folder(client: signalbox.Client, tenancy: Tenancy, prefix: str, as_json: bool) -> None:
    """Remove every object below the prefix."""
    from signalbox.producers.bulk.remote_folder import objects_below

    tally = Tally("objects removed")
    keys = [info.key for info in objects_below(client, tenancy, folder_prefix(prefix))]
    remove_all(client, tenancy, keys, tally)
    tally.done, tally.removed, tally.total = tally.removed, 0, len(keys)
    tally.show(as_json)


class Tally:
    """Counts the results of many objects, and prints them."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.done = self.unchanged = self.removed = self.total = 0
        self.failed: list[str] = []
        self._errors = ErrorGroups()
        self.superseded: list[str] = []
        self.left_out: list[Path] = []
        self.interrupted = False

    @property
    def is_whole(self) -> bool:
        return not (self.failed or self.interrupted)

    def fail(self, name: str, error: SignalboxError) -> None:
        self.failed.append(name)
        self._errors.add(name, error)

    def show(self, as_json: bool) -> None:
        """Print the counts. Exit with 1 if something failed, with 130 if it was interrupted."""
        for name in self.superseded:
            err().print(f"{name}: {SUPERSEDED}", markup=False, soft_wrap=True)
        self._name_links()
        for line in self._errors.lines():
            err().print(line, markup=False, soft_wrap=True)
        if as_json:
            print_json(
                {
                    "unchanged": self.unchanged,
                    "removed": self.removed,
                    self.what.split()[-1]: self.done,
                    "failed": self.failed,
                    "superseded": self.superseded,
                    "left_out": [str(path) for path in self.left_out],
                }
            )
        else:
            more = [f"{self.unchanged} unchanged"] * bool(self.unchanged)
            more += [f"{self.removed} removed"] * bool(self.removed)
            more += ["interrupted"] * self.interrupted
            out().print(", ".join([f"{self.done} of {self.total} {self.what}", *more]))
        if not self.is_whole:
            raise typer.Exit(130 if self.interrupted else 1)

    def _name_links(self) -> None:
        if self.left_out:
            names = [str(path) for path in self.left_out[:SHOWN_LINKS]]
            if len(self.left_out) > SHOWN_LINKS:
                names.append(f"{len(self.left_out) - SHOWN_LINKS} more")
            text = "left out, since links and special files are not stored"
            err().print(f"{text}: {', '.join(names)}", markup=False, soft_wrap=True)


def store_all(
    client: signalbox.Client, tenancy: Tenancy, files: Sequence[FileToStore], tally: Tally
) -> None:
    """Store these files, with a progress bar."""
    from signalbox.producers.bulk.folder import store_files

    tally.total = len(files)
    for item in _watched("storing", store_files(client, tenancy, files), tally, len(files)):
        _note(tally, item)


def _note(tally: Tally, item: StoredFile) -> None:
    name = str(item.file.path)
    if item.error is not None:
        tally.fail(name, item.error)
        return
    tally.done += 1
    if item.outcome is not None and item.outcome.unwrap().get("superseded"):
        tally.superseded.append(name)


def fetch_all(
    client: signalbox.Client,
    tenancy: Tenancy,
    objects: Sequence[signalbox.ObjectInfo],
    folder: Path,
    prefix: str,
) -> Tally:
    """Fetch these objects, with a progress bar; return the counts."""
    from signalbox.producers.bulk.remote_folder import fetch_objects

    tally = Tally("objects fetched")
    tally.total = len(objects)
    ends = fetch_objects(client, tenancy, objects, folder, prefix)
    for end in _watched("fetching", ends, tally, len(objects)):
        if end.error is not None:
            tally.fail(end.info.key, end.error)
        elif end.was_there:
            tally.unchanged += 1
        else:
            tally.done += 1
    tally.total -= tally.unchanged
    return tally


def remove_all(
    client: signalbox.Client, tenancy: Tenancy, keys: Sequence[str], tally: Tally
) -> None:
    """Remove the objects under these keys, with a progress bar."""
    from signalbox.producers.bulk.remote_folder import remove_objects

    for end in _watched("removing", remove_objects(client, tenancy, keys), tally, len(keys)):
        if end.error is not None:
            tally.fail(end.item, end.error)
        else:
            tally.removed += 1


def _watched(what: str, ends: Iterator[End], tally: Tally, total: int) -> Iterator[End]:
    """Show a progress bar. Ctrl-C ends the run, and the counts so far are printed."""
    if total == 0:
        yield from ends
        return
    with progress(err()) as bar:
        task = bar.add_task(what, total=total)
        try:
            for end in interruptible(ends):
                bar.advance(task)
                yield end
        except KeyboardInterrupt:
            tally.interrupted = True
            err().print("interrupted: what was accepted before still takes effect")


def need_folder(folder: Path) -> None:
    """Raise BadParameter unless the path is a folder."""
    if not folder.is_dir():
        raise typer.BadParameter(f"{folder} is not a folder: give DIR first, then PREFIX")


def folder_prefix(prefix: str) -> str:
    """Return the prefix with one slash at its end, or empty."""
    return f"{prefix.rstrip('/')}/" if prefix else ""
