"""`python -m workers`: what `celery -A workers.app worker` does, in half the time to start.

Celery's umbrella command imports all its subcommands, Flower and an interactive shell among them.
"""

from __future__ import annotations

import sys

from celery.bin.base import CLIContext
from celery.bin.worker import worker

from workers.app import app

if __name__ == "__main__":
    context = CLIContext(app=app, no_color=False, workdir=None)
    sys.exit(worker.main(prog_name="celery worker", obj=context))
