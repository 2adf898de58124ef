"""Contents as plain files: their names, and that nothing leads out of their directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from signalbox.adapters.filesystem import listing, object_index
from signalbox.adapters.filesystem.content import ContentFile
from signalbox.commands.error import (
    AlreadyExists,
    Misconfigured,
)
from signalbox.testing.object_caller import Acceptance, ObjectCaller
from tests.unit.filesystem.object_files import files, item, open_objects, put_many


def test_a_content_is_a_plain_file_that_shows_its_key(objects: ObjectCaller, own: Path) -> None:
    objects.put("docs/a b.txt", b"plain")
    (name,) = files(own)
    assert name.startswith("docs/a b.txt~")
    assert (own / "raw" / name).read_bytes() == b"plain"


def test_replaced_and_deleted_contents_leave_no_files(objects: ObjectCaller, own: Path) -> None:
    objects.put("a", b"one")
    objects.put("a", b"two")
    assert len(files(own)) == 1
    objects.delete("a")
    assert files(own) == []


def test_a_refused_put_leaves_no_file(objects: ObjectCaller, own: Path) -> None:
    objects.put("a")
    with pytest.raises(AlreadyExists):
        objects.put("a", if_absent=True)
    assert len(files(own)) == 1


def test_an_older_command_writes_nothing_over_a_newer_one(objects: ObjectCaller, own: Path) -> None:
    late = Acceptance()
    objects.put("a", b"newer")
    objects.put("a", b"late", call=objects.call(late))
    objects.delete("a", call=objects.call(late))
    assert objects.read("a") == b"newer"
    assert len(files(own)) == 1


def test_a_uri_is_the_path_by_key_and_percent_encoded(
    objects: ObjectCaller, tmp_path: Path
) -> None:
    start = f"filesystem://{tmp_path}/base/tenants/t_a/dev/raw/"
    assert objects.uri("docs/a b?#.txt") == f"{start}docs/a%20b%3F%23.txt"


@pytest.mark.parametrize(
    "key",
    [
        "..x/a",
        "...",
        ".a/.b",
        "~/a~b",
        "é" * 512,
        "x" * 1024,
        "/".join("x" * 512),
        "/".join(["\U0001f600" * 50] * 5),
        "a\\b:c*d",
    ],
    ids=lambda key: key[:8],
)
def test_names_are_bounded_and_stay_below_raw(key: str) -> None:
    file = ContentFile.fresh(key, "op")
    parts = [*file.directory, file.name]
    assert len(parts) <= 9
    assert all(part and len(part.encode()) <= 200 and "/" not in part for part in parts)
    assert not any(part.startswith(".") for part in parts)
    assert not any("~" in part for part in file.directory)
    assert ContentFile.parse(str(file)) == file
    assert ContentFile.fresh(key, "op") != file


def test_a_link_in_place_of_a_directory_is_not_followed(
    objects: ObjectCaller, own: Path, tmp_path: Path
) -> None:
    objects.put("a")
    outside = tmp_path / "outside"
    outside.mkdir()
    (own / "raw/docs").symlink_to(outside)
    with pytest.raises(Misconfigured):
        objects.put("docs/a")
    assert list(outside.iterdir()) == []


def test_a_link_in_place_of_a_content_is_not_followed(
    objects: ObjectCaller, own: Path, tmp_path: Path
) -> None:
    objects.put("a", b"secret")
    secret = tmp_path / "secret"
    secret.write_bytes(b"SECRET")
    content = own / "raw" / files(own)[0]
    content.unlink()
    content.symlink_to(secret)
    with pytest.raises(Misconfigured):
        objects.read("a")


@pytest.mark.parametrize("name", ["t_a", "t_a/dev"])
def test_a_link_to_a_neighbour_is_not_followed(
    objects: ObjectCaller, tmp_path: Path, name: str
) -> None:
    neighbour = open_objects(tmp_path, "t_b")
    neighbour.put("a", b"theirs")
    link = tmp_path / "base/tenants" / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(tmp_path / "base/tenants" / name.replace("t_a", "t_b"))
    for way in (objects.head, objects.put, objects.delete):
        with pytest.raises(Misconfigured):
            way("a")
    assert neighbour.read("a") == b"theirs"


def test_the_base_dir_itself_may_be_reached_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "base").symlink_to(tmp_path / "disk")
    objects = open_objects(tmp_path)
    objects.put("a", b"here")
    assert objects.read("a") == b"here"


def test_a_list_skips_what_lies_below_a_folded_prefix(
    objects: ObjectCaller, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_many(objects, [item(objects, f"{d}/{n}") for d in "abc" for n in range(50)])
    read: list[bytes] = []

    def row(*fields: Any, real: Any = object_index.Row) -> Any:
        read.append(fields[0])
        return real(*fields)

    monkeypatch.setattr(listing, "Row", row)
    assert objects.page(delimiter="/").prefixes == ["a/", "b/", "c/"]
    assert len(read) == 3
