"""The docs site has every page, every anchor that a page links to, and a drawing that is true.

`make docs` builds the site and finds dead links too, with packages that only it installs.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOP_PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), *TOP_PAGES])


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    listed = set(re.findall(r"- (?:[^:\n]+: )?(\S+\.md)$", navigation, re.MULTILINE))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in ROOT.glob("docs/**/*.md")}
    assert pages <= listed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_anchor_that_a_page_links_to_exists(page: Path) -> None:
    text = page.read_text()
    for target, anchor in re.findall(r"\]\(([^)#:\s]*\.md|)#([^)]+)\)", text):
        linked = page.parent / target if target else page
        assert anchor in _anchors(linked.read_text()), f"{page.name} links to {target}#{anchor}"


def test_the_drawing_of_the_architecture_shows_the_imports_of_today(tmp_path: Path) -> None:
    drawn = tmp_path / "architecture.svg"
    subprocess.run([sys.executable, "docs/site/diagram.py", drawn], cwd=ROOT, check=True)
    committed = (ROOT / "docs" / "architecture.svg").read_text()
    assert drawn.read_text() == committed, "run: python docs/site/diagram.py"
    for package in ("gateway", "workers", "producers", "routing", "adapters", "commands"):
        assert f">{package}</text>" in committed


def _anchors(text: str) -> set[str]:
    """The anchors that a forge gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
