"""Where a base_dir that is reached through links leads, also when they lead elsewhere later."""

from __future__ import annotations

from pathlib import Path

from signalbox.adapters.filesystem.scope_directory import ScopeDirectory
from signalbox.commands.scope import ResourceKind, Scope

SCOPE = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id="t_a", env="dev")
BELOW = "tenants/t_a/dev"


def test_a_path_is_looked_for_anew_when_a_link_leads_elsewhere(tmp_path: Path) -> None:
    left, right, link = tmp_path / "left", tmp_path / "right", tmp_path / "link"
    directory = ScopeDirectory(str(link / "data"), SCOPE)
    for there in (left, right):
        (there / "data").mkdir(parents=True)
    for _ in range(2):
        for there in (left, right):
            link.unlink(missing_ok=True)
            link.symlink_to(there)
            for _ in range(2):
                assert directory.path == str(there / "data" / BELOW)
    # The directory is another directory's name now, and the link still leads to it.
    moved = tmp_path / "moved"
    right.rename(moved)
    link.unlink()
    link.symlink_to(moved)
    assert directory.path == str(moved / "data" / BELOW)


def test_a_directory_that_is_made_again_or_turned_into_a_link_is_found(tmp_path: Path) -> None:
    base, other = tmp_path / "base", tmp_path / "other"
    directory = ScopeDirectory(str(base), SCOPE)
    assert directory.path == str(base / BELOW)  # before it is there
    base.mkdir()
    assert directory.path == str(base / BELOW)
    base.rename(other)
    assert directory.path == str(base / BELOW)
    base.symlink_to(other)
    for _ in range(2):
        assert directory.path == str(other / BELOW)
