"""What all commands have in common, and how a command is read from JSON.

Adding a command is one model here-under (a `Command` with an `op`) and one adapter method of
the same verb; nothing else names it.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, ClassVar, Final

import uuid_utils
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from commands.error import InvalidCommand, SignalboxError, UnknownCommand, UnsupportedVersion
from commands.scope import Env, Mode, ResourceKind, SchemaVersion, Scope, TenantId

SCHEMA_VERSION: Final = 1


def new_op_id() -> str:
    """A UUIDv7: unique, and sortable by the time it was made."""
    return str(uuid_utils.uuid7())


OpId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]


class Command(BaseModel):
    """One thing to do in one scope; `op` is `<kind>.<verb>` and also the Celery task name.

    `op_id` is the caller's idempotency key within (tenant, env): the same id with the same
    content has one effect and one outcome; with another content it is refused.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64"
    )

    writes: ClassVar[bool] = True
    """False for reads: they are not ordered, and their outcomes are kept a short time."""

    op: str
    v: SchemaVersion = SCHEMA_VERSION
    op_id: OpId = Field(default_factory=new_op_id)
    tenant_id: TenantId
    env: Env
    mode: Mode = Mode.LAB

    @property
    def kind(self) -> str:
        return self.op.partition(".")[0]

    @property
    def verb(self) -> str:
        return self.op.partition(".")[2]

    @property
    def scope(self) -> Scope:
        """The scope whose route the command runs on."""
        return Scope(kind=ResourceKind(self.kind), tenant_id=self.tenant_id, env=self.env)

    @property
    def ref(self) -> str:
        """The command's name in the ledger: unique over all tenants and envs."""
        return f"{self.tenant_id}/{self.env}/{self.op_id}"

    @property
    def order_key(self) -> str | None:
        """Commands with one order key take effect in accepted order; None: any order."""
        return None

    @property
    def size(self) -> int:
        """Bytes of content the command carries or names; 0 if none."""
        return 0

    @property
    def subject(self) -> str:
        """What the command is about (a key, a table and row), for logs and Flower."""
        return ""

    def summary(self) -> str:
        """One line without content or secrets: what Flower and the logs may show."""
        size = f" {self.size}B" if self.size else ""
        return f"{self.tenant_id}/{self.env} {self.op} {self.subject}{size} op_id={self.op_id}"

    def fingerprint_fields(self) -> dict[str, Any]:
        """The fields that make two commands under one op_id the same command."""
        return self.model_dump(mode="json", exclude={"op_id", "v"})

    def fingerprint(self) -> str:
        """A digest of what the command asks for; 32 hexadecimal digits."""
        text = repr(sorted(self.fingerprint_fields().items())).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, digest_size=16).hexdigest()


_MODELS: dict[str, type[Command]] = {}


def register(model: type[Command]) -> type[Command]:
    """Class decorator: make the command known by its `op`."""
    _MODELS[str(model.model_fields["op"].default)] = model
    return model


def known_ops() -> dict[str, type[Command]]:
    """Every command by its `op`; the modules that define them are imported here."""
    import commands.object_store
    import commands.routing  # noqa: F401

    return _MODELS


def parse_command(document: Any, *, default_op_id: str | None = None) -> Command:
    """Build the command that a JSON document describes.

    Raises UnsupportedVersion, UnknownCommand or InvalidCommand (with the scope as far as it
    can be read); a key or scope error inside keeps its own type.
    """
    if not isinstance(document, dict):
        raise InvalidCommand(
            f"a command is a JSON object, not {type(document).__name__}",
            next_step="see docs/wire-contract.md",
        )
    place = {
        name: value[:80]
        for name in ("tenant_id", "env")
        if isinstance(value := document.get(name), str)
    }
    version, op = document.get("v", SCHEMA_VERSION), document.get("op")
    if version != SCHEMA_VERSION:
        raise UnsupportedVersion(
            f"schema version {version!r} is not known; this Signalbox speaks {SCHEMA_VERSION}",
            next_step="upgrade the workers first, or send the older version",
            **place,
        )
    model = known_ops().get(op) if isinstance(op, str) else None
    if model is None:
        raise UnknownCommand(
            f"unknown command {str(op)[:80]!r}",
            next_step=f"use one of: {', '.join(sorted(known_ops()))}",
            **place,
        )
    if default_op_id is not None and "op_id" not in document:
        document = document | {"op_id": default_op_id}
    try:
        return model.model_validate_json(json.dumps(document))
    except ValidationError as error:
        raise invalid_command(error, **place) from None
    except SignalboxError as error:
        raise error.at(**place) from None


def load_command(op: str, text: bytes | str) -> Command:
    """Read back a command of which the ledger keeps `op` and the JSON.

    Raises UnknownCommand or InvalidCommand when another release wrote what this one cannot read.
    """
    model = known_ops().get(op)
    if model is None:
        raise UnknownCommand(f"unknown command {op!r}", next_step="upgrade this worker")
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise invalid_command(error) from None


def invalid_command(error: ValidationError, **place: str) -> InvalidCommand:
    """The first fault of a failed validation as a typed error; content is never repeated."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "command"
    return InvalidCommand(
        f"{where}: {first['msg']}",
        next_step="see the JSON Schema that `signalbox schema` prints",
        **place,
    )
