"""Names of commands: `<tenant>/<env>/<op_id>`, which no two commands share."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

Ref: TypeAlias = str
"""A command's name, as the ledger, messages and logs write it."""


class RefParts(NamedTuple):
    """What a ref is made of. An op_id holds no slash, and neither do the other two."""

    tenant_id: str
    env: str
    op_id: str


def make_ref(tenant_id: str, env: str, op_id: str) -> Ref:
    return f"{tenant_id}/{env}/{op_id}"


def split_ref(ref: Ref) -> RefParts:
    """The parts of a ref. Raises TypeError if it is none."""
    return RefParts(*ref.split("/", 2))
