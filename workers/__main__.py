"""`python -m signalbox.workers`: a worker, started in half the time of Celery's command.

It does what `celery -A signalbox.workers.app worker` does.

Celery's umbrella command imports all its subcommands, Flower and an interactive shell among them.
"""

from __future__ import annotations

import sys

from celery.bin.base import CLIContext
from celery.bin.worker import worker

from signalbox.workers.app import app

if __name__ == "__main__":
    context = CLIContext(app=app, no_color=False, workdir=None)
    sys.exit(worker.main(prog_name="celery worker", obj=context))
