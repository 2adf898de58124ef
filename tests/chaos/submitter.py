"""Clients that die between the ledger's answer and the wake-ups, again and again."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import Any

from signalbox.commands import fault
from signalbox.commands.model import Command
from signalbox.commands.parse import parse_command
from signalbox.commands.scope import ResourceKind
from signalbox.commands.settings import Settings
from signalbox.producers.client.client import Client
from tests.chaos.campaign import Plan, embedded, look_for_remains, route_all
from tests.chaos.journal import Journal, Verdict
from tests.chaos.killer import Harm
from tests.chaos.load import BATCHES, MAKERS
from tests.chaos.part import Row
from tests.chaos.verdict import Auditor

DEATHS = 70
MAX_OPEN = 1000
NUMBERED = [maker for kind in ResourceKind for maker in MAKERS[kind]]


def run_submitter(folder: Path, deaths: int = DEATHS) -> Row:
    """Fork clients until enough have died; every batch that one had begun was accepted."""
    journal, verdict, chance = Journal(), Verdict(), random.Random(5)
    with embedded(Plan(Harm()), folder) as stack:
        routes = route_all(stack, folder)
        begun = folder / "begun.jsonl"
        begun.touch()
        died = number = again = 0
        with Client(Settings()) as client:
            while died < deaths:
                child = os.fork()
                if child == 0:
                    _submit_until_killed(begun, number, seed=died)
                _, status = os.waitpid(child, 0)
                assert os.WIFSIGNALED(status), f"a client ended by itself: {status}"
                died += 1
                lines = begun.read_text().splitlines()
                begun.write_text("")
                for line in lines:
                    for maker, made in json.loads(line)["made"]:
                        NUMBERED[maker](made, journal)
                        journal.accepted += 1
                        number = made
                if chance.random() < 0.5:
                    # Told nothing, an upstream service asks again under the same op_ids.
                    client.submit_many(_commands(json.loads(lines[-1])))
                    again += 1
                while client.ledger.totals()["open"] > MAX_OPEN:
                    time.sleep(0.02)
            deadline = time.monotonic() + 120
            while (left := client.ledger.totals()["open"]) and time.monotonic() < deadline:
                time.sleep(0.05)
            verdict.failed = client.ledger.totals()["dead_letters"]
            if not left:
                look_for_remains(client, verdict)
        verdict.commands = journal.accepted
        Auditor(routes, folder / "payloads").judge(journal, verdict)
    return Row(
        {
            "kills": died,
            "at fault points": died,
            "commands": verdict.commands,
            "lost": verdict.lost,
            "doubled": verdict.doubled,
            "disordered": verdict.disordered,
            "failed": verdict.failed,
            "open": left,
        },
        verdict.clean and left == 0,
        [f"{again} of the clients were followed by one that submitted the same again"],
    )


def _submit_until_killed(begun: Path, number: int, seed: int) -> None:
    """The child: it writes down what it is about to submit, and never returns."""
    try:
        chance, mine = random.Random(seed), Journal()
        fault.arm("submit.after=kill@0.1")
        with Client(Settings()) as client, begun.open("a") as file:
            while True:
                made = []
                for _ in range(chance.choice(BATCHES)):
                    number += 1
                    made.append((chance.randrange(len(NUMBERED)), number))
                commands = [NUMBERED[maker](which, mine) for maker, which in made]
                documents = [command.model_dump(mode="json") for command in commands]
                file.write(json.dumps({"made": made, "commands": documents}) + "\n")
                file.flush()
                client.submit_many(commands)
    finally:
        os._exit(1)


def _commands(line: dict[str, Any]) -> list[Command]:
    return [parse_command(document) for document in line["commands"]]
