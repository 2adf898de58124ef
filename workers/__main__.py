"""Start a worker with `python -m signalbox.workers`, in half the time of Celery's own command.

It does the same as `celery -A signalbox.workers.app worker`. Celery's umbrella command imports all
of its subcommands first, including Flower and an interactive shell.
"""

from __future__ import annotations

import sys

from celery.bin.base import CLIContext
from celery.bin.worker import worker

from signalbox.commands.error import SignalboxError

try:
    from signalbox.workers.app import app
except SignalboxError as error:  # a setting that cannot be right
    sys.exit(f"{error.code} {error}")

if __name__ == "__main__":
    context = CLIContext(app=app, no_color=False, workdir=None)
    sys.exit(worker.main(prog_name="celery worker", obj=context))
