"""The gateway in front, killed at random moments together with workers: what it answered 200 or 202
for is there, once."""

from __future__ import annotations

import http.client
import json
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from signalbox.commands.model import new_op_id
from signalbox.commands.settings import Settings
from signalbox.producers.client.client import Client
from signalbox.producers.embedded.stack import EmbeddedStack
from tests.chaos.campaign import Plan, embedded, open_when_all_is_over, route_all
from tests.chaos.journal import Journal, Verdict
from tests.chaos.killer import Harm, Killer
from tests.chaos.load import ENV, TENANT
from tests.chaos.part import Part, Row
from tests.chaos.verdict import Auditor

KILLS = 30
CLIENTS = 8
LARGE = 100_000
"""Bytes: over the inline limit."""


@dataclass
class Talk:
    """What clients were told: each says the same until it is answered."""

    journal: Journal
    answered: int = 0
    refused: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Struck:
    """What came of it."""

    verdict: Verdict
    gateway_kills: int
    worker_kills: int
    answered: int
    open: int


class Clients:
    """Threads that store over HTTP; a lost answer is asked for again under the same key."""

    def __init__(self, base: Callable[[], str], talk: Talk, seed: int) -> None:
        self._base = base
        self._talk = talk
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(number, random.Random(seed + number)))
            for number in range(CLIENTS)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Each ends with the answer to what it asked last."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int, chance: random.Random) -> None:
        turn = 0
        while not self._over.is_set():
            turn += 1
            self._one(number, turn, chance)

    def _one(self, number: int, turn: int, chance: random.Random) -> None:
        talk, op_id = self._talk, new_op_id()
        name, stream = f"c{number}-{turn}", f"s{number}"
        kind = chance.choice(("object", "large", "row", "event"))
        headers = {"Idempotency-Key": op_id, "Content-Type": "application/json"}
        if chance.random() < 0.3:
            headers["Prefer"] = "respond-async"
        if kind in ("object", "large"):
            content = os.urandom(LARGE) if kind == "large" else name.encode()
            # A second creation would be refused: done twice shows.
            headers |= {"If-None-Match": "*", "Content-Type": "application/octet-stream"}
            said = self._until_answered("PUT", f"objects/{TENANT}/{ENV}/{name}", content, headers)
            if said:
                talk.journal.objects[name] = content
        elif kind == "row":
            headers["If-None-Match"] = "*"
            body = json.dumps({"n": turn}).encode()
            said = self._until_answered("PUT", f"rows/{TENANT}/{ENV}/once/{name}", body, headers)
            if said:
                talk.journal.rows[name] = turn
        else:
            body = json.dumps({"type": "t", "data": {"n": turn}}).encode()
            said = self._until_answered("POST", f"streams/{TENANT}/{ENV}/{stream}", body, headers)
            if said:
                talk.journal.streams[stream].append(turn)
        with talk.journal.lock:
            talk.answered += said
            talk.journal.accepted += said

    def _until_answered(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> bool:
        """Whether it was answered with 200 or 202, however often that took."""
        while True:
            try:
                status, answer = _ask(self._base(), method, f"/v1/{path}", body, headers)
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
                continue
            if status in (200, 202):
                return True
            if status not in (429, 503):
                with self._talk.journal.lock:
                    self._talk.refused.append(f"{status} {answer[:300]!r}")
                return False
            time.sleep(0.05)


def _ask(
    base: str, method: str, path: str, body: bytes, headers: dict[str, str]
) -> tuple[int, bytes]:
    address = urlsplit(base)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def strike_the_gateway(folder: Path, kills: int, seed: int, least: int = 0) -> Struck:
    """Kill the gateway so often, and workers half as often, under load; then look."""
    plan = Plan(Harm(), workers=2, seed=seed)
    chance, verdict = random.Random(seed), Verdict()
    with embedded(plan, folder) as stack:
        routes = route_all(stack, folder)
        stack.start_gateway(SIGNALBOX_GATEWAY_PORT="0")
        talk = Talk(Journal())
        clients = Clients(lambda: stack.addresses["gateway"], talk, seed)
        killer = Killer(stack, plan.harm, seed, folder / "logs")
        clients.start()
        try:
            for number in range(kills):
                _pause(killer, 0.3 + chance.random())
                if number % 2:
                    killer.kill(chance.choice(stack.workers))
                _kill_gateway(stack)
            while talk.answered < least:
                _pause(killer, 0.1)
        finally:
            clients.stop()
        with Client(Settings()) as client:
            left = open_when_all_is_over(client, killer)
        verdict.commands = talk.answered
        verdict.failed = len(talk.refused)
        for text in talk.refused[:5]:
            verdict.note(text)
    Auditor(routes, folder / "payloads").judge(talk.journal, verdict)
    return Struck(verdict, kills, killer.kills, talk.answered, left)


def _pause(killer: Killer, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        killer.replace_the_fallen()
        time.sleep(0.05)


def _kill_gateway(stack: EmbeddedStack) -> None:
    assert stack.gateway is not None
    stack.gateway.kill()
    stack.start_gateway(SIGNALBOX_GATEWAY_PORT="0")


def play(folder: Path) -> Row:
    struck = strike_the_gateway(folder, KILLS, seed=31, least=5_000)
    verdict = struck.verdict
    values: dict[str, Any] = {
        "kills of the gateway": struck.gateway_kills,
        "kills of workers": struck.worker_kills,
        "answered 200 or 202": struck.answered,
        "lost": verdict.lost,
        "doubled": verdict.doubled,
        "disordered": verdict.disordered,
        "failed": verdict.failed,
        "open": struck.open,
    }
    return Row(values, verdict.clean and struck.open == 0, verdict.notes)


GATEWAY_PART = Part(
    "gateway",
    "A killed gateway",
    """
Eight clients store over HTTP, one request at a time: objects below and above the inline limit and
rows, each created once (`If-None-Match: *`), and events in order. A third of the requests have
`Prefer: respond-async`. The gateway is ended with SIGKILL at random moments and restarted on
another port; every second time, a worker is killed too. A client without an answer repeats its
request with the same `Idempotency-Key`. Everything that was answered with 200 or 202 must be
stored once, events in the order of their answers, and no request may be refused.
""",
    {"gateway and workers": play},
)
