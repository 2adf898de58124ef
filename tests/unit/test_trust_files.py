"""Trust files and key files as an attacker, an accident or a mount could leave them."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from signalbox.commands.error import InvalidSetting, LocalFileError
from signalbox.commands.proof.keys import (
    MAX_FILE_BYTES,
    PrivateKey,
    PublicKey,
    encode,
    load_private,
    public_of,
)
from signalbox.commands.proof.signatures import Signatures
from signalbox.commands.proof.trust import Trust, administrator, trust_of
from signalbox.commands.settings import Settings

KEY, OTHER = PrivateKey(b"1" * 32), PrivateKey(b"2" * 32)
ADMIN = administrator("alice", KEY.public)
GOOD = json.dumps({"keys": [ADMIN], "signatures": "required"}).encode()
P = 2**255 - 19
NO_KEYS = {
    "the identity": (1).to_bytes(32, "little"),
    "of order 2": (P - 1).to_bytes(32, "little"),
    "of order 4": bytes(32),
    "of order 4, with its other sign": bytes(31) + b"\x80",
    "of order 8": bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    "the identity, written as another number": (P + 1).to_bytes(32, "little"),
    "beyond the field": b"\xff" * 32,
    "beside the curve": (2).to_bytes(32, "little"),
}
"""Points that are no key: under some of them a signature holds for any message."""


def trust(path: Path) -> Trust:
    found = trust_of(Settings(trust_file=path, audience="test"))
    assert found is not None
    return found


def refusal(path: Path) -> str:
    with pytest.raises(InvalidSetting, match=r"^SIGNALBOX_TRUST_FILE: ") as refused:
        trust(path)
    assert KEY.public.raw.hex() not in str(refused.value)
    return str(refused.value)


def as_huge(path: Path) -> None:
    path.write_bytes(GOOD + b" " * (MAX_FILE_BYTES + 1 - len(GOOD)))


def as_folder(path: Path) -> None:
    path.mkdir()


def as_pipe(path: Path) -> None:
    os.mkfifo(path)


def as_loop(path: Path) -> None:
    path.symlink_to(path)


def as_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def holding(content: bytes) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_bytes(content)

    return make


TWICE = (
    b'{"signatures": "required", "keys": [%s], "signatures": "off"}' % json.dumps(ADMIN).encode()
)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (as_huge, "larger than"),
        (as_folder, "directory"),
        (as_pipe, "no regular file"),
        (as_device, "no regular file"),
        (as_loop, "symbolic links"),
        (holding(b""), "not JSON"),
        (holding(GOOD[:-1]), "not JSON"),
        (holding(GOOD + GOOD), "not JSON"),
        (holding(b"\xff" + GOOD), "not JSON"),
        (holding(GOOD.replace(b"alice", b"al\xe9ce")), "not JSON"),
        (holding(b"[" * 100_000), "not JSON"),
        (holding(TWICE), "a name stands twice"),
    ],
)
@pytest.mark.parametrize("kind", ["trust", "key"])
def test_what_is_no_file_of_keys_is_refused_and_nobody_waits_for_it(
    tmp_path: Path, make: Callable[[Path], None], reason: str, kind: str
) -> None:
    path = tmp_path / "file"
    make(path)
    if kind == "trust":
        assert reason in refusal(path)
    else:
        with pytest.raises(LocalFileError, match=reason):
            load_private(path)


@pytest.mark.parametrize("raw", NO_KEYS.values(), ids=NO_KEYS)
def test_a_point_that_is_no_key_is_no_administrators_and_verifies_nothing(
    tmp_path: Path, raw: bytes
) -> None:
    key = PublicKey(raw)
    tmp_path.joinpath("trust.json").write_text(json.dumps({"keys": [administrator("eve", key)]}))
    assert "no point of the curve" in refusal(tmp_path / "trust.json")
    # With R of small order and S = 0, one in one to eight messages would be signed by everyone.
    for point in NO_KEYS.values():
        for number in range(32):
            assert not key.verifies(point + bytes(32), b"%d" % number)


def test_a_key_of_another_length_or_curve_is_none(tmp_path: Path) -> None:
    for change in (
        {"x": encode(KEY.public.raw[:31])},
        {"x": encode(KEY.public.raw + b"\0")},
        {"x": encode(b"")},
        {"x": ADMIN["x"] + "="},
        {"crv": "X25519"},
        {"crv": "Ed448"},
        {"crv": "P-256", "kty": "EC"},
        {"crv": "ed25519"},
        {"x": [ADMIN["x"]]},
        {"kid": OTHER.kid},
    ):
        document: dict[str, Any] = {"keys": [ADMIN | change]}
        tmp_path.joinpath("trust.json").write_text(json.dumps(document))
        assert "no public key" in refusal(tmp_path / "trust.json"), change


def test_a_key_that_stands_there_twice_is_refused(tmp_path: Path) -> None:
    """By its id, a signature would be the one's or the other's."""
    path = tmp_path / "trust.json"
    path.write_text(json.dumps({"keys": [ADMIN, administrator("bob", KEY.public)]}))
    assert "the key of bob stands there twice" in refusal(path)
    both = [ADMIN, administrator("alice", OTHER.public)]
    path.write_text(json.dumps({"keys": both}))
    assert set(trust(path).administrators) == {KEY.kid, OTHER.kid}


def test_a_link_and_a_byte_order_mark_are_taken_whatever_the_modes(tmp_path: Path) -> None:
    """As secret managers mount files, and as editors write them."""
    there = tmp_path / "..2026" / "trust.json"
    there.parent.mkdir()
    there.write_bytes(b"\xef\xbb\xbf" + GOOD)
    there.chmod(0o666)
    link = tmp_path / "trust.json"
    link.symlink_to(there)
    assert trust(link).signatures is Signatures.REQUIRED


def test_a_file_that_is_replaced_meanwhile_is_the_one_or_the_other(tmp_path: Path) -> None:
    path, done = tmp_path / "trust.json", threading.Event()
    versions = [
        json.dumps(
            {
                "keys": [administrator(f"admin-{n}", key.public)],
                "floor": floor,
                "signatures": "required",
            }
        )
        + " " * (n * 200_000)
        for n, (key, floor) in enumerate([(KEY, 1), (OTHER, 2)])
    ]
    path.write_text(versions[0])

    def replace() -> None:
        number = 0
        while not done.is_set():
            number += 1
            (tmp_path / "new").write_text(versions[number % 2])
            (tmp_path / "new").replace(path)

    writer = threading.Thread(target=replace)
    writer.start()
    try:
        seen = set()
        for _ in range(100_000):
            found = trust(path)
            seen.add((*found.administrators, found.floor, found.signatures))
            if len(seen) == 2:
                break
    finally:
        done.set()
        writer.join()
    assert seen == {(KEY.kid, 1, Signatures.REQUIRED), (OTHER.kid, 2, Signatures.REQUIRED)}


def test_a_file_that_is_written_in_place_is_refused_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    for end in range(len(GOOD)):
        path.write_bytes(GOOD[:end])
        refusal(path)
    path.write_bytes(GOOD)
    assert public_of(ADMIN).kid in trust(path).administrators
