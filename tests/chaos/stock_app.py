"""A plain Celery app with the settings that its documentation recommends against losing tasks."""

from __future__ import annotations

import os

from celery import Celery

app = Celery("stock", broker=os.environ["STOCK_BROKER_URL"])
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    broker_connection_retry_on_startup=True,
    broker_transport_options={"visibility_timeout": 10},
    visibility_timeout=10,
    worker_hijack_root_logger=False,
)


@app.task(name="stock.effect")  # type: ignore[untyped-decorator]  # Celery ships no types
def effect(number: int) -> None:
    """One line for each effect, written whole and synced, as the storage commands are."""
    descriptor = os.open(os.environ["STOCK_EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{number}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
