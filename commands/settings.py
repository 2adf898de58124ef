"""The settings: addresses, limits and durations. None of them selects a backend."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from signalbox.commands.error import InvalidSetting, reason_of


def _seconds(value: Any) -> Any:
    """Environment variables are text: a plain number means seconds."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


Duration = Annotated[timedelta, BeforeValidator(_seconds), Field(ge=timedelta(0))]


def _check_state_url(url: str) -> str:
    if not re.match(r"((redis|rediss|unix)|rediss?\+(cluster|sentinel))://", url):
        raise ValueError(
            "it begins with redis://, rediss:// (TLS) or unix://, with redis+cluster:// for a "
            "cluster, or with redis+sentinel:// for what Sentinels watch"
        )
    return url


class Settings(BaseSettings):
    """Settings from `SIGNALBOX_*` environment variables; durations are ISO 8601 or seconds."""

    # Empty is not set: an empty directory would be the one in which the process happens to be.
    model_config = SettingsConfigDict(env_prefix="SIGNALBOX_", frozen=True, env_ignore_empty=True)

    state_url: Annotated[str, AfterValidator(_check_state_url)] = Field(
        "redis://127.0.0.1:6379/0",
        description="The Redis or Valkey that stores routes, ledger and events: one server, a "
        "cluster, or servers behind Sentinels.",
    )
    state_replicas: int = Field(
        0,
        ge=0,
        description="Number of replicas that must have a write before it is acknowledged, so that "
        "a failover to any of them does not lose it.",
    )
    ledger_shards: int | None = Field(
        None,
        ge=1,
        le=256,
        description="Number of hash tags over which a new ledger is spread; 64 if it is not set. "
        "An existing ledger keeps its number, and a process with another value runs nothing.",
    )
    broker_url: str = Field(
        "redis://127.0.0.1:6379/0", description="The Celery broker: Redis, Valkey or RabbitMQ."
    )
    payload_dir: Path | None = Field(
        None,
        description="Directory that producers and workers share for content larger than the inline "
        "limit.",
    )
    inline_limit_bytes: int = Field(
        64 * 1024,
        ge=0,
        description="Larger content is staged in the payload directory; the command only names it.",
    )
    message_limit_bytes: int = Field(
        2 * 1024 * 1024, ge=64 * 1024, description="Maximum size of a message from a queue."
    )
    refused_retention: Duration = Field(
        timedelta(days=7),
        description="How long dead letters of messages that contain no valid command are kept.",
    )
    remote_control: bool = Field(
        False,
        description="Whether workers obey all of Celery's remote control, such as shutdown.",
    )
    lease: Duration = Field(
        timedelta(seconds=30),
        description="Another worker takes a command over if it is not finished after this time; "
        "raise it for slow backends.",
    )
    publish_grace: Duration = Field(
        timedelta(seconds=15),
        description="A command that has not been claimed this long after its message was published "
        "is published again.",
    )
    outcome_retention: Duration = Field(
        timedelta(hours=24), description="How long the outcome of a write is kept."
    )
    read_retention: Duration = Field(
        timedelta(minutes=10), description="How long the outcome of a read is kept."
    )
    foreign_memory: Duration = Field(
        timedelta(days=7),
        description="Minimum time for which a write that was submitted without our client is "
        "known; a repeated delivery with the same op_id and content is dropped. 0: as long as its "
        "outcome.",
    )
    orphan_grace: Duration = Field(
        timedelta(hours=24),
        description="Staged content that no command names is removed this long after it was last "
        "written or submitted.",
    )
    max_attempts: int = Field(
        5, ge=1, description="Number of claims after which a command becomes a dead letter."
    )
    max_deaths: int = Field(
        3,
        ge=1,
        description="Number of workers that may die during a command before it becomes a dead "
        "letter.",
    )
    max_open: int = Field(
        200_000,
        ge=0,
        description="Maximum number of open commands of a tenant and env; more are refused with "
        "RATE_LIMITED. 0: no limit.",
    )
    tenant_window: int = Field(
        400,
        ge=0,
        description="Maximum number of commands of a tenant, env and kind on the queue at a time; "
        "the others wait in the ledger and delay nobody. 0: no limit.",
    )
    retry_delay: Duration = Field(
        timedelta(seconds=1),
        description="Maximum delay of the first retry. It doubles with each retry; the delay is "
        "random between 0 and it.",
    )
    visibility_timeout: Duration = Field(
        timedelta(minutes=10),
        description="Time after which a Redis broker delivers an unacknowledged message again.",
    )
    tenant_shards: int = Field(
        4,
        ge=1,
        le=64,
        description="Queues of each kind. The ledger records the number, and a process with "
        "another value runs nothing.",
    )
    ready_file: Path | None = Field(
        None,
        description="A worker creates this file when it starts to consume, touches it while it "
        "works, and removes it when it stops; supervisors check its age.",
    )
    route_log_keep: int = Field(
        100_000,
        ge=0,
        description="Number of archived events of the audit trail that remain in the state Redis.",
    )
    price_file: Path | None = Field(
        None, description="File with prices for the estimates of `signalbox routes check`."
    )
    data_roots: str = Field(
        "",
        description="Folders, comma-separated, below which routes may keep data. `{tenant_id}` and "
        "`{env}` stand for the route's own.",
    )
    credential_roots: str = Field(
        "",
        description="The same for credential files that routes name.",
    )
    endpoints: str = Field(
        "*",
        description="Hosts (`*.example.com`, `minio:9000`) and networks that routes may name.",
    )
    control_commands: Literal["refuse", "take"] = Field(
        "refuse", description="What a worker does with route changes that come from the queue."
    )
    trust_file: Path | None = Field(
        None,
        description="File with the public keys of the administrators, as a JSON Web Key Set, and "
        "what must be signed. Without it nothing is signed or verified.",
    )
    audience: str | None = Field(
        None,
        pattern=r"^[\x21-\x7e]{1,128}$",
        description="Name of this deployment, which every signature contains.",
    )
    key_file: Path | None = Field(None, description="The private key that this process signs with.")
    signature_lifetime: Duration = Field(
        timedelta(hours=24),
        description="How long a client's signature holds: a command that is claimed later is "
        "refused. At most two minutes less than its outcome is kept.",
    )
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def kept(self) -> str:
        """How long outcomes are kept, as part of an error message."""
        writes, reads = in_words(self.outcome_retention), in_words(self.read_retention)
        return f"outcomes are kept {writes} (writes) or {reads} (reads)"

    @property
    def broker_is_state(self) -> bool:
        """True if the broker is the same Redis as the state."""
        return self.broker_url == self.state_url


def in_words(span: timedelta) -> str:
    """Return a duration for people, such as `24 h`, `10 min` or `1.5 s`."""
    seconds = span.total_seconds()
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def invalid_setting(error: ValidationError, prefix: str = "SIGNALBOX_") -> InvalidSetting:
    """Return the first invalid setting as an error that names its environment variable."""
    first = error.errors(include_url=False, include_input=False)[0]
    name = prefix + ".".join(str(part) for part in first["loc"][:1]).upper()
    return InvalidSetting(f"{name}: {reason_of(first)}", next_step="see docs/configuration.md")


def without_password(url: str) -> str:
    """Return the address with its passwords replaced by `***`, whatever is wrong with it."""
    shown = re.sub(r"(?<=//)([^/?#:;]*):[^/?#;]+@", r"\1:***@", url)
    return re.sub(r"([?&]\w*password=)[^&]+", r"\1***", shown)
