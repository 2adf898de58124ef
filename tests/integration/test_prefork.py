"""What the parent of a pool has loaded before its children need it."""

from __future__ import annotations

import os
import subprocess
import sys

from signalbox.commands.settings import Settings
from signalbox.workers.celery.preloader import Preloader
from tests.integration.conftest import RunningStack

LOOK = """
import sys
from signalbox.commands.settings import Settings
from signalbox.workers.celery.preloader import Preloader

module = "signalbox.adapters.filesystem.object_driver"
before = module in sys.modules
preloader = Preloader(Settings())
preloader.before_fork()
print(before, module in sys.modules)
"""


def test_backends_in_use_are_loaded_before_the_fork(two_workers: RunningStack) -> None:
    two_workers.route_to_folder("t_preload")
    environment = os.environ | {"SIGNALBOX_STATE_URL": two_workers.settings.state_url}
    seen = subprocess.run(
        [sys.executable, "-c", LOOK], env=environment, capture_output=True, text=True, check=True
    )
    assert seen.stdout.split() == ["False", "True"]


def test_fork_goes_on_without_the_state() -> None:
    preloader = Preloader(Settings(state_url="redis://127.0.0.1:1/0"))
    preloader.before_fork()
    assert preloader._loaded == set()
