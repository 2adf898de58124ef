"""What Celery makes of the settings."""

from __future__ import annotations

from signalbox import celeryconfig
from signalbox.commands.settings import Settings
from signalbox.producers.broker.publisher import make_app
from signalbox.producers.broker.rabbit_queue import QuorumQueue


def test_the_pool_is_not_set_here() -> None:
    # Celery would take `--pool prefork` for its own default, and use the one that is set.
    assert not hasattr(celeryconfig, "worker_pool")


def test_apps_on_two_brokers_in_one_process_have_the_queues_of_their_own() -> None:
    rabbit = make_app(Settings(broker_url="amqp://127.0.0.1:1//"))
    redis = make_app(Settings(broker_url="redis://127.0.0.1:1/0"))
    assert {type(queue) for queue in rabbit.conf.task_queues} == {QuorumQueue}
    assert QuorumQueue not in {type(queue) for queue in redis.conf.task_queues}
    assert "visibility_timeout" in redis.conf.broker_transport_options
    assert rabbit.conf.broker_transport_options == {"confirm_publish": True, "signalbox": True}
