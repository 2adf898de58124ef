"""The extras of the distribution: packages that only some processes need."""

from __future__ import annotations

from importlib.util import find_spec

from signalbox.commands.error import ExtraNotInstalled


def require(part: str, extra: str, *packages: str) -> None:
    """Raise ExtraNotInstalled unless this process can import the packages, which `part` needs.

    They are looked up, not imported. `extra` is the one that brings all of them.
    """
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise ExtraNotInstalled(
            f"{part} needs {', '.join(missing)}, which is not installed here",
            next_step=f"install it: pip install 'signalbox[{extra}]'",
        )
