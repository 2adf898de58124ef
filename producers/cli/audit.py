"""`signalbox audit`: who changed what, and whether the record is complete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from signalbox.commands.error import IntegrityMismatch
from signalbox.commands.vocabulary import check_tenant
from signalbox.producers.cli.connection import make_client, make_registry
from signalbox.producers.cli.console import err, out, print_json
from signalbox.producers.cli.group import new_app
from signalbox.producers.cli.notation import duration, moment
from signalbox.producers.cli.options import AsJson

if TYPE_CHECKING:
    from signalbox.routing.audit.authorship import Authorship
    from signalbox.routing.audit.chain import Chain
    from signalbox.routing.audit.fault import Fault
    from signalbox.routing.audit.signed_by import Signatures
    from signalbox.routing.registry.event import StreamEvent
    from signalbox.routing.registry.event_log import EventLog
    from signalbox.routing.registry.registry import Registry

app = new_app(
    add_completion=False,
    help="Who changed what, and whether the record is complete.",
    no_args_is_help=True,
)


@app.command()
def log(
    tenant: Annotated[str | None, typer.Option("-t", "--tenant", help="Only this tenant.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="A time, or how long ago: 2h, 7d.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="A time, or how long ago.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Number of newest events.")] = 1000,
    archive: Annotated[
        bool, typer.Option("--archive", help="Read the archive, including trimmed and lost events.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print changes of routes, locks, policies and principals, and refusals, oldest first.

    With a trust file also by whom each is signed, as far as the principals of now can tell.
    """
    from signalbox.producers.cli.event_text import print_events

    first, last = _when(since) if since else None, _when(until) if until else None
    if tenant is not None:
        check_tenant(tenant)
    chosen: list[StreamEvent] = []
    for event in (_archived if archive else _logged)(first, last):
        if tenant is None or tenant in event.subject.split("/"):
            chosen.append(event)
            # Bounded, however long the log is.
            if len(chosen) > 2 * limit:
                del chosen[:-limit]
    chosen = chosen[-limit:]
    signatures = _signatures(make_registry())
    if not as_json:
        signed = None if signatures is None else [str(signatures.of(each)) for each in chosen]
        print_events("audit log", chosen, signed)
        return
    documents = [event.model_dump(mode="json") for event in chosen]
    if signatures is not None:
        for document, event in zip(documents, chosen, strict=True):
            document["signed_by"] = signatures.of(event).document()
    print_json(documents)


@app.command()
def verify(
    archive: Annotated[
        bool,
        typer.Option("--archive", help="Verify the archive too, and that the log continues it."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Verify the chain of events and name the first broken link.

    Each event contains the hash of the previous one, so changed, removed and inserted events are
    found. With a trust file, the signature of each event is verified too. Exit code 1 if something
    is wrong.
    """
    from signalbox.producers.archive import archived_events
    from signalbox.routing.audit.chain import Chain

    registry = make_registry()
    events = registry.log
    chain, archived = Chain(_authorship(registry)), 0
    foreign: list[int] = []
    base = events.base()
    chain.begin_log(base)
    _add_log(chain, events, base.revision)
    if archive and chain.fault is None:
        chain = Chain(_authorship(registry))
        chain.begin_archive(base)
        with make_client() as client:
            for event in archived_events(client, foreign.append):
                chain.add(event)
        archived, base = chain.count, events.base()
        chain.begin_log(base)
        # An archive that a route was switched to begins later than the log may.
        _add_log(chain, events, max(base.revision, chain.first_revision - 1))
    if chain.fault is not None:
        _refuse(chain.fault, as_json)
    if foreign:
        _refuse_foreign(foreign, chain, as_json)
    authorship = chain.authorship
    if registry.rosters is not None:
        registry.rosters.now()  # REGISTRY_UNPROVEN if the principals of now do not count
    document = {
        "whole": True,
        "events": chain.count,
        "archived": archived,
        "lost": chain.lost,
        "first": chain.first_revision,
        "last": chain.last_revision,
        "hash": chain.last_hash,
    }
    if authorship is not None:
        document |= {"signed": authorship.signed, "unsigned": authorship.unsigned}
    if as_json:
        print_json(document)
    elif chain.count:
        first, last = chain.first_revision, chain.last_revision
        out().print(f"whole: {chain.count} events, revisions {first} to {last}", highlight=False)
        if authorship is not None:
            out().print(f"{authorship.signed} of them are signed by who might")
            if authorship.unsigned:
                out().print(f"the first {authorship.unsigned} are not signed, and prove nothing")
        if chain.lost:
            out().print(f"{chain.lost} of them the registry had lost before a rebase")
        out().print(
            f"keep this elsewhere to prove it later: {last} {chain.last_hash}", soft_wrap=True
        )
    else:
        out().print("whole: there are no events yet")


def _signatures(registry: Registry) -> Signatures | None:
    """What verifies single events; None without a trust file."""
    from signalbox.commands.error import RegistryUnproven
    from signalbox.routing.audit.signed_by import Signatures
    from signalbox.routing.registry.roster import EMPTY

    if registry.rosters is None:
        return None
    try:
        roster = registry.rosters.now().roster
    except RegistryUnproven as error:
        err().print(f"only what administrators signed can be verified: {error.message}")
        roster = EMPTY
    return Signatures(registry.rosters.trust, roster)


def _authorship(registry: Registry) -> Authorship | None:
    from signalbox.commands.error import RegistryUnproven
    from signalbox.routing.audit.authorship import Authorship
    from signalbox.routing.registry.roster import EMPTY

    if registry.rosters is None:
        return None
    try:
        roster = registry.rosters.now().roster
    except RegistryUnproven:
        roster = EMPTY  # told at the end: what is wrong with the log comes first
    return Authorship(registry.rosters.trust, roster)


def _add_log(chain: Chain, events: EventLog, begin: int) -> None:
    """Read the log to its end, not only up to the head, and compare the two."""
    while chain.fault is None:
        try:
            page = events.events(begin, limit=1000)
        except ValueError:
            _add_readable(chain, events, begin)
            return
        for event in page:
            chain.add(event)
        if page and page[-1].revision > begin:
            begin = page[-1].revision
            continue
        head = events.head()
        if page or head.revision <= begin or not events.events(begin, limit=1):
            chain.end(head)
            return


def _add_readable(chain: Chain, events: EventLog, begin: int) -> None:
    """Read up to the event that cannot be parsed."""
    with suppress(ValueError):
        while page := events.events(begin, limit=1):
            chain.add(page[0])
            begin = page[0].revision
    chain.add_unreadable()


def _archived(first: datetime | None, last: datetime | None) -> Iterator[StreamEvent]:
    from signalbox.producers.archive import archived_events

    with make_client() as client:
        for event in archived_events(client, _tell_foreign):
            at = event.committed_at or event.time
            if (first is None or at >= first) and (last is None or at < last):
                yield event


def _logged(first: datetime | None, last: datetime | None) -> Iterator[StreamEvent]:
    events = make_registry().log
    begin = events.last_revision_before(first) if first else 0
    end = events.last_revision_before(last) if last else events.head().revision
    while begin < end:
        page = [event for event in events.events(begin, limit=1000) if event.revision <= end]
        yield from page
        if not page or page[-1].revision <= begin:
            return
        begin = page[-1].revision


def _when(text: str) -> datetime:
    if text[-1:].isalpha() and text[:1].isdigit() and "T" not in text:
        return datetime.now(UTC) - duration(text)
    return moment(text)


def _tell_foreign(version: int) -> None:
    err().print(f"version {version} of the archive is no event of the registry, and is left out")


def _refuse_foreign(versions: list[int], chain: Chain, as_json: bool) -> None:
    """Fail: the archive has foreign entries, although all events between them are complete."""
    if as_json:
        print_json({"whole": False, "foreign": versions, "last": chain.last_revision})
        raise typer.Exit(1)
    shown = ", ".join(map(str, versions[:10])) + (", …" if len(versions) > 10 else "")
    raise IntegrityMismatch(
        f"the archive holds {len(versions)} entries that are no events of the registry, at its "
        f"versions {shown}; without them it is whole up to revision {chain.last_revision}",
        next_step="look at them with `signalbox events read`, and keep others from the place that "
        "the archive's route names",
    )


def _refuse(fault: Fault, as_json: bool) -> None:
    if as_json:
        print_json({"whole": False, "revision": fault.revision, "reason": fault.reason})
        raise typer.Exit(1)
    raise IntegrityMismatch(
        f"the chain of events is broken at revision {fault.revision}: {fault.reason}",
        next_step="compare with the archive and with backups; what stands before it is whole",
    )
