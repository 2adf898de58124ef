"""Commands as they arrive: what is read, and what is refused with which code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # ships no types
import pytest

from signalbox.commands.error import InvalidKey, SignalboxError
from signalbox.commands.key import check_key, check_prefix
from signalbox.commands.object_store import Condition, PutObject
from signalbox.commands.parse import known_ops, load_command, parse_command
from signalbox.commands.payload import InlinePayload, StagedPayload
from signalbox.commands.scope import Mode

HEAD = {"op": "object_store.head", "tenant_id": "t_x", "env": "dev", "key": "k"}

HOSTILE_KEYS = [
    "",
    "/etc/passwd",
    "..",
    "a/../b",
    "./a",
    "a/.",
    "a//b",
    "a/",
    "a\0b",
    "a\nb",
    "a\x7fb",
    "a\u0085b",
    "x" * 1025,
    "é" * 513,
    "\ud800",
]


@pytest.mark.parametrize("key", HOSTILE_KEYS)
def test_a_hostile_key_is_refused(key: str) -> None:
    with pytest.raises(InvalidKey):
        check_key(key)


@pytest.mark.parametrize("key", ["a", "a/b", "x" * 1024, "é", "a b+c%2F?#", "..a/b..", "...", "~"])
def test_an_odd_key_is_taken_as_it_is(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize("prefix", ["/a", "a//b", "../a", "./", "a\n"])
def test_a_prefix_that_can_match_no_key_is_refused(prefix: str) -> None:
    with pytest.raises(InvalidKey):
        check_prefix(prefix)


@pytest.mark.parametrize("prefix", ["", "a", "a/", "a/.", "a/..b"])
def test_a_prefix_may_end_anywhere_in_a_key(prefix: str) -> None:
    assert check_prefix(prefix) == prefix


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"tenant_id": "demo"}, "INVALID_SCOPE"),
        ({"tenant_id": "t_"}, "INVALID_SCOPE"),
        ({"tenant_id": "t_../x"}, "INVALID_SCOPE"),
        ({"tenant_id": "t_a/b"}, "INVALID_SCOPE"),
        ({"tenant_id": "t_A"}, "INVALID_SCOPE"),
        ({"tenant_id": "t_x\n"}, "INVALID_SCOPE"),
        ({"tenant_id": "t_" + "x" * 62}, "INVALID_SCOPE"),
        ({"tenant_id": "t_é"}, "INVALID_SCOPE"),
        ({"env": "Dev"}, "INVALID_SCOPE"),
        ({"env": "../dev"}, "INVALID_SCOPE"),
        ({"env": ""}, "INVALID_SCOPE"),
        ({"env": "dev\0"}, "INVALID_SCOPE"),
        ({"key": "../k"}, "INVALID_KEY"),
        ({"v": 2}, "UNSUPPORTED_VERSION"),
        ({"v": "1.1"}, "UNSUPPORTED_VERSION"),
        ({"op": "object_store.explode"}, "UNKNOWN_COMMAND"),
        ({"op": None}, "UNKNOWN_COMMAND"),
        ({"op": ["object_store.head"]}, "UNKNOWN_COMMAND"),
        ({"surprise": 1}, "INVALID_COMMAND"),
        ({"key": 7}, "INVALID_COMMAND"),
        ({"op_id": "a/b"}, "INVALID_COMMAND"),
        ({"op_id": ""}, "INVALID_COMMAND"),
        ({"mode": "root"}, "INVALID_COMMAND"),
    ],
)
def test_a_faulty_document_is_refused_with_its_code_and_place(
    change: dict[str, Any], code: str
) -> None:
    with pytest.raises(SignalboxError) as caught:
        parse_command(HEAD | change)
    assert caught.value.code == code
    assert caught.value.next_step
    assert caught.value.tenant_id is not None


@pytest.mark.parametrize("document", [None, [], "put", 7])
def test_what_is_no_object_is_refused(document: Any) -> None:
    with pytest.raises(SignalboxError, match="JSON object"):
        parse_command(document)


def test_an_error_does_not_repeat_content() -> None:
    secret = {"type": "inline", "data": "!!not base64: hunter2!!"}
    with pytest.raises(SignalboxError) as caught:
        parse_command({**HEAD, "op": "object_store.put", "payload": secret})
    assert "hunter2" not in str(caught.value)


def test_bytes_that_are_no_utf8_survive_json() -> None:
    content = bytes(range(256))
    put = PutObject(tenant_id="t_x", env="dev", key="k", payload=InlinePayload(data=content))
    again = load_command(put.op, put.model_dump_json())
    assert again == put


def test_the_same_content_staged_twice_is_the_same_command() -> None:
    def staged(ref: str, digest: str) -> PutObject:
        payload = StagedPayload(ref=ref * 32, size=3, sha256=digest * 64)
        return PutObject(tenant_id="t_x", env="dev", op_id="one", key="k", payload=payload)

    assert staged("a", "0").fingerprint() == staged("b", "0").fingerprint()
    assert staged("a", "0").fingerprint() != staged("a", "1").fingerprint()


def test_an_inline_and_a_staged_copy_of_one_content_are_the_same_command() -> None:
    inline = InlinePayload(data=b"abc")
    staged = StagedPayload(ref="a" * 32, size=3, sha256=inline.sha256)
    commands = [
        PutObject(tenant_id="t_x", env="dev", op_id="one", key="k", payload=payload)
        for payload in (inline, staged)
    ]
    assert commands[0].fingerprint() == commands[1].fingerprint()


@pytest.mark.parametrize("op", sorted(known_ops()))
def test_each_command_is_registered_under_the_op_it_bears(op: str) -> None:
    assert known_ops()[op].model_fields["op"].default == op


GOLDEN: list[dict[str, Any]] = [
    json.loads(line)
    for line in Path(__file__).with_name("golden_commands.jsonl").read_text().splitlines()
]


@pytest.mark.parametrize("document", GOLDEN, ids=lambda document: document["op"])
def test_a_command_keeps_the_form_in_which_it_travels(document: dict[str, Any]) -> None:
    command = parse_command(document)
    # As text too: 1 and 1.0 are equal, but not the same value. What joined later has a default.
    assert json.dumps(json.loads(command.model_dump_json()), sort_keys=True) == json.dumps(
        {"deadline": None} | document, sort_keys=True
    )
    jsonschema.Draft202012Validator(type(command).model_json_schema()).validate(document)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"n": 2**63}, "INVALID_COMMAND"),
        ({"n": float("nan")}, "INVALID_COMMAND"),
        ({"n": {"$bytes": "!"}}, "INVALID_COMMAND"),
        ({"n": {"$timestamp": "2026-01-31T12:00:00"}}, "INVALID_COMMAND"),
        ({"n": {"$float": "1"}}, "INVALID_COMMAND"),
        ({"$n": 1}, "INVALID_COMMAND"),
        ({"": 1}, "INVALID_KEY"),
        ({"a\0b": 1}, "INVALID_KEY"),
        ([], "INVALID_COMMAND"),
        ({"n": "x" * (1024 * 1024)}, "TOO_LARGE"),
    ],
)
def test_data_without_a_type_is_refused(data: Any, code: str) -> None:
    with pytest.raises(SignalboxError) as caught:
        parse_command({**GOLDEN[0], "data": data})
    assert caught.value.code == code
    assert caught.value.next_step


def test_a_summary_names_key_and_size_but_no_content() -> None:
    payload = InlinePayload(data=b"hunter2")
    summary = PutObject(tenant_id="t_x", env="dev", key="docs/a", payload=payload).summary()
    assert "t_x/dev object_store.put docs/a 7B" in summary
    assert "hunter2" not in summary
    assert "aHVudGVyMg" not in summary


def test_a_put_is_told_by_all_of_its_fields_and_as_before() -> None:
    put = PutObject(
        tenant_id="t_a",
        env="dev",
        mode=Mode.LAB,
        key="a/ü",
        payload=InlinePayload(data=b"x"),
        content_type="text/plain",
        metadata={"b": "1", "a": "2"},
        condition=Condition(if_match="e"),
    )
    fields = put.model_dump(mode="json", exclude={"op_id", "v", "deadline", "payload"})
    fields |= {"sha256": put.payload.sha256, "size": 1}
    found = put.fingerprint_fields()
    assert found == fields
    assert repr(sorted(found.items())) == repr(sorted(fields.items()))
