"""The hash tag of the registry's keys."""

from __future__ import annotations

TAG = "{rt}"
