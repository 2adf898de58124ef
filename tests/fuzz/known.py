"""The corpus: messages that once ended or froze a worker, or vanished, byte by byte.

A line of `corpus.jsonl` has what stands in Redis' list (`item`), and what RabbitMQ is sent
(`properties` and `body`), with a character for each byte; one of them where the other cannot be.
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.fuzz.sample import Sample

CORPUS = Path(__file__).with_name("corpus.jsonl")


def killers(broker: str) -> list[Sample]:
    """Those that this broker can hold."""
    found = []
    for line in CORPUS.read_text().splitlines():
        row = json.loads(line)
        if broker == "redis" and "item" in row:
            found.append(Sample(item=row["item"].encode("latin-1"), changes=[row["name"]]))
        if broker == "rabbitmq" and "properties" in row:
            properties, body = (row[name].encode("latin-1") for name in ("properties", "body"))
            found.append(Sample(raw_properties=properties, body=body, changes=[row["name"]]))
    return found
