"""S3 in several regions: replicas are asked when the bucket is down, and sessions are tagged."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import boto3
import pytest

from signalbox.adapters.aws.credentials import reference_of
from signalbox.adapters.object_store import ObjectStore
from signalbox.adapters.port import AdapterContext, Call
from signalbox.adapters.s3.config import read_config
from signalbox.adapters.s3.object_driver import open_driver
from signalbox.commands.clock import lease_clock
from signalbox.commands.error import InvalidRouteConfig, NotFound, Unavailable
from signalbox.commands.model import new_op_id
from signalbox.commands.object_store import GetObject, HeadObject, PutObject
from signalbox.commands.payload import DirectoryPayloadStore, InlinePayload
from signalbox.commands.routing import RouteConfig
from signalbox.commands.scope import Mode, ResourceKind, Scope
from tests.conformance.aws_server import aws_server
from tests.listening import stop_listening

SCOPE = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id="t_a", env="prod")
PLACE = {"tenant_id": "t_a", "env": "prod", "key": "k"}


class Front:
    """In front of a service: buckets whose name begins with `down-` answer 500."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        stop_listening(self._listener)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        first = near.recv(65536)
        if b" /down-" in first.split(b"\r\n", 1)[0]:
            near.sendall(b"HTTP/1.1 500 Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            near.close()
            return
        far = socket.create_connection(("127.0.0.1", self._target))
        far.sendall(first)
        threading.Thread(target=pour, args=(near, far), daemon=True).start()
        pour(far, near)


def pour(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """A service with a bucket in each of two regions."""
    endpoint = aws_server()
    for region in ("eu-west-1", "eu-west-2"):
        boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=region,
            aws_access_key_id="x",
            aws_secret_access_key="x",
        ).create_bucket(
            Bucket=f"in-{region}",
            CreateBucketConfiguration={"LocationConstraint": region},
        )
    front = Front(int(endpoint.rpartition(":")[2]))
    yield front.endpoint
    front.close()


def call(tmp_path: Path) -> Call:
    return Call(
        mark=new_op_id(),
        seq=1,
        takeover=False,
        deadline=lease_clock() + 30,
        payloads=DirectoryPayloadStore(tmp_path / "payloads"),
    )


def test_get_and_head_ask_the_replicas_in_order_when_the_bucket_is_down(
    service: str, tmp_path: Path
) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text("[default]\naws_access_key_id=x\naws_secret_access_key=x\n")

    def store(region: str, bucket: str, *replicas: str) -> ObjectStore:
        config: RouteConfig = {
            "bucket": bucket,
            "region": region,
            "endpoint_url": service,
            "credentials_file": str(credentials),
            "read_replicas": list(replicas),
        }
        return ObjectStore(open_driver(AdapterContext(scope=SCOPE, mode=Mode.SAAS, config=config)))

    there = "eu-west-2:in-eu-west-2"
    put = PutObject.model_validate(PLACE | {"payload": InlinePayload(data=b"hello")})
    get, head = GetObject.model_validate(PLACE), HeadObject.model_validate(PLACE)
    store("eu-west-2", "in-eu-west-2").put(put, call(tmp_path))

    failing = store("us-east-1", "down-one", "us-west-1:down-two", there)
    info = failing.head(head, call(tmp_path))
    assert (info.size, info.replica) == (5, "eu-west-2")
    stream = failing.get(get, call(tmp_path))
    assert (stream.body.read(), stream.info.replica) == (b"hello", "eu-west-2")
    # Writes never go to a replica, and an object that is not there is not looked for elsewhere.
    with pytest.raises(Unavailable):
        failing.put(put, call(tmp_path))
    with pytest.raises(NotFound):
        store("eu-west-1", "in-eu-west-1", there).head(head, call(tmp_path))
    healthy = store("eu-west-2", "in-eu-west-2", "us-west-1:down-two").head(head, call(tmp_path))
    assert healthy.replica is None
    with pytest.raises(Unavailable):
        store("us-east-1", "down-one", "us-west-1:down-two").get(get, call(tmp_path))


def test_session_tags_make_an_identity_for_each_scope() -> None:
    config = read_config(
        {"bucket": "bbb", "role_arn": "arn:aws:iam::123456789012:role/r", "session_tags": True}
    )
    other = SCOPE.model_copy(update={"tenant_id": "t_b"})
    assert reference_of(config, SCOPE) == reference_of(config, SCOPE)
    assert reference_of(config, SCOPE) != reference_of(config, other)
    assert reference_of(config, SCOPE).tags == (("tenant_id", "t_a"), ("env", "prod"))
    untagged = read_config({"bucket": "bbb", "role_arn": "arn:aws:iam::123456789012:role/r"})
    assert reference_of(untagged, SCOPE) == reference_of(untagged, other)


@pytest.mark.parametrize(
    "wrong", [{"session_tags": True}, {"read_replicas": ["no-bucket"]}, {"read_replicas": ["x:/"]}]
)
def test_a_config_that_makes_no_sense_is_refused(wrong: RouteConfig) -> None:
    with pytest.raises(InvalidRouteConfig):
        read_config({"bucket": "bbb", **wrong})
