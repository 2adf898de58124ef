"""The base class of all commands.

To add a command, register a subclass of `Command` with an `op`, and give the kind's store a method
with the name of its verb. Nothing else has to be changed.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, ClassVar, Final, TypeVar, get_args, get_origin

import uuid_utils
from pydantic import ConfigDict, Field

from signalbox.commands.documented import Documented
from signalbox.commands.ref import Ref, make_ref
from signalbox.commands.result import Result, Returns
from signalbox.commands.scope import Env, Mode, SchemaVersion, Scope, TenantId, scope_of
from signalbox.commands.timestamp import Timestamp

SCHEMA_VERSION: Final = 1


def new_op_id() -> str:
    """Return a UUIDv7: unique, and ordered by the time it was made."""
    return str(uuid_utils.uuid7())


OP_ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}"
OpId = Annotated[str, Field(pattern=f"^{OP_ID_PATTERN}$")]


class Command(Documented):
    """One operation in one scope. Its `op`, `<kind>.<verb>`, also names its Celery task."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64"
    )

    kind: ClassVar[str] = ""
    """Kind of resource: the part of `op` before the dot."""
    verb: ClassVar[str] = ""
    """Name of the operation: the part of `op` after the dot."""
    writes: ClassVar[bool] = True
    """False for reads, which are not ordered and whose outcomes are kept for a shorter time."""
    result_type: ClassVar[type[Result] | None] = None
    """The type that `Returns[…]` among its bases names; None: its result is a plain document."""

    op: str
    """Name of the operation, `<kind>.<verb>`."""
    v: SchemaVersion = SCHEMA_VERSION
    """Version of this document's schema."""
    op_id: OpId = Field(default_factory=new_op_id)
    """Idempotency key in tenant and env: an equal command is run once, a different one refused."""
    tenant_id: TenantId
    """Id of the tenant, such as `t_acme`."""
    env: Env
    """Name of the environment, such as `dev` or `prod`."""
    mode: Mode = Mode.LAB
    """Mode of the caller; the strictest of this, the route's and the policy's mode applies."""
    deadline: Timestamp | None = None
    """A command not started by this time fails with DEADLINE_EXCEEDED; None: no deadline."""

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
        """The scope by whose route the command runs."""
        return scope_of(self.kind, self.tenant_id, self.env)

    @property
    def ref(self) -> Ref:
        """Name of the command in the ledger: `tenant/env/op_id`, which is unique."""
        return make_ref(self.tenant_id, self.env, self.op_id)

    @property
    def item_key(self) -> str | None:
        """The object, row or stream that the command concerns; None if it is not exactly one."""
        return None

    @property
    def order_key(self) -> str | None:
        """Commands with the same order key run in accepted order; None: in any order."""
        return self.item_key if self.writes else None

    @property
    def size(self) -> int:
        """Size in bytes of the content that the command carries or refers to; 0 if none."""
        return 0

    @property
    def new_objects(self) -> int:
        """Number of objects that the command may create, for the tenant's quota."""
        return 0

    @property
    def subject(self) -> str:
        """What the command concerns, such as a key, or table and row; for logs and Flower."""
        return ""

    def summary(self) -> str:
        """One line for logs and Flower, without content or secrets."""
        size = f" {self.size}B" if self.size else ""
        return f"{self.tenant_id}/{self.env} {self.op} {self.subject}{size} op_id={self.op_id}"

    def fingerprint_fields(self) -> dict[str, Any]:
        """The fields in which two commands must agree to count as the same command."""
        return self.model_dump(mode="json", exclude={"op_id", "v", "deadline"})

    def fingerprint(self) -> str:
        """Digest of `fingerprint_fields`, as 32 hexadecimal digits."""
        text = repr(sorted(self.fingerprint_fields().items())).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, digest_size=16).hexdigest()


MODELS: dict[str, type[Command]] = {}
"""All command classes imported so far, by `op`; use `parse.known_ops`, which imports all."""


C = TypeVar("C", bound=type[Command])


def register(model: C) -> C:
    """Class decorator that registers a command under its `op`, and gives it back in its own type:
    a type checker that goes by that, such as Pyright, still knows what the command `Returns`."""
    command: type[Command] = model
    MODELS[str(command.model_fields["op"].default)] = command
    return model
