"""Hooks of the docs site: the pages at the top of the repository become pages of the site.

The pages link to each other as they stand in the repository, so that the links work on a forge too.
Here those that lead out of `docs/` or into it are rewritten to where the site has the page.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
TOP_PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "report-a-vulnerability.md",  # docs/security.md has the other name
}
"""The pages outside `docs/`: their path in the repository, and on the site."""

LINK = re.compile(r"(\]\()([^)#:\s]+)((?:#[^)]*)?\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages at the top of the repository."""
    for name, uri in TOP_PAGES.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite the links of one page from paths in the repository to paths on the site."""
    here = page.file.src_uri
    return LINK.sub(lambda link: link[1] + site_link(here, link[2]) + link[3], markdown)


def site_link(page: str, target: str) -> str:
    """Where the site has what a page links to.

    `page` is the page's path on the site, `target` is relative to the page in the repository, and
    the result is relative to the page on the site.
    """
    linked = posixpath.normpath(posixpath.join(posixpath.dirname(in_repository(page)), target))
    on_site = TOP_PAGES.get(linked, linked.removeprefix("docs/"))
    return posixpath.relpath(on_site, posixpath.dirname(page) or ".")


def in_repository(page: str) -> str:
    names = {uri: name for name, uri in TOP_PAGES.items()}
    return names.get(page, f"docs/{page}")
