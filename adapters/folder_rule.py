"""Which paths a route may name: rules that always hold, and the default ones.

The default rules apply if the operator has listed no folders.
"""

from __future__ import annotations

import os
import re

from signalbox.commands.vocabulary import ENV_PATTERN, TENANT_PATTERN

_SYSTEM = (
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run"),
    *("/sbin", "/sys", "/usr", "/var/log", "/var/mail", "/var/run", "/var/spool"),
    *("/Library", "/System", "/private/etc"),  # macOS
)
_SHARED = frozenset({"/", "/home", "/opt", "/root", "/Users", "/var", "/var/lib"})
"""Folders that may contain data folders, but are no data folders themselves."""
_SECRETS = ("/etc/signalbox", "/run/secrets", "/var/run/secrets")
"""Folders below system folders where containers and operators put credentials."""
_INSIDE = re.compile(
    f"/tenants/(?:{TENANT_PATTERN.pattern})/(?:{ENV_PATTERN.pattern})(?:/|$)", re.ASCII
)


def within(path: str, root: str) -> bool:
    """Return whether the path is the root or below it; both are real paths."""
    return path == root or path.startswith(root.rstrip("/") + "/")


def fit_for_data(path: str, payload_dir: str, *, by_default: bool) -> str:
    """Return why data may not be stored at this real path; empty if it may.

    `by_default` applies the rules for an operator who listed no roots.
    """
    if _INSIDE.search(path):
        # The clean-up of that route would remove what it finds there.
        return "lies within the data of another route"
    if payload_dir and within(path, payload_dir):
        return "lies within SIGNALBOX_PAYLOAD_DIR"
    if not by_default:
        return ""
    if path in _SHARED or path in _homes(path):
        return "is a folder of the whole system or of a user"
    return _of_others(path)


def fit_for_credentials(path: str, payload_dir: str, *, by_default: bool) -> str:
    """Return why credentials may not be read from this real path; empty if they may."""
    if _INSIDE.search(path) or (payload_dir and within(path, payload_dir)):
        return "is content of a tenant"
    if not by_default or any(within(path, folder) for folder in _SECRETS):
        return ""
    return _of_others(path)


def _of_others(path: str) -> str:
    for folder in _SYSTEM:
        if within(path, folder) or within(path, os.path.realpath(folder)):
            return f"lies below {folder}"
    for home in _homes(path):
        first = path[len(home) :].lstrip("/").partition("/")[0]
        if within(path, home) and first.startswith(".") and first != ".signalbox":
            return f"lies in a hidden folder of {home}"
    return ""


def _homes(path: str) -> list[str]:
    parts = path.split("/")
    theirs = ["/".join(parts[:3])] if parts[1] in ("home", "Users") and len(parts) > 2 else []
    return ["/root", os.path.realpath(os.path.expanduser("~")), *theirs]
