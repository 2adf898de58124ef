"""An older whole state of a signed registry: who notices it, as docs/security.md says."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from signalbox.commands.error import RegistryRegressed, RegistryUnproven
from signalbox.routing.audit.authorship import Authorship
from signalbox.routing.audit.chain import Chain
from signalbox.routing.registry.event import StreamEvent
from signalbox.routing.registry.roster import EMPTY
from signalbox.workers.execution.authors import Authors
from tests.integration.signed_registry import (
    ACME,
    ADMIN,
    OPS,
    OTHER,
    OTHERS,
    SignedRegistry,
    change,
    target,
    trust,
)
from tests.integration.test_registry_attacks import (  # noqa: F401 - fixtures
    Worker,
    _followers_do_not_wait,
    client,
    restore,
    signed,
    snapshot,
)

REFUSED = (RegistryRegressed, RegistryUnproven)


def test_a_revocation_that_is_lost_is_noticed_by_who_has_seen_it(
    signed: SignedRegistry,  # noqa: F811
) -> None:
    saved = snapshot(signed.client)
    at_work, idle = Worker(signed), Worker(signed)
    reader = signed.by(None).rosters
    assert reader is not None
    authors = Authors(trust(), reader)
    for each in (at_work, idle):
        each.follow()
        each.resolve()
    assert authors("before")(OPS.kid) is not None
    signed.by(ADMIN).principals.revoke("ops", change())
    with pytest.raises(RegistryUnproven, match="revoked"):
        at_work.resolve()
    revoked = authors("after")(OPS.kid)
    assert revoked is not None
    assert revoked.revoked is not None
    restore(signed.client, saved)
    # It does not get used to it.
    for _ in range(2):
        with pytest.raises(REFUSED):
            at_work.resolve()
        at_work.follow()
        with pytest.raises(RegistryUnproven, match="list of principals"):
            authors("before")
    # Who has not looked in between cannot know, whenever it was started.
    assert idle.resolve().config == Worker(signed).resolve().config
    with pytest.raises(RegistryUnproven, match="floor"):
        Worker(signed, floor=signed.by(None).head().revision + 1).resolve()


def lost_and_continued(signed: SignedRegistry, later: int) -> tuple[Worker, list[StreamEvent]]:  # noqa: F811
    """A worker that has seen two changes, which are lost, and `later` others in their place."""
    saved, at_work = snapshot(signed.client), Worker(signed)
    at_work.follow()
    signed.by(OPS).switch(ACME, target(signed.folder / "new"), change())
    signed.by(OPS).switch(ACME, target(signed.folder / "newer"), change())
    at_work.follow()
    at_work.resolve()
    at_work.resolve(OTHERS)
    archived = signed.by(None).events(0)
    restore(signed.client, saved)
    for number in range(later):
        # Neither a gateway nor a command line remembers what the registry has lost.
        signed.by(OTHER).switch(OTHERS, target(signed.folder / f"other{number}"), change())
    return at_work, archived


@pytest.mark.parametrize("later", [0, 1, 2, 5])
def test_what_is_lost_is_noticed_also_behind_later_changes(
    signed: SignedRegistry,  # noqa: F811
    later: int,
) -> None:
    at_work, _ = lost_and_continued(signed, later)
    at_work.follow()
    at_work.follow()
    for scope in (ACME, OTHERS):
        with pytest.raises(RegistryRegressed):
            at_work.resolve(scope)
    started = Worker(signed)
    started.follow()
    assert started.resolve().config == {"base_dir": str(signed.folder / "acme")}


def test_where_the_log_was_trimmed_too_the_routes_that_a_worker_has_seen_are_refused(
    signed: SignedRegistry,  # noqa: F811
) -> None:
    """What it has not seen, or is newer by now, is used."""
    at_work, archived = lost_and_continued(signed, 5)
    signed.client.call("XTRIM", "{rt}:log", "MINID", f"{archived[-1].revision + 2}-0")
    for _ in range(3):
        at_work.follow()
        with pytest.raises(RegistryRegressed):
            at_work.resolve(ACME)
    assert at_work.resolve(OTHERS).config == {"base_dir": str(signed.folder / "other4")}


def fault_of(
    archived: Sequence[StreamEvent], log: Sequence[StreamEvent], registry: SignedRegistry
) -> str:
    chain = Chain(Authorship(trust(), EMPTY))
    events = registry.by(None).log
    if archived:
        chain.begin_archive(events.base())
        for event in archived:
            chain.add(event)
    chain.begin_log(events.base())
    for event in log:
        chain.add(event)
    chain.end(events.head())
    return f"{chain.fault}" if chain.fault else ""


@pytest.mark.parametrize("later", [0, 1, 2, 5])
def test_the_archive_shows_what_was_lost_and_the_log_alone_does_not(
    signed: SignedRegistry,  # noqa: F811
    later: int,
) -> None:
    """Each event of the log is signed, and each follows the one before it."""
    _, archived = lost_and_continued(signed, later)
    log = signed.by(None).events(0)
    assert len(archived) == 6
    assert fault_of([], log, signed) == ""
    assert "5" in fault_of(archived, log, signed)
