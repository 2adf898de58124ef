"""What all commands have in common.

Adding a command is one model (a `Command` with an `op`, registered) and one adapter method of the
same verb; nothing else names it.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, ClassVar, Final, get_args, get_origin

import uuid_utils
from pydantic import BaseModel, ConfigDict, Field

from signalbox.commands.ref import Ref, make_ref
from signalbox.commands.result import Result, Returns
from signalbox.commands.scope import Env, Mode, SchemaVersion, Scope, TenantId, scope_of
from signalbox.commands.timestamp import Timestamp

SCHEMA_VERSION: Final = 1


def new_op_id() -> str:
    """A UUIDv7: unique, and sortable by the time it was made."""
    return str(uuid_utils.uuid7())


OP_ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}"
OpId = Annotated[str, Field(pattern=f"^{OP_ID_PATTERN}$")]


class Command(BaseModel):
    """One thing to do in one scope; `op` is `<kind>.<verb>` and also the Celery task name.

    `op_id` is the caller's idempotency key within (tenant, env): the same id with the same
    content has one effect and one outcome; with another content it is refused.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64"
    )

    kind: ClassVar[str] = ""
    """What stands before the dot of `op`,"""
    verb: ClassVar[str] = ""
    """and behind it."""
    writes: ClassVar[bool] = True
    """False for reads: they are not ordered, and their outcomes are kept a short time."""
    result_type: ClassVar[type[Result] | None] = None
    """The type that `Returns[…]` among its bases names; None: its result is a plain document."""

    op: str
    v: SchemaVersion = SCHEMA_VERSION
    op_id: OpId = Field(default_factory=new_op_id)
    tenant_id: TenantId
    env: Env
    mode: Mode = Mode.LAB
    deadline: Timestamp | None = Field(
        None, description="Not begun after it: DEADLINE_EXCEEDED. None: whenever its turn comes."
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        op = cls.model_fields["op"].default
        if isinstance(op, str):
            cls.kind, cls.verb = op.split(".")
        for base in vars(cls).get("__orig_bases__", ()):
            if get_origin(base) is Returns:
                [cls.result_type] = get_args(base)

    @property
    def scope(self) -> Scope:
        """The scope whose route the command runs on."""
        return scope_of(self.kind, self.tenant_id, self.env)

    @property
    def ref(self) -> Ref:
        """The command's name in the ledger: unique over all tenants and envs."""
        return make_ref(self.tenant_id, self.env, self.op_id)

    @property
    def item_key(self) -> str | None:
        """The one item (object, row, stream) that the command is about; None: none, or many."""
        return None

    @property
    def order_key(self) -> str | None:
        """Commands with one order key take effect in accepted order; None: any order."""
        return self.item_key if self.writes else None

    @property
    def size(self) -> int:
        """Bytes of content the command carries or names; 0 if none."""
        return 0

    @property
    def new_objects(self) -> int:
        """Objects that the command may add to what is stored, which a quota may limit."""
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
        return self.model_dump(mode="json", exclude={"op_id", "v", "deadline"})

    def fingerprint(self) -> str:
        """A digest of what the command asks for; 32 hexadecimal digits."""
        text = repr(sorted(self.fingerprint_fields().items())).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, digest_size=16).hexdigest()


MODELS: dict[str, type[Command]] = {}
"""Every command that was imported so far, by its `op`; read it through `parse.py`."""


def register(model: type[Command]) -> type[Command]:
    """Class decorator: make the command known by its `op`."""
    MODELS[str(model.model_fields["op"].default)] = model
    return model
