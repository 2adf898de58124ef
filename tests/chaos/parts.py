"""All parts of `make chaos`, as they are played and as they stand in the document."""

from __future__ import annotations

from tests.chaos.part_cluster import CLUSTER_PART
from tests.chaos.part_everything import EVERYTHING_PART
from tests.chaos.part_fuzz import FUZZ_PART
from tests.chaos.part_gateway import GATEWAY_PART
from tests.chaos.part_hostile import HOSTILE_PART
from tests.chaos.part_kills import KILLS_PART
from tests.chaos.part_large import LARGE_PART
from tests.chaos.part_neighbours import HANGING_PART, NOISY_PART
from tests.chaos.part_poison import POISON_PART
from tests.chaos.part_rabbitmq import RABBITMQ_PART
from tests.chaos.part_redis import REDIS_PART
from tests.chaos.part_stop import STOP_PART
from tests.chaos.part_writes import WRITES_PART

PARTS = (
    KILLS_PART,
    EVERYTHING_PART,
    GATEWAY_PART,
    WRITES_PART,
    REDIS_PART,
    CLUSTER_PART,
    STOP_PART,
    POISON_PART,
    NOISY_PART,
    HANGING_PART,
    HOSTILE_PART,
    LARGE_PART,
    RABBITMQ_PART,
    FUZZ_PART,
)
