"""A hook of mkdocs: what a page is on the site, and not where the repository shows it.

Links from docs/ to other files of the repository lead to where those are. Pages that are about a
word as a whole come before those that mention it, in what the site's search finds.
"""

import posixpath
import re
from typing import Any

_LINK = re.compile(r"\]\((\.\./[^)]+)\)")


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """A page's text before it is made HTML. mkdocs calls this by name."""
    boost = config.extra["found_first"].get(page.file.src_uri)
    if boost:
        page.meta["search"] = {"boost": boost}
    return lead_out(markdown, page.file.src_uri, config.extra["source"])


def lead_out(markdown: str, page: str, source: str) -> str:
    """The text of `page`, a path below docs/, with links out of docs/ led to `source`."""

    def lead(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), match[1]))
        return match[0] if path.startswith("docs/") else f"]({source}/blob/main/{path})"

    return _LINK.sub(lead, markdown)
