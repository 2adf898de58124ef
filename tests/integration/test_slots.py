"""One tenant's slow commands never hold all slots of the workers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from signalbox.commands.object_store import GetObject
from tests.absent import absent
from tests.chaos.part import CannotRun
from tests.chaos.rabbit import virtual_host
from tests.chaos.testbed import Testbed, open_testbed, put
from tests.conftest import need_redis
from tests.integration.conftest import TIMEOUT, wait_until
from tests.listening import stop_listening

SLOTS = 4
"""Of a worker."""

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\nContent-Type: text/plain\r\n"
    b'ETag: "x"\r\nLast-Modified: Fri, 27 Nov 2026 10:00:00 GMT\r\n\r\n'
)


class Dripping:
    """A server whose answers come a byte at a time."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._stopped = threading.Event()
        self.dripping = 0
        self.left = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._stopped.set()
        stop_listening(self._listener)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._drip, args=(connection,), daemon=True).start()

    def _drip(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            asked = connection.recv(65536)
            connection.sendall(HEAD)
            if not asked.startswith(b"GET"):
                return
            self.dripping += 1
            drops = 0
            with suppress(OSError):
                while not self._stopped.wait(0.2):
                    connection.sendall(b"x")
                    drops += 1
            # A client asks for the head first, and does not read on.
            self.left += drops > 20 and not self._stopped.is_set()


@pytest.fixture
def dripping() -> Iterator[Dripping]:
    server = Dripping()
    yield server
    server.close()


@contextmanager
def room_of(folder: Path, broker: str, pool: str) -> Iterator[Testbed]:
    # Longer than all of this takes: no lease ends what drips.
    settings: dict[str, Any] = {"SIGNALBOX_LEASE": "300", "SIGNALBOX_PUBLISH_GRACE": "2"}
    need_redis()
    if broker == "redis":
        with open_testbed(folder, pool=pool, **settings) as testbed:
            yield testbed
        return
    try:
        with open_testbed(folder, pool=pool, broker_url=virtual_host(), **settings) as testbed:
            yield testbed
    except CannotRun as reason:
        absent("RabbitMQ", str(reason))


@pytest.mark.parametrize("pool", ["threads", "prefork"])
@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
def test_other_tenants_go_on_beside_one_whose_endpoint_drips(
    tmp_path: Path, dripping: Dripping, broker: str, pool: str
) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text("[default]\naws_access_key_id = x\naws_secret_access_key = x\n")
    config = {
        "bucket": "drips",
        "region": "eu-central-1",
        "endpoint_url": dripping.url,
        "credentials_file": str(credentials),
    }
    others = [f"t_other{n}" for n in range(4)]
    with room_of(tmp_path / "stack", broker, pool) as testbed:
        testbed.route("t_drip", "s3", **config)
        for tenant in others:
            testbed.route(tenant)
        for n in range(24):
            testbed.client.submit(GetObject(tenant_id="t_drip", env="dev", key=f"k{n}"))
        wait_until(lambda: dripping.dripping >= 2 * SLOTS, "all slots of both workers are held")
        for _ in range(3):
            puts = [testbed.client.submit(put(tenant, "k")) for tenant in others]
            outcomes = testbed.client.wait(puts, TIMEOUT)
            assert [outcome.status if outcome else None for outcome in outcomes] == ["done"] * 4
        assert dripping.left == 0, "others had to wait for what drips"
        # Else the workers, which are told to stop now, would wait for what drips.
        dripping.close()
        wait_until(lambda: testbed.client.ledger.totals()["running"] == 0, "nothing drips")
