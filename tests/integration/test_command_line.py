"""The command line as a person and a script use it, against real workers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from signalbox.producers.embedded.s3_stand_in import S3StandIn
from tests.integration.command_line import done, options, run
from tests.integration.conftest import RunningStack

HERE = ["-t", "t_cli", "-e", "dev"]


def refused(code: str, *arguments: str, stdin: bytes = b"", **environment: str) -> str:
    result = run(*arguments, stdin=stdin, **environment)
    message = result.stderr.decode()
    assert result.returncode == 1, message or result.stdout.decode()
    assert message.startswith(code), message
    assert "Traceback" not in message
    return message


@pytest.fixture(scope="module")
def routed(two_workers: RunningStack) -> RunningStack:
    two_workers.route_to_folder("t_cli")
    return two_workers


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3StandIn]:
    with S3StandIn(tmp_path_factory.mktemp("stand-in")) as server:
        server.create_bucket("cli")
        yield server


def s3_options(stand_in: S3StandIn, bucket: str = "cli") -> list[str]:
    config = {
        "bucket": bucket,
        "region": "us-east-1",
        "endpoint_url": stand_in.endpoint_url,
        "addressing_style": "path",
        "credentials_file": str(stand_in.credentials_file),
    }
    return options(config)


def test_an_object_goes_in_and_comes_out(routed: RunningStack, tmp_path: Path) -> None:
    content = bytes(range(256)) * 1000
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(content)
    put = json.loads(done("object", "put", "a/b.bin", str(source), *HERE, "--json"))
    assert put["sha256"] == hashlib.sha256(content).hexdigest()
    done("object", "get", "a/b.bin", "-o", str(target), *HERE)
    assert target.read_bytes() == content
    assert done("object", "get", "a/b.bin", "--range", "1-3", *HERE) == b"\x01\x02\x03"
    stat = json.loads(done("object", "stat", "a/b.bin", *HERE, "--json"))
    assert (stat["size"], stat["backend_type"]) == (len(content), "filesystem")
    assert b"t_cli/dev/raw/a/b.bin" in done("object", "uri", "a/b.bin", *HERE)
    shown = json.loads(done("outcome", put["op_id"], *HERE, "--json"))
    [found] = json.loads(done("outcome", put["op_id"], "--json"))
    assert found == shown
    assert shown["outcome"]["status"] == "done"
    done("object", "rm", "a/b.bin", *HERE)
    refused("NOT_FOUND", "object", "get", "a/b.bin", *HERE)


def test_standard_input_and_output_are_bytes(routed: RunningStack) -> None:
    done("object", "put", "pipe", "-", *HERE, stdin=b"\x00\xff\n")
    assert done("object", "get", "pipe", *HERE) == b"\x00\xff\n"


def test_a_folder_is_stored_and_listed(routed: RunningStack, tmp_path: Path) -> None:
    for name in ("x/1", "x/2", "y"):
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    done("object", "put", "-r", str(tmp_path / "folder"), "up/", *HERE)
    listed = json.loads(done("object", "ls", "up/", "--delimiter", "/", *HERE, "--json"))
    assert [entry["key"] for entry in listed["objects"]] == ["up/y"]
    assert listed["prefixes"] == ["up/x/"]


def test_a_route_is_switched_to_s3_and_its_history_tells_it(
    routed: RunningStack, stand_in: S3StandIn
) -> None:
    here = ["-t", "t_cli2", "-e", "dev"]
    done("routes", "set", "object_store", "filesystem", *here, "--reason", "first",
         "-c", f"base_dir={routed.data / 'cli2'}")  # fmt: skip
    done("object", "put", "k", "-", *here, stdin=b"old place")
    done("routes", "switch", "object_store", "s3", *here, "--reason", "move",
         *s3_options(stand_in))  # fmt: skip
    for change in (
        ["filesystem", "-c", "base_dir=/elsewhere"],
        ["s3", *s3_options(stand_in, "more")],
    ):
        message = refused(
            "ROUTE_EXISTS", "routes", "set", "object_store", *change, *here, "--reason", "r"
        )
        assert f"signalbox routes switch object_store {change[0]} -t t_cli2 -e dev" in message
    refused("NOT_FOUND", "object", "get", "k", *here)
    put = json.loads(done("object", "put", "k", "-", *here, "--json", stdin=b"new place"))
    assert put["uri"] == "s3://cli/tenants/t_cli2/dev/raw/k"
    assert done("object", "get", "k", *here) == b"new place"
    post = json.loads(
        done("object", "presign-post", "up", "--content-type", "text/plain", *here, "--json")
    )
    assert post["fields"]["key"] == "tenants/t_cli2/dev/raw/up"
    assert b"X-Amz-Signature" in done("object", "presign-get", "k", *here, "--json")
    asset = json.loads(done("object", "register", "k", "--size", "9", *here, "--json"))
    assert asset["uri"] == put["uri"]
    events = json.loads(done("routes", "history", "object_store", *here, "--json"))
    kinds = [event["type"].rpartition(".")[2] for event in events]
    assert kinds == ["set", "switched", "refused", "refused"]
    assert [event["data"]["reason"] for event in events] == ["first", "move", "r", "r"]
    done("routes", "delete", "object_store", *here, "--reason", "over")
    refused("ROUTE_NOT_FOUND", "routes", "get", "object_store", *here)


def test_a_scope_that_never_had_a_route_is_not_called_drained(routed: RunningStack) -> None:
    refused("ROUTE_NOT_FOUND", "routes", "drain", "object_store", "-t", "t_cli", "-e", "typo")


def test_a_wrong_setting_is_named(routed: RunningStack, tmp_path: Path) -> None:
    url = f"{routed.settings.state_url.rpartition('/')[0]}/9999"
    assert "SIGNALBOX_STATE_URL" in refused("STATE_UNAVAILABLE", "status", SIGNALBOX_STATE_URL=url)
    message = refused("INVALID_SETTING", "status", SIGNALBOX_BROKER_URL="carrier-pigeon://here")
    assert "SIGNALBOX_BROKER_URL" in message
    nobody = "redis://127.0.0.1:1/0"
    up = ["up", "--data", str(tmp_path)]
    assert "unset SIGNALBOX_STATE_URL" in refused(
        "STATE_UNAVAILABLE", *up, SIGNALBOX_STATE_URL=nobody
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("object", "put", "k", "-", *HERE),
        ("status",),
        ("worker", "--name", "astray"),
        ("gateway", "--port", "0"),
    ],
    ids=lambda value: value[0],
)
@pytest.mark.parametrize("name", ["TENANT_SHARDS", "LEDGER_SHARDS"])
def test_shards_that_are_not_the_workers_end_whatever_starts(
    routed: RunningStack, arguments: tuple[str, ...], name: str
) -> None:
    ended = run(*arguments, stdin=b"", **{f"SIGNALBOX_{name}": "63"})
    assert ended.returncode == 1
    last = ended.stderr.decode().splitlines()[-1]  # Celery warns root before it
    assert last.startswith("LEDGER_MISMATCH ")
    assert f"SIGNALBOX_{name} is 63" in last


def test_an_empty_setting_is_not_set(routed: RunningStack) -> None:
    source = b"x" * 100_000
    refused("TOO_LARGE", "object", "put", "big", "-", *HERE, stdin=source, SIGNALBOX_PAYLOAD_DIR="")


def test_status_counts_and_names_the_workers(routed: RunningStack) -> None:
    done("object", "put", "counted", "-", *HERE, stdin=b"one")
    status = json.loads(done("status", "--json"))
    assert len(status["workers"]) == 2
    assert {"open", "done", "dead_letters"} <= set(status["ledger"])
    assert done("status")
    assert done("routes", "list")


def test_a_missing_route_says_how_to_configure_one(routed: RunningStack) -> None:
    message = refused("ROUTE_NOT_FOUND", "object", "put", "k", "-", "-t", "t_none", "-e", "dev")
    assert "No route configured for object_store in t_none/dev" in message
    assert "signalbox routes set object_store" in message


def test_a_refused_route_names_what_is_supported(routed: RunningStack, stand_in: S3StandIn) -> None:
    set_ = ["routes", "set", "object_store"]
    here = ["-t", "t_refused", "-e", "dev", "--reason", "r"]
    assert "filesystem, s3" in refused("UNKNOWN_BACKEND", *set_, "floppy", *here)
    assert "filesystem, s3" in refused("BACKEND_NOT_IMPLEMENTED", *set_, "dynamodb", *here)
    refused("INVALID_ROUTE_CONFIG", *set_, "s3", *here)
    refused("INVALID_ROUTE_CONFIG", *set_, "s3", *here, "-c", "bucket=b", "-c", "secret_key=x")
    message = refused(
        "FORBIDDEN_BACKEND_CLASS", *set_, "filesystem", *here, "-m", "saas", "-c", "base_dir=/x"
    )
    assert "t_refused/dev" in message
    history = json.loads(done("routes", "history", "object_store", *here[:4], "--json"))
    assert {event["type"].rpartition(".")[2] for event in history} == {"refused"}
    assert len(history) == 5


def test_a_command_in_a_sellable_mode_is_refused_on_a_lab_route(routed: RunningStack) -> None:
    refused("FORBIDDEN_BACKEND_CLASS", "object", "put", "k", "-", *HERE, "-m", "saas")


def test_a_missing_bucket_is_not_a_missing_key(routed: RunningStack, stand_in: S3StandIn) -> None:
    here = ["-t", "t_bucket", "-e", "dev"]
    done("routes", "set", "object_store", "s3", *here, "--reason", "r",
         *s3_options(stand_in, "none-such"))  # fmt: skip
    message = refused("MISCONFIGURED", "object", "get", "k", *here)
    assert "the bucket does not exist" in message
    refused("MISCONFIGURED", "object", "put", "k", "-", *here, stdin=b"x")


def test_the_same_op_id_with_another_content_is_refused(routed: RunningStack) -> None:
    done("object", "put", "idem", "-", *HERE, "--op-id", "mine", stdin=b"one")
    done("object", "put", "idem", "-", *HERE, "--op-id", "mine", stdin=b"one")
    refused("OP_ID_REUSED", "object", "put", "idem", "-", *HERE, "--op-id", "mine", stdin=b"two")
    assert done("object", "get", "idem", *HERE) == b"one"


def test_hostile_names_are_refused_before_anything_is_sent(routed: RunningStack) -> None:
    refused("INVALID_KEY", "object", "put", "../x", "-", *HERE)
    refused("INVALID_SCOPE", "object", "get", "k", "-t", "t_../x", "-e", "dev")
    refused("INVALID_SCOPE", "object", "get", "k", "-t", "t_x", "-e", "../dev")
    refused("LOCAL_FILE", "object", "put", "k", "/no/such/file", *HERE)


def test_a_wrong_backend_is_named_before_a_missing_reason(routed: RunningStack) -> None:
    for command in ("set", "switch"):
        its = ["routes", command, "object_store"]
        assert "filesystem, s3" in refused("UNKNOWN_BACKEND", *its, "floppy", *HERE)
        asked = run(*its, "s3", *HERE)
        assert (asked.returncode, b"--reason <text>" in asked.stderr) == (2, True)


def test_an_error_of_usage_is_in_plain_words(routed: RunningStack) -> None:
    wrong = run("routes", "set", "objects", "s3", *HERE, "--reason", "r")
    assert b"'kind': 'objects' is not one of 'object_store'" in wrong.stderr


def test_wrong_usage_exits_with_two(routed: RunningStack) -> None:
    assert run("object", "put").returncode == 2
    assert run("object", "get", "k", "--range", "x", *HERE).returncode == 2
    assert run("nonsense").returncode == 2


def test_errors_are_json_for_scripts(routed: RunningStack) -> None:
    result = run("object", "stat", "none", *HERE, "--json")
    assert result.returncode == 1
    assert json.loads(result.stderr)["error"]["code"] == "NOT_FOUND"


def test_a_state_redis_that_is_away_is_told() -> None:
    nowhere = "redis://127.0.0.1:1/0"
    refused("STATE_UNAVAILABLE", "object", "put", "k", "-", *HERE,
            SIGNALBOX_STATE_URL=nowhere, SIGNALBOX_BROKER_URL=nowhere)  # fmt: skip
