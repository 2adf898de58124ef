"""Signed commands of producers without our client: a compact JWS with the whole command in it.

Its payload is `{"aud": …, "iat": …, "exp": …, "op_id": …, "command": {…}}`. The op_id is a member
of its own, so that producers do not forget to sign it; the command may contain it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from signalbox.commands.bounded_json import read_json
from signalbox.commands.error import InvalidCommand
from signalbox.commands.model import Command
from signalbox.commands.parse import parse_command
from signalbox.commands.proof.keys import decode

COMMAND = "signalbox-command"
"""The `typ` of a signed command."""


def unverified(token: str) -> dict[str, Any]:
    """Return the command's document in a token without verifying the signature.

    Raises InvalidCommand and TooLarge.
    """
    parts = token.split(".")
    try:
        payload = decode(parts[1].encode("ascii"))
    except (ValueError, IndexError):
        payload = b""
    claims = read_json(payload, len(payload), "the signed command") if payload else None
    if len(parts) != 3 or not isinstance(claims, dict):
        raise InvalidCommand(
            "the command is a text, and no compact JWS with a JSON object in it",
            next_step="see docs/wire-contract.md",
        )
    return document_of(claims)


def document_of(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of the command in these claims. Raises InvalidCommand."""
    op_id, document = claims.get("op_id"), claims.get("command")
    if not isinstance(op_id, str) or not isinstance(document, dict):
        raise InvalidCommand(
            "a signed command states its `op_id` and `command`",
            next_step="see docs/wire-contract.md",
        )
    if document.get("op_id", op_id) != op_id:
        raise InvalidCommand(
            "the command has another op_id than the one that was signed beside it",
            next_step="leave it out of one of the two",
        )
    return document | {"op_id": op_id}


def command_of(claims: Mapping[str, Any]) -> Command:
    """Return the command in verified claims. Raises as `parse_command` does."""
    return parse_command(document_of(claims))
