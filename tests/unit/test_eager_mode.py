"""The example of docs/testing.md, taken from the page and run; and other cases of eager mode."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import fakeredis

from signalbox.commands.ledger.entry import Intent, Ticket
from signalbox.commands.object_store import PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.commands.settings import Settings
from signalbox.commands.wire import Message
from signalbox.producers.broker.publisher import make_app
from signalbox.routing.policy.policy import FREE
from signalbox.workers.runtime import Runtime
from tests.integration.operating import by

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"


def test_the_example_of_the_page_passes_as_it_stands(tmp_path: Path) -> None:
    [example] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    test = tmp_path / "test_example.py"
    test.write_text(example)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 passed" in result.stdout


def test_an_eager_process_runs_suspects_itself(tmp_path: Path) -> None:
    state = fakeredis.FakeRedis()
    settings = Settings(payload_dir=tmp_path / "payloads", lease=timedelta(milliseconds=1))
    app = make_app(settings)
    app.conf.task_always_eager = True
    runtime = Runtime(app, settings, state, worker="eager")
    # Without a route it comes to an end too, which is all that is asked here.
    command = PutObject(
        tenant_id="t_a", env="dev", key="k", payload=InlinePayload(data=b"x"), op_id="one"
    )
    ticket = Ticket(command.ref, command.op)
    runtime.ledger.submit([Intent(command, "q")])
    for death in ("d1", "d2"):
        while not runtime.ledger.claim([ticket], token=death, worker="gone").claimed:
            time.sleep(0.001)
    ended: dict[str, int] = {}
    while "dead" not in ended:
        ended = runtime.executor.execute(Message([ticket]))
        assert set(ended) <= {"busy", "suspect", "dead"}
    [outcome] = runtime.ledger.outcomes([command.ref])
    assert outcome is not None
    assert outcome.error is not None
    assert outcome.error.code == "ROUTE_NOT_FOUND"


def test_a_whole_command_runs_eagerly_on_fakeredis(tmp_path: Path) -> None:
    """As a service without our client sends it; fakeredis has no `redis.sha1hex`."""
    settings = Settings(payload_dir=tmp_path / "payloads")
    app = make_app(settings)
    app.conf.task_always_eager = True
    runtime = Runtime(app, settings, fakeredis.FakeRedis(), worker="eager")
    runtime.registry.policies.set("t_a", FREE, by())  # the tenant is known
    command = PutObject(tenant_id="t_a", env="dev", key="k", payload=InlinePayload(data=b"x"))
    message = Message(carried=[Intent(command, "q")])
    # Without a route it becomes a dead letter, which is an end as good as any.
    assert runtime.executor.execute(message) == {"dead": 1}
    assert runtime.executor.execute(message) == {"done": 1}
