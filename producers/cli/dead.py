"""`signalbox dead`: commands that failed permanently; list, show, replay and purge them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

import signalbox
from signalbox.commands.error import NotFound
from signalbox.commands.visible import visible
from signalbox.commands.vocabulary import ResourceKind, check_env, check_tenant
from signalbox.producers.cli.connection import make_client
from signalbox.producers.cli.console import err, out, print_json, print_pairs, print_rows
from signalbox.producers.cli.group import new_app
from signalbox.producers.cli.notation import duration
from signalbox.producers.cli.options import AsJson

if TYPE_CHECKING:
    from signalbox.commands.ledger.dead import DeadLetter, Which
    from signalbox.commands.ref import Ref

app = new_app(add_completion=False, help="Dead letters: look, replay, purge.", no_args_is_help=True)

TenantFilter = Annotated[str | None, typer.Option("-t", "--tenant", help="Only this tenant.")]
EnvFilter = Annotated[str | None, typer.Option("-e", "--env", help="Only this environment.")]
KindFilter = Annotated[ResourceKind | None, typer.Option("-k", "--kind", help="Only this kind.")]
CodeFilter = Annotated[str | None, typer.Option("--code", help="Only this error, as UNAVAILABLE.")]
OlderThan = Annotated[str | None, typer.Option("--older-than", help="Only older ones: 2h, 30d.")]
Refs = Annotated[
    list[str] | None, typer.Argument(metavar="[REF]...", help="TENANT/ENV/OP_ID, as `ls` prints.")
]
All = Annotated[bool, typer.Option("--all", help="Confirm that no filter means all of them.")]
_STEP = 500


@app.command()
def ls(
    tenant: TenantFilter = None,
    env: EnvFilter = None,
    kind: KindFilter = None,
    code: CodeFilter = None,
    older_than: OlderThan = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number to show.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List dead letters, with error, attempts, worker and time."""
    from signalbox.producers.dead_letter import document_of

    with make_client() as client:
        letters = client.dead.find(_which(tenant, env, kind, code, older_than))
        shown = list(itertools.islice(letters, limit + 1))
    if as_json:
        letters_shown = [document_of(letter) for letter in shown[:limit]]
        print_json({"dead_letters": letters_shown, "more": len(shown) > limit})
        return
    rows = [
        [
            letter.ref,
            letter.op,
            letter.outcome.subject,
            letter.code,
            letter.attempts,
            letter.outcome.worker,
            f"{letter.died_at:%m-%d %H:%M:%S}",
        ]
        for letter in shown[:limit]
    ]
    columns = ["ref", "op", "subject", "error", "attempts", "worker", "died (UTC)"]
    print_rows("dead letters", columns, rows)
    if len(shown) > limit:
        err().print(f"more than {limit}; raise --limit, or filter")


@app.command()
def show(
    ref: Annotated[str, typer.Argument(help="TENANT/ENV/OP_ID.")], as_json: AsJson = False
) -> None:
    """Show all that is known of one dead letter, without its content."""
    from signalbox.producers.dead_letter import document_of

    with make_client() as client:
        letter = client.dead.get(ref) if ref.count("/") >= 2 else None
    if letter is None:
        raise NotFound(f"there is no dead letter {ref[:200]}", next_step="see: signalbox dead ls")
    document = document_of(letter)
    if as_json:
        print_json(document)
    else:
        print_pairs(document | (document.pop("error") or {}))


@app.command()
def replay(
    refs: Refs = None,
    tenant: TenantFilter = None,
    env: EnvFilter = None,
    kind: KindFilter = None,
    code: CodeFilter = None,
    older_than: OlderThan = None,
    everything: All = False,
    as_json: AsJson = False,
) -> None:
    """Run dead letters again, each once, at the end of the order of its key; op_ids are kept."""
    replayed = 0
    left: dict[str, str] = {}
    with make_client() as client:
        which = _which(tenant, env, kind, code, older_than)
        for step in _chosen(client, refs, which, everything):
            answer = client.replay([letter.ref for letter in step])
            replayed += len(answer.wakes)
            left |= answer.left
    if as_json:
        print_json({"replayed": replayed, "left": left})
        return
    out().print(f"{replayed} dead letters run again")
    for ref, reason in left.items():
        err().print(visible(f"left: {ref} ({reason})"), markup=False, soft_wrap=True)


@app.command()
def purge(
    refs: Refs = None,
    tenant: TenantFilter = None,
    env: EnvFilter = None,
    kind: KindFilter = None,
    code: CodeFilter = None,
    older_than: OlderThan = None,
    everything: All = False,
    as_json: AsJson = False,
) -> None:
    """Remove dead letters permanently, with their staged content."""
    from signalbox.producers.dead_letter import discard

    purged = 0
    with make_client() as client:
        which = _which(tenant, env, kind, code, older_than)
        for step in _chosen(client, refs, which, everything):
            gone = set(client.dead.purge([letter.ref for letter in step]))
            purged += len(gone)
            for letter in step:
                if letter.ref in gone:  # one that was replayed meanwhile needs its content
                    discard(client.content, letter)
    if as_json:
        print_json({"purged": purged})
    else:
        out().print(f"{purged} dead letters purged")


def _which(
    tenant: str | None,
    env: str | None,
    kind: ResourceKind | None,
    code: str | None,
    older_than: str | None,
) -> Which:
    from signalbox.commands.ledger.dead import Which

    return Which(
        tenant_id=None if tenant is None else check_tenant(tenant),
        env=None if env is None else check_env(env),
        kind=kind,
        code=code,
        older_than=None if older_than is None else duration(older_than),
    )


def _chosen(
    client: signalbox.Client, refs: list[Ref] | None, which: Which, everything: bool
) -> Iterator[list[DeadLetter]]:
    """Yield the chosen dead letters, in steps of one round trip each."""
    from signalbox.commands.ledger.dead import Which

    if refs:
        letters = [client.dead.get(ref) for ref in refs if ref.count("/") >= 2]
        if missing := len(refs) - sum(letter is not None for letter in letters):
            raise NotFound(
                f"{missing} of these are no dead letters", next_step="see: signalbox dead ls"
            )
        yield [letter for letter in letters if letter is not None]
        return
    if which == Which() and not everything:
        raise typer.BadParameter("name them, filter them, or say --all")
    found = client.dead.find(which)
    while step := list(itertools.islice(found, _STEP)):
        yield step
