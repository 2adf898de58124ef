"""Capabilities: operations and options that not every backend has."""

from __future__ import annotations

from enum import StrEnum


class Capability(StrEnum):
    """An operation or option that not every backend has; using a missing one raises Unsupported."""

    CONDITIONAL_PUT = "conditional_put"
    CONDITIONAL_DELETE = "conditional_delete"
    PRESIGN_POST = "presign_post"
    PRESIGN_PUT = "presign_put"
    PRESIGN_GET = "presign_get"
