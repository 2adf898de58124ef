"""The config of a route to the filesystem, and the modes in which it may be used."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from signalbox.adapters.port import AdapterContext
from signalbox.adapters.reach import Reaches
from signalbox.commands.error import ForbiddenBackend, InvalidRouteConfig
from signalbox.commands.scope import ResourceKind

BACKEND_TYPE = "filesystem"
MAX_BASE_DIR_BYTES = 1024
"""Leaves room for the names below it within the 4,096 bytes of a path."""


def read_base_dir(config: Mapping[str, Any], kind: ResourceKind) -> str:
    """Return the validated `base_dir`; makes no call.

    Raises InvalidRouteConfig with a next step.
    """
    unknown = sorted(str(name)[:64] for name in config if name != "base_dir")
    if unknown:
        raise _refuse(kind, f"unknown config key {unknown[0]!r}", "keep only `base_dir`")
    base_dir = config.get("base_dir")
    if base_dir is None or base_dir == "":
        raise _refuse(
            kind,
            "the route has no base_dir",
            "set `base_dir` in its config to an absolute path; nothing falls back",
        )
    if not isinstance(base_dir, str) or not base_dir.isprintable():
        raise _refuse(kind, "base_dir is not a path", "give an absolute path as text")
    if not os.path.isabs(base_dir) or ".." in base_dir.split("/"):
        raise _refuse(
            kind, f"base_dir {base_dir[:80]!r} is not absolute", "give it whole and without `..`"
        )
    if len(os.fsencode(base_dir)) > MAX_BASE_DIR_BYTES:
        raise _refuse(
            kind, "base_dir is too long", f"keep it within {MAX_BASE_DIR_BYTES} UTF-8 bytes"
        )
    return os.path.normpath(base_dir)


def location(config: Mapping[str, Any], kind: ResourceKind) -> dict[str, Any]:
    """Return what says where the data are. Raises InvalidRouteConfig."""
    return {"base_dir": read_base_dir(config, kind)}


def reaches(config: Mapping[str, Any], kind: ResourceKind) -> Reaches:
    """Return what the config reaches. Raises InvalidRouteConfig."""
    return Reaches(data=(read_base_dir(config, kind),))


def refuse_sellable(context: AdapterContext) -> None:
    """Raise ForbiddenBackend in a sellable mode: the embedded backends are for labs only.

    This is the last of three checks; it applies even to code that opens an adapter without the
    executor.
    """
    if context.mode.sellable:
        scope = context.scope
        raise ForbiddenBackend(
            f"the filesystem backend is forbidden in mode {context.mode}",
            kind=scope.kind,
            tenant_id=scope.tenant_id,
            env=scope.env,
            backend_type=BACKEND_TYPE,
            next_step="switch the route to a cloud backend such as s3, or run in mode lab",
        )


def _refuse(kind: ResourceKind, message: str, next_step: str) -> InvalidRouteConfig:
    return InvalidRouteConfig(message, kind=kind, backend_type=BACKEND_TYPE, next_step=next_step)
