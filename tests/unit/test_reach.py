"""What a route may reach: folders, credential files and addresses, on every backend alike."""

from __future__ import annotations

import os
import socket
import struct
import threading
from pathlib import Path
from typing import Any

import fakeredis
import psycopg
import pytest

from signalbox.adapters import address, reach
from signalbox.adapters.catalogue import CATALOGUE, Backend, find_backend
from signalbox.adapters.credential_file import read_line, read_password
from signalbox.adapters.folder_rule import fit_for_data
from signalbox.adapters.port import AdapterContext, Call
from signalbox.adapters.reach import Boundary, Endpoint, Reaches
from signalbox.commands.clock import lease_clock
from signalbox.commands.error import Misconfigured, PlaceForbidden, Unavailable
from signalbox.commands.payload import DirectoryPayloadStore
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.state import state_over
from signalbox.routing.registry.change import Change
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import RouteTarget

CELLS = [pytest.param(entry, id=f"{entry.kind}-{entry.backend_type}") for entry in CATALOGUE]
SCOPE = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id="t_a", env="dev")
METADATA = "169.254.169.254"


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SIGNALBOX_")]:
        monkeypatch.delenv(name)


def configs(backend_type: str, folder: Path) -> list[dict[str, Any]]:
    """Configs of a backend, each with one thing that no route may reach."""
    shadow = "/etc/shadow"
    aws = [{"endpoint_url": f"http://{METADATA}"}, {"credentials_file": shadow}]
    aws += [
        {
            "role_arn": "arn:aws:iam::123456789012:role/r",
            "sts_endpoint_url": "http://sts.example.com",
        }
    ]
    azure = {"account_url": "https://acme.blob.core.windows.net", "container": "data"}
    postgres = {"host": "db", "database": "d", "user": "u"}
    firestore = {"project": "signalbox-lab"}
    pipe = folder / "pipe"
    if not pipe.exists():
        os.mkfifo(pipe)
    return {
        "filesystem": [{"base_dir": path} for path in ("/", "/etc", "/root", "/etc/x", "/proc")],
        "s3": [{"bucket": "data"} | part for part in aws],
        "dynamodb": [{"table": "data", "region": "eu-west-1"} | part for part in aws],
        "azure_blob": [
            azure | {"account_url": f"https://{METADATA}"},
            azure | {"account_key_file": shadow},
            azure | {"connection_string_file": shadow},
            azure | {"sas_file": shadow},
            azure | {"account_url": "http://acme.example.com", "sas_file": f"{folder}/sas"},
        ],
        "firestore": [
            firestore | {"credentials_file": shadow},
            firestore | {"emulator_host": f"{METADATA}:80"},
        ],
        "postgres": [
            postgres | {"host": METADATA},
            postgres | {"password_file": shadow},
            postgres | {"password_file": f"{folder}/password", "sslmode": "disable"},
            postgres | {"password_file": str(pipe)},
            postgres | {"sslrootcert": str(pipe)},
        ],
    }[backend_type]


@pytest.mark.parametrize("entry", CELLS)
def test_no_backend_reaches_what_no_route_may(entry: Backend, tmp_path: Path) -> None:
    scope = Scope(kind=entry.kind, tenant_id="t_a", env="dev")
    for config in configs(entry.backend_type, tmp_path):
        entry.check_config(config)
        with pytest.raises(PlaceForbidden) as refused:
            entry.boundary(scope, config).check_named()
        assert refused.value.next_step
        with pytest.raises(PlaceForbidden):
            entry.open(AdapterContext(scope=scope, mode=Mode.LAB, config=config))


@pytest.mark.parametrize("entry", CELLS)
def test_every_key_of_a_config_that_names_a_place_is_looked_at(
    entry: Backend, tmp_path: Path
) -> None:
    """A key that is added to a backend, and forgotten in its `reaches`, fails here."""
    from importlib import import_module

    from pydantic import BaseModel

    module = import_module(f"adapters.{entry.backend_type}.config")
    fields = {
        name
        for model in vars(module).values()
        if isinstance(model, type)
        and issubclass(model, BaseModel)
        and model.__module__ == module.__name__
        for name in model.model_fields
    } or {"base_dir"}
    naming = {
        name
        for name in fields
        if name.endswith(("_file", "_url", "_dir", "_host", "cert")) or name in ("host", "endpoint")
    }
    tried = {name for config in configs(entry.backend_type, tmp_path) for name in config}
    assert naming <= tried


@pytest.mark.parametrize(
    "host",
    [
        METADATA,
        "0xa9fea9fe",
        "2852039166",
        "169.254.43518",
        "[fe80::1]",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "100.100.100.200",
        "168.63.129.16",
        "0.0.0.0",  # noqa: S104
        "metadata.google.internal",
        "METADATA.google.internal.",
        "１６９.254.169.254",
        "a b",
    ],
)
def test_metadata_and_link_local_addresses_are_refused_however_they_are_written(host: str) -> None:
    with pytest.raises(PlaceForbidden):
        boundary(Endpoint(host, 80)).check_named()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "10.0.0.1", "localhost", "minio", "/run/pg"])
def test_loopback_private_networks_and_names_are_allowed_by_default(host: str) -> None:
    boundary(Endpoint(host, 9000)).check_named()


def boundary(*endpoints: Endpoint, scope: Scope = SCOPE, **more: Any) -> Boundary:
    return Boundary(scope, "s3", Reaches(endpoints=endpoints, **more))


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
    """Every name resolves to these addresses."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answer, 0)) for answer in answers]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


def test_a_name_is_looked_at_behind_what_it_resolves_to(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "203.0.113.5", METADATA)
    boundary(Endpoint("rebound.example.com", 443)).check_named()
    with pytest.raises(PlaceForbidden, match=METADATA):
        boundary(Endpoint("rebound.example.com", 443)).check()


def test_a_name_that_leads_elsewhere_later_is_found_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "GOOD_SECONDS", 0.0)
    route = boundary(Endpoint("rebound.example.com", 443))
    resolving(monkeypatch, "203.0.113.5")
    route.check()
    resolving(monkeypatch, METADATA)
    with pytest.raises(PlaceForbidden):
        route.check()


def test_a_name_that_does_not_resolve_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any, **__: Any) -> Any:
        raise socket.gaierror("nobody knows")

    monkeypatch.setattr(socket, "getaddrinfo", none)
    with pytest.raises(Unavailable):
        boundary(Endpoint("gone.example.com", 443)).check()


def test_a_credential_in_the_clear_goes_to_this_machine_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    boundary(Endpoint("127.0.0.1", 80, exposes="sas_file")).check()
    with pytest.raises(PlaceForbidden, match="sas_file would be sent to"):
        boundary(Endpoint("acme.example.com", 80, exposes="sas_file")).check_named()
    resolving(monkeypatch, "203.0.113.5")
    with pytest.raises(PlaceForbidden):
        boundary(Endpoint("localhost", 80, exposes="sas_file")).check()


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("minio.example.com", True),
        ("example.com", False),
        ("minio.example.com.evil.org", False),
        ("t_a.tenants.internal", True),
        ("t_b.tenants.internal", False),
        ("10.1.2.3", True),
        ("10.2.2.3", False),
        ("one", True),
    ],
)
def test_an_operator_lists_hosts_and_networks(
    monkeypatch: pytest.MonkeyPatch, host: str, allowed: bool
) -> None:
    listed = "*.example.com, {tenant_id}.tenants.internal, 10.1.0.0/16, one:9000"
    monkeypatch.setenv("SIGNALBOX_ENDPOINTS", listed)
    resolving(monkeypatch, "203.0.113.5")
    check = boundary(Endpoint(host, 9000)).check
    if allowed:
        check()
    else:
        with pytest.raises(PlaceForbidden, match="SIGNALBOX_ENDPOINTS"):
            check()
    with pytest.raises(PlaceForbidden):
        boundary(Endpoint("one", 9001)).check()


def test_a_name_within_a_listed_network_is_allowed_once_it_resolves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SIGNALBOX_ENDPOINTS", "10.1.0.0/16")
    resolving(monkeypatch, "10.1.9.9")
    boundary(Endpoint("db.internal", 5432)).check()
    resolving(monkeypatch, "10.1.9.9", "10.2.0.1")
    with pytest.raises(PlaceForbidden):
        boundary(Endpoint("db.internal", 5432)).check()


def filesystem(base_dir: Path | str, tenant: str = "t_a") -> Boundary:
    scope = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id=tenant, env="dev")
    backend = find_backend(ResourceKind.OBJECT_STORE, "filesystem")
    return backend.boundary(scope, {"base_dir": str(base_dir)})


def test_a_base_within_the_data_of_another_is_refused(tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    for inner in ("tenants/t_a/dev", "tenants/t_a/dev/raw/nested"):
        with pytest.raises(PlaceForbidden, match="within the data of another route"):
            filesystem(outer / inner).check_named()
    filesystem(outer / "tenants" / "t_a").check_named()


def test_a_link_leads_to_no_forbidden_folder(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("/etc")
    with pytest.raises(PlaceForbidden, match="which is '/etc/x'"):
        filesystem(link / "x").check_named()


def test_data_lies_below_the_roots_alone_each_tenant_below_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots = f"{tmp_path}/shared,{tmp_path}/own/{{tenant_id}}"
    monkeypatch.setenv("SIGNALBOX_DATA_ROOTS", roots)
    filesystem(tmp_path / "shared" / "x").check_named()
    filesystem(tmp_path / "own" / "t_a").check_named()
    for path in ("sharedx", "own/t_b", "own", "shared/../x"):
        with pytest.raises(PlaceForbidden, match="SIGNALBOX_DATA_ROOTS"):
            filesystem(os.path.normpath(tmp_path / path)).check_named()
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "out").symlink_to(tmp_path / "own" / "t_b")
    with pytest.raises(PlaceForbidden):
        filesystem(tmp_path / "shared" / "out").check_named()


def test_payloads_are_no_place_for_data_nor_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNALBOX_PAYLOAD_DIR", str(tmp_path))
    with pytest.raises(PlaceForbidden, match="SIGNALBOX_PAYLOAD_DIR"):
        filesystem(tmp_path / "x").check_named()
    with pytest.raises(PlaceForbidden, match="content of a tenant"):
        boundary(credential_files=(f"{tmp_path}/staged",)).check_named()


def test_hidden_folders_of_a_home_hold_no_data_but_ours() -> None:
    home = os.path.realpath(os.path.expanduser("~"))
    assert "hidden" in fit_for_data(f"{home}/.ssh/x", "", by_default=True)
    assert "hidden" in fit_for_data("/home/ann/.aws", "", by_default=True)
    assert not fit_for_data("/home/ann/.signalbox/objects", "", by_default=True)
    assert not fit_for_data("/home/ann/.ssh", "", by_default=False)


def test_a_tenant_signs_with_no_other_tenants_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNALBOX_CREDENTIAL_ROOTS", f"{tmp_path}/{{tenant_id}}")
    own, other = f"{tmp_path}/t_a/key", f"{tmp_path}/t_b/key"
    boundary(credential_files=(own,)).check_named()
    with pytest.raises(PlaceForbidden, match="SIGNALBOX_CREDENTIAL_ROOTS"):
        boundary(credential_files=(other,)).check_named()
    monkeypatch.delenv("SIGNALBOX_CREDENTIAL_ROOTS")
    with pytest.raises(PlaceForbidden, match="content of a tenant"):
        boundary(credential_files=("/data/tenants/t_a/dev/raw/upload",)).check_named()


def test_a_file_that_is_no_credential_is_read_by_nobody(tmp_path: Path) -> None:
    pipe, large, lines = tmp_path / "pipe", tmp_path / "large", tmp_path / "lines"
    os.mkfifo(pipe)
    large.write_bytes(b"x" * 100_000)
    lines.write_text("root:x:0:0\ndaemon:x:1:1\n")
    for path in (pipe, large, lines, tmp_path):
        for read in (read_line, read_password):
            with pytest.raises(Misconfigured) as refused:
                read(str(path), "do")
            assert "root:x" not in str(refused.value)
    secret = tmp_path / "secret"
    secret.write_text(" pass word \n")
    assert read_password(str(secret), "do") == " pass word "
    assert read_line(str(secret), "do") == "pass word"


def test_what_is_no_sas_token_is_not_sent(tmp_path: Path) -> None:
    from signalbox.adapters.azure_blob.config import read_config
    from signalbox.adapters.azure_blob.credential import sas_token

    file = tmp_path / "sas"
    config = read_config(
        {
            "account_url": "https://acme.blob.core.windows.net",
            "container": "data",
            "sas_file": str(file),
        }
    )
    for text in ("hunter2", "sig", "ssh-rsa AAAA", "a=1"):
        file.write_text(text)
        with pytest.raises(Misconfigured, match="no SAS token"):
            sas_token(config)
    token = "sv=2024-11-04&ss=b&srt=sco&se=2026-01-01T00:00:00Z&sp=rwdl&sig=a%2Bb%3D"
    file.write_text(f"?{token}\n")
    assert sas_token(config) == token


def test_every_address_of_a_virtual_bucket_is_looked_at() -> None:
    backend = find_backend(ResourceKind.OBJECT_STORE, "s3")
    config = {
        "bucket": "metadata",
        "endpoint_url": "https://google.internal",
        "addressing_style": "virtual",
    }
    with pytest.raises(PlaceForbidden, match="metadata service"):
        backend.boundary(SCOPE, config).check_named()


def test_a_password_is_proven_and_never_sent(tmp_path: Path) -> None:
    """The server of a stranger asks for it in the clear, and gets no more than the user's name."""
    from signalbox.adapters.postgres.client import connected
    from signalbox.adapters.postgres.config import read_config

    (tmp_path / "password").write_text("hunter2\n")
    heard = bytearray()

    def answer(server: socket.socket) -> None:
        client, _ = server.accept()
        with client:
            client.settimeout(30)
            while len(heard) < 8:
                heard.extend(client.recv(4096))
            client.sendall(b"R" + struct.pack("!ii", 8, 3))  # AuthenticationCleartextPassword
            while more := client.recv(4096):
                heard.extend(more)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, args=(server,), daemon=True)
        thread.start()
        config = read_config(
            {
                "host": "127.0.0.1",
                "port": server.getsockname()[1],
                "database": "d",
                "user": "u",
                "sslmode": "disable",
                "password_file": str(tmp_path / "password"),
            }
        )
        call = Call("op-1", 1, False, lease_clock() + 30, DirectoryPayloadStore(tmp_path))
        with pytest.raises(psycopg.OperationalError), connected(config, call):
            pass
        thread.join(30)
    assert b"user" in heard
    assert b"hunter2" not in heard


@pytest.mark.parametrize("verb", ["set", "switch"])
def test_a_route_is_not_pointed_there_and_the_attempt_is_on_record(verb: str) -> None:
    registry = Registry(state_over(fakeredis.FakeRedis()))

    def target(base_dir: str) -> RouteTarget:
        return RouteTarget("filesystem", {"base_dir": base_dir}, Mode.LAB)

    if verb == "switch":
        first = Change(actor="ann", reason="r", change_id="one")
        registry.set(SCOPE, target("/data"), first)
    second = Change(actor="ann", reason="r", change_id="two")
    with pytest.raises(PlaceForbidden) as refused:
        getattr(registry, verb)(SCOPE, target("/etc"), second)
    assert (refused.value.tenant_id, refused.value.env) == ("t_a", "dev")
    event = registry.events(0)[-1]
    assert event.data.error is not None
    assert event.data.error["code"] == "PLACE_FORBIDDEN"
    assert event.data.after is not None
    assert event.data.after["config"] == {"base_dir": "/etc"}


def test_loopback_is_told_in_all_its_forms() -> None:
    for text in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "127.1"):
        found = address.literal(text)
        assert found is not None
        assert address.is_loopback(found)
        assert not address.never(found)
