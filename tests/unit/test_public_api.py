"""What `import signalbox` gives, and what it does not load."""

from __future__ import annotations

import subprocess
import sys

import signalbox
from signalbox.commands.error import SignalboxError
from signalbox.commands.parse import known_ops
from signalbox.commands.routing import ControlCommand


def test_every_name_of_the_stub_is_there() -> None:
    assert len(signalbox.__all__) > 100
    for name in signalbox.__all__:
        assert getattr(signalbox, name).__name__ == name


def test_every_command_of_a_store_and_every_error_is_public() -> None:
    commands = {
        model.__name__ for model in known_ops().values() if not issubclass(model, ControlCommand)
    }
    errors, below = set(), [SignalboxError]
    while below:
        kind = below.pop()
        below += kind.__subclasses__()
        if kind.__module__ == SignalboxError.__module__ and len(kind.__bases__) == 1:
            errors.add(kind.__name__)
    assert commands | errors <= set(signalbox.__all__)


def test_importing_it_loads_no_sdk_and_no_celery() -> None:
    program = (
        "import sys, signalbox; foreign = ('celery', 'kombu', 'redis', 'pydantic', 'tornado');"
        "print([name for name in foreign if name in sys.modules]);"
        "from signalbox import PutObject; print('celery' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.split("\n")[:2] == ["[]", "False"]
