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
from signalbox.testing.desk import Desk, Turn
from tests.unit.filesystem.lab import files, item, open_desk, put_many


def test_a_content_is_a_plain_file_that_shows_its_key(desk: Desk, own: Path) -> None:
    desk.put("docs/a b.txt", b"plain")
    (name,) = files(own)
    assert name.startswith("docs/a b.txt~")
    assert (own / "raw" / name).read_bytes() == b"plain"


def test_replaced_and_deleted_contents_leave_no_files(desk: Desk, own: Path) -> None:
    desk.put("a", b"one")
    desk.put("a", b"two")
    assert len(files(own)) == 1
    desk.delete("a")
    assert files(own) == []


def test_a_refused_put_leaves_no_file(desk: Desk, own: Path) -> None:
    desk.put("a")
    with pytest.raises(AlreadyExists):
        desk.put("a", if_absent=True)
    assert len(files(own)) == 1


def test_an_older_command_writes_nothing_over_a_newer_one(desk: Desk, own: Path) -> None:
    late = Turn()
    desk.put("a", b"newer")
    desk.put("a", b"late", call=desk.call(late))
    desk.delete("a", call=desk.call(late))
    assert desk.read("a") == b"newer"
    assert len(files(own)) == 1


def test_a_uri_is_the_path_by_key_and_percent_encoded(desk: Desk, tmp_path: Path) -> None:
    start = f"filesystem://{tmp_path}/base/tenants/t_a/dev/raw/"
    assert desk.uri("docs/a b?#.txt") == f"{start}docs/a%20b%3F%23.txt"


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
    desk: Desk, own: Path, tmp_path: Path
) -> None:
    desk.put("a")
    outside = tmp_path / "outside"
    outside.mkdir()
    (own / "raw/docs").symlink_to(outside)
    with pytest.raises(Misconfigured):
        desk.put("docs/a")
    assert list(outside.iterdir()) == []


def test_a_link_in_place_of_a_content_is_not_followed(
    desk: Desk, own: Path, tmp_path: Path
) -> None:
    desk.put("a", b"secret")
    secret = tmp_path / "secret"
    secret.write_bytes(b"SECRET")
    content = own / "raw" / files(own)[0]
    content.unlink()
    content.symlink_to(secret)
    with pytest.raises(Misconfigured):
        desk.read("a")


@pytest.mark.parametrize("name", ["t_a", "t_a/dev"])
def test_a_link_to_a_neighbour_is_not_followed(desk: Desk, tmp_path: Path, name: str) -> None:
    neighbour = open_desk(tmp_path, "t_b")
    neighbour.put("a", b"theirs")
    link = tmp_path / "base/tenants" / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(tmp_path / "base/tenants" / name.replace("t_a", "t_b"))
    for way in (desk.head, desk.put, desk.delete):
        with pytest.raises(Misconfigured):
            way("a")
    assert neighbour.read("a") == b"theirs"


def test_the_base_dir_itself_may_be_reached_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "base").symlink_to(tmp_path / "disk")
    desk = open_desk(tmp_path)
    desk.put("a", b"here")
    assert desk.read("a") == b"here"


def test_a_list_skips_what_lies_below_a_folded_prefix(
    desk: Desk, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_many(desk, [item(desk, f"{d}/{n}") for d in "abc" for n in range(50)])
    read: list[bytes] = []

    def row(*fields: Any, real: Any = object_index.Row) -> Any:
        read.append(fields[0])
        return real(*fields)

    monkeypatch.setattr(listing, "Row", row)
    assert desk.page(delimiter="/").prefixes == ["a/", "b/", "c/"]
    assert len(read) == 3
