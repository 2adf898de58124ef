"""`signalbox object sync`: makes a prefix equal to a folder, or a folder equal to a prefix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import signalbox
from signalbox.commands.error import LocalFileError
from signalbox.commands.visible import visible
from signalbox.commands.vocabulary import Mode
from signalbox.producers.cli.connection import make_client, make_tenancy
from signalbox.producers.cli.console import out, print_json
from signalbox.producers.cli.object_folders import (
    Tally,
    fetch_all,
    folder_prefix,
    need_folder,
    remove_all,
    store_all,
)
from signalbox.producers.cli.objects import app
from signalbox.producers.cli.options import AsJson, EnvName, ModeName, Tenant

if TYPE_CHECKING:
    from signalbox.producers.bulk.folder import FileToStore, Tenancy


@app.command()
def sync(
    tenant: Tenant,
    env: EnvName,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder on this machine.")],
    prefix: Annotated[str, typer.Argument(help="Keys begin with it.")] = "",
    down: Annotated[
        bool, typer.Option("--down", help="From the object store to the folder.")
    ] = False,
    delete: Annotated[
        bool, typer.Option("--delete", help="Remove what does not exist on this side.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; list what would be done.")
    ] = False,
    mode: ModeName = Mode.LAB,
    as_json: AsJson = False,
) -> None:
    """Make the objects below PREFIX equal to the files below DIR, or with --down the reverse.

    Content with the same size and SHA-256 on both sides is not sent, so an interrupted run
    continues where it stopped.
    """
    tenancy, prefix = make_tenancy(tenant, env, mode), folder_prefix(prefix)
    with make_client() as client:
        run = _sync_down if down else _sync_up
        tally = run(client, tenancy, folder, prefix, delete, dry_run, as_json)
    if tally is not None:
        tally.show(as_json)


def _sync_up(
    client: signalbox.Client,
    tenancy: Tenancy,
    folder: Path,
    prefix: str,
    delete: bool,
    dry_run: bool,
    as_json: bool,
) -> Tally | None:
    """Store changed files, and remove other objects if wanted; return None after a dry run."""
    from signalbox.producers.bulk.folder import files_below
    from signalbox.producers.bulk.remote_folder import PART, has_content, objects_below

    need_folder(folder)
    tally = Tally("files stored")
    there = {info.key: info for info in objects_below(client, tenancy, prefix)}
    found = files_below(folder, prefix, left_out=tally.left_out)
    files = [file for file in found if not file.path.name.startswith(PART)]
    changed = [f for f in files if (i := there.get(f.key)) is None or not has_content(f.path, i)]
    gone = sorted(there.keys() - {file.key for file in files}) if delete else []
    if delete:
        _check_some(files, str(folder))
    if dry_run:
        _print_plan("store", [str(file.path) for file in changed], gone, as_json)
        return None
    tally.unchanged = len(files) - len(changed)
    store_all(client, tenancy, changed, tally)
    if gone and tally.is_whole:
        remove_all(client, tenancy, gone, tally)
    return tally


def _sync_down(
    client: signalbox.Client,
    tenancy: Tenancy,
    folder: Path,
    prefix: str,
    delete: bool,
    dry_run: bool,
    as_json: bool,
) -> Tally | None:
    """Fetch changed objects, and remove other files if wanted; return None after a dry run."""
    from signalbox.producers.bulk.remote_folder import objects_below

    objects = list(objects_below(client, tenancy, prefix))
    if delete:
        _check_some(objects, prefix)
    if dry_run:
        gone = [str(file.path) for file in _others(folder, objects, prefix)] if delete else []
        _print_plan("fetch", _changed(folder, objects, prefix), gone, as_json)
        return None
    tally = fetch_all(client, tenancy, objects, folder, prefix)
    if delete and tally.is_whole:
        for file in _others(folder, objects, prefix):
            file.path.unlink()
            tally.removed += 1
    return tally


def _changed(folder: Path, objects: Iterable[signalbox.ObjectInfo], prefix: str) -> list[str]:
    """Return the keys of the objects that the folder does not have with this content."""
    from signalbox.producers.bulk.remote_folder import has_content, path_below

    changed = []
    for info in objects:
        try:
            known = has_content(path_below(folder, info.key, prefix), info)
        except LocalFileError:
            known = False
        if not known:
            changed.append(info.key)
    return changed


def _others(
    folder: Path, objects: Iterable[signalbox.ObjectInfo], prefix: str
) -> list[FileToStore]:
    """Return the files of the folder without an object. Raises LocalFileError."""
    from signalbox.producers.bulk.folder import files_below
    from signalbox.producers.bulk.remote_folder import path_below

    kept = {path_below(folder, each.key, prefix) for each in objects}
    return [file for file in files_below(folder) if file.path not in kept]


def _print_plan(verb: str, names: Sequence[str], gone: Sequence[str], as_json: bool) -> None:
    if as_json:
        print_json({verb: list(names), "remove": list(gone)})
        return
    for what, each in (*((verb, name) for name in names), *(("remove", name) for name in gone)):
        out().print(visible(f"{what} {each}"), markup=False, soft_wrap=True, highlight=False)
    out().print(f"{len(names)} to {verb}, {len(gone)} to remove; nothing was changed")


def _check_some(source: Sequence[object], name: str) -> None:
    """Refuse an empty source: more often a wrong name than the wish to remove everything."""
    if not source:
        raise typer.BadParameter(f"there is nothing below {name!r}: --delete would remove all")
