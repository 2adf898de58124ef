"""Keys and principals by the command line: from nothing to a signed registry, and a stolen key."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from signalbox.commands.state import State, connect
from signalbox.routing.registry.event import StreamEvent
from tests.integration import command_line

ROUTE = ("object_store", "-t", "t_acme", "-e", "prod")


class Shell:
    """Operators at their machines: each has a key, all have the same trust file."""

    def __init__(self, state_url: str, folder: Path) -> None:
        self.folder = folder
        self._servers = {"SIGNALBOX_STATE_URL": state_url, "SIGNALBOX_BROKER_URL": state_url}
        self._trust: dict[str, str] = {}

    def run(self, who: str, *words: str, **more: str) -> subprocess.CompletedProcess[bytes]:
        key = {"SIGNALBOX_KEY_FILE": str(self.folder / f"{who}.key")} if self._trust else {}
        return command_line.run(*words, stdin=b"", **(self._servers | self._trust | key | more))

    def done(self, who: str, *words: str) -> str:
        result = self.run(who, *words)
        assert result.returncode == 0, result.stderr.decode()
        return result.stdout.decode()

    def refused(self, who: str, code: str, *words: str) -> str:
        result = self.run(who, *words)
        assert result.returncode == 1, result.stdout.decode()
        assert code in result.stderr.decode()
        return result.stderr.decode()

    def new_key(self, who: str) -> Path:
        """Make a key; return the file of its public part."""
        public = self.folder / f"{who}.public"
        public.write_text(self.done(who, "key", "new", str(self.folder / f"{who}.key")))
        return public

    def trust(self, administrator: str) -> None:
        """Let everyone trust the administrator from now on."""
        key = str(self.folder / f"{administrator}.key")
        path = self.folder / "trust.json"
        path.write_text(self.done(administrator, "key", "show", key, "--trust", administrator))
        self._trust = {"SIGNALBOX_TRUST_FILE": str(path), "SIGNALBOX_AUDIENCE": "test"}

    def add(self, name: str, *granted: str) -> None:
        key = ("--key", str(self.new_key(name)), "--reason", "new")
        self.done("alice", "principal", "add", name, *key, *granted)

    def set_route(self, who: str, folder: str = "data") -> None:
        config = ("-c", f"base_dir={self.folder / folder}", "--reason", "set")
        self.done(who, "routes", "set", ROUTE[0], "filesystem", *ROUTE[1:], *config)


@pytest.fixture
def client(state_url: str) -> Iterator[State]:
    with connect(state_url) as client:
        client.server().flushdb()
        yield client


@pytest.fixture
def shell(client: State, state_url: str, tmp_path: Path) -> Shell:
    shell = Shell(state_url, tmp_path)
    shell.new_key("alice")
    return shell


OPERATOR = ("--role", "operator", "--tenants", "t_acme")


def test_a_registry_that_was_there_is_signed_and_goes_on(shell: Shell, client: State) -> None:
    shell.set_route("alice")
    shell.done("alice", "policy", "set", "-t", "t_acme", "--max-objects", "5", "--reason", "x")
    shell.trust("alice")
    assert "no event is signed" in shell.refused("alice", "INTEGRITY", "audit", "verify")
    shell.refused("alice", "REGISTRY_UNPROVEN", "routes", "get", *ROUTE)
    assert b"REGISTRY_UNPROVEN" in shell.run("alice", "routes", "list").stderr
    [page] = [
        p for p in json.loads(shell.done("alice", "routes", "list", "--json")) if "unproven" in p
    ]
    assert (page["routes"], page["unproven"][0]["tenant_id"]) == ([], "t_acme")
    shell.add("ops", *OPERATOR)
    listed = shell.run("alice", "audit", "adopt", "--reason", "all checked")
    assert listed.returncode == 1  # nobody has said yes
    assert b"policy/t_acme" in listed.stdout
    assert "signed 2" in shell.done("alice", "audit", "adopt", "--yes", "--reason", "all checked")
    assert "nothing to sign" in shell.done("alice", "audit", "adopt", "--yes", "--reason", "x")
    assert str(shell.folder / "data") in shell.done("ops", "routes", "get", *ROUTE)
    assert "5" in shell.done("ops", "policy", "get", "-t", "t_acme")
    verified = json.loads(shell.done("ops", "audit", "verify", "--json"))
    assert (verified["events"], verified["signed"], verified["unsigned"]) == (5, 3, 2)
    shell.refused("ops", "NOT_GRANTED", "policy", "set", "-t", "t_other", "--reason", "not mine")
    shell.refused("ops", "NOT_GRANTED", "principal", "revoke", "ops", "--reason", "not mine")


def test_a_principal_is_shown_granted_rotated_and_revoked(shell: Shell) -> None:
    shell.trust("alice")
    shell.add("ops", *OPERATOR, "--expires", "2099-01-01T00:00Z")
    reason = ("--reason", "x")
    shell.done(
        "alice", "principal", "grant", "ops", "--tenants", "t_acme", "--envs", "dev", *reason
    )
    shown = json.loads(shell.done("alice", "principal", "show", "ops", "--json"))
    assert (shown["envs"], shown["roles"]) == (["dev"], ["operator"])
    first = json.loads((shell.folder / "ops.public").read_text())["kid"]
    second = str(shell.new_key("second"))
    shell.done("alice", "principal", "rotate", "ops", "--key", second, *reason)
    shell.done("alice", "principal", "rotate", "ops", "--remove", first, *reason)
    shown = json.loads(shell.done("alice", "principal", "show", "ops", "--json"))
    assert [key["x"] for key in shown["keys"]] == [json.loads(Path(second).read_text())["x"]]
    shell.done("alice", "principal", "revoke", "ops", *reason)
    assert "revoked" in shell.done("alice", "principal", "list")
    kinds = [event["type"] for event in json.loads(shell.done("alice", "audit", "log", "--json"))]
    assert [kind.rpartition("_")[2] for kind in kinds] == [
        *("added", "granted", "rotated", "rotated", "revoked")
    ]
    shell.refused("alice", "NOT_FOUND", "principal", "show", "nobody")
    shell.refused("alice", "CONFLICT", "principal", "grant", "ops", "--role", "admin", *reason)


def test_a_private_key_is_no_principals_key(shell: Shell) -> None:
    shell.trust("alice")
    words = ("principal", "add", "ops", "--key", str(shell.folder / "alice.key"), *OPERATOR)
    told = shell.refused("alice", "INVALID_COMMAND", *words, "--reason", "x")
    assert "private key stands" in told
    assert json.loads((shell.folder / "alice.key").read_text())["d"] not in told


def test_without_a_key_or_a_trust_file_it_says_what_to_do(shell: Shell) -> None:
    shell.refused("alice", "INVALID_SETTING", "principal", "list")
    shell.trust("alice")
    shell.refused("nobody", "INVALID_SETTING", "routes", "list")


def test_a_stolen_key_as_docs_operations_says(shell: Shell) -> None:
    """Revoke, look, set again what is right, and raise the floor."""
    shell.trust("alice")
    shell.add("ops", *OPERATOR)
    shell.set_route("ops", "honest")
    thief = ("-c", "base_dir=/srv/evil", "--reason", "thief")
    shell.done("ops", "routes", "switch", ROUTE[0], "filesystem", *ROUTE[1:], *thief)
    shell.done("alice", "principal", "revoke", "ops", "--reason", "stolen")
    shell.refused("alice", "REGISTRY_UNPROVEN", "routes", "get", *ROUTE)
    listed = shell.run("alice", "audit", "adopt", "--reason", "look").stdout.decode()
    assert "/srv/evil" in listed
    assert "revoked" in listed
    shell.set_route("alice", "honest")
    assert str(shell.folder / "honest") in shell.done("alice", "routes", "get", *ROUTE)
    assert "nothing to sign" in shell.done("alice", "audit", "adopt", "--yes", "--reason", "x")
    assert json.loads(shell.done("alice", "audit", "verify", "--json"))["whole"]


def test_who_leaves_leaves_routes_that_go_on(shell: Shell) -> None:
    shell.trust("alice")
    shell.add("ops", *OPERATOR)
    shell.set_route("ops")
    adopted = ("audit", "adopt", "--signed-by", "ops", "--yes", "--reason", "ops leaves")
    assert "signed 1" in shell.done("alice", *adopted)
    shell.done("alice", "principal", "revoke", "ops", "--reason", "left")
    assert str(shell.folder / "data") in shell.done("alice", "routes", "get", *ROUTE)


def test_verify_names_who_did_not_sign(shell: Shell, client: State) -> None:
    shell.trust("alice")
    shell.add("ops", *OPERATOR)
    shell.set_route("ops")
    rows = client.call("XRANGE", "{rt}:log", "-", "+")
    event = json.loads(rows[-1][1][b"event"])
    del event["proof"]
    event["hash"] = StreamEvent.model_validate(event).digest()
    client.call("DEL", "{rt}:log")
    for entry, fields in rows:
        text = json.dumps(event) if entry == rows[-1][0] else fields[b"event"]
        client.call("XADD", "{rt}:log", entry, "event", text, "at", fields[b"at"])
    client.call("HSET", "{rt}:head", "hash", event["hash"])
    told = shell.refused("alice", "INTEGRITY", "audit", "verify")
    assert "at revision 2: it carries no signature" in told


def test_a_principal_that_an_issuer_proves_needs_no_key(shell: Shell) -> None:
    shell.trust("alice")
    reader = ("--role", "reader", "--tenants", "t_acme", "--reason", "by the issuer")
    shell.done("alice", "principal", "add", "ann", *reader)
    shown = json.loads(shell.done("alice", "principal", "show", "ann", "--json"))
    assert (shown["keys"], shown["roles"]) == ([], ["reader"])
    shell.done("alice", "principal", "add", "bob", *reader)
    shell.done("alice", "audit", "verify")


def test_the_audit_log_shows_who_signed(shell: Shell, client: State) -> None:
    shell.set_route("alice", "before")
    unsigned = json.loads(shell.done("alice", "audit", "log", "--json"))
    assert "signed_by" not in unsigned[0]
    assert "signed by" not in shell.done("alice", "audit", "log")
    shell.trust("alice")
    shell.add("ops", *OPERATOR)
    shell.set_route("ops", "before")
    shell.done("alice", "policy", "set", "-t", "t_acme", "--max-objects", "5", "--reason", "five")
    shell.done("alice", "principal", "revoke", "ops", "--reason", "left")
    shown = json.loads(shell.done("alice", "audit", "log", "--json"))
    signed = [(each["signed_by"]["name"], each["signed_by"]["verified"]) for each in shown]
    ours = [("alice", True)] * 2
    assert signed == [(None, False), ("alice", True), ("ops", True), *ours]
    assert [each["signed_by"]["why_not"] is None for each in shown] == [
        *(False, True, False, True, True)
    ]
    assert "revoked" in shown[2]["signed_by"]["why_not"]
    table = shell.done("alice", "audit", "log")
    assert "signed by" in table
    assert "ops, ended" in table
    # What somebody writes in another's name is not verified as theirs.
    [row] = client.call("XRANGE", "{rt}:log", "4-0", "4-0")
    forged = json.loads(row[1][b"event"]) | {"revision": 6, "id": "e/6"}
    client.call("XADD", "{rt}:log", "6-0", "event", json.dumps(forged), "at", "1")
    client.call("HSET", "{rt}:head", "rev", "6")
    last = json.loads(shell.done("alice", "audit", "log", "--json"))[-1]["signed_by"]
    assert (last["name"], last["verified"]) == (None, False)
