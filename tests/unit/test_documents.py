"""The documents: no dead links, and every page on the site."""

import importlib.util
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pytest
from ruamel.yaml import YAML

from tests.support.documents import ROOT

DOCS = ROOT / "docs"

PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])

_CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"""\]\(([^)\s]+)\)|<\w+ [^>]*\bsrc(?:set)?="([^"]+)\"""")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def links(text: str) -> list[str]:
    """Where a document's links and pictures are, but those of other sites; code is no link."""
    found = [one or other for one, other in _LINK.findall(_CODE.sub("", text))]
    return [link for link in found if not link.startswith(("http:", "https:"))]


def anchors(text: str) -> set[str]:
    """The names of a document's headings, as GitHub makes them."""
    headings = _HEADING.findall(_FENCE.sub("", text))
    return {re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-") for words in headings}


def dead_ends(path: Path, text: str) -> list[str]:
    """The links of a document, which is or would be at ``path``, that lead nowhere."""
    return [link for link in links(text) if not leads_somewhere(path, text, link)]


def leads_somewhere(path: Path, text: str, link: str) -> bool:
    target, _, anchor = unquote(link).partition("#")
    if not target:
        return anchor in anchors(text)
    place = path.parent / target
    return place.exists() and (not anchor or anchor in anchors(place.read_text("utf-8")))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_document_has_a_dead_link(path: Path):
    assert dead_ends(path, path.read_text("utf-8")) == []


def test_links_finds_the_links_of_the_documents():
    found = {path.name: links(path.read_text("utf-8")) for path in PAGES}
    assert "docs/client.md" in found["README.md"]
    assert "../client.md#data-bind" in found["sensor.md"]


def test_dead_ends_finds_missing_anchors_and_files():
    text = (
        "# One `name`, two\n[a](#one-name-two) [b](#two) [c](client.md#data-bind) [d](gone.md)\n"
        "[e](client.md#gone) `[f](no-link.md)`\n```\n# no heading\n[g](no-link.md)\n```\n"
        "[h](#no-heading) [i](https://example.org) [j](../LICENSE)\n"
        '<source media="print" srcset="images/gone.png"><img src="images/soak.svg">'
    )
    assert dead_ends(DOCS / "made-up.md", text) == [
        "#two",
        "gone.md",
        "client.md#gone",
        "#no-heading",
        "images/gone.png",
    ]


@pytest.mark.parametrize(
    ("pattern", "count", "bytes_max"),
    [("scoreboard*.webp", 2, 600_000), ("template-*.webp", 6, 400_000)],
)
def test_the_pictures_that_move_and_those_of_the_templates_are_small(
    pattern: str, count: int, bytes_max: int
):
    sizes = [path.stat().st_size for path in (DOCS / "images").glob(pattern)]
    assert len(sizes) == count
    assert sum(sizes) <= bytes_max


class TestSite:
    @pytest.fixture
    def settings(self) -> Any:
        return YAML(typ="safe", pure=True).load((ROOT / "build" / "mkdocs.yml").read_text("utf-8"))

    def test_the_site_navigation_lists_every_page_once(self, settings: Any):
        pages = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
        assert sorted(pages_of(settings["nav"])) == pages

    def test_the_site_settings_are_strict_about_links(self, settings: Any):
        assert settings["strict"] is True
        assert set(settings["validation"]["links"].values()) == {"warn"}
        assert "anchors" in settings["validation"]["links"]

    def test_the_site_loads_no_external_fonts(self, settings: Any):
        assert settings["theme"]["font"] is False
        assert "repo_url" not in settings

    def test_the_hooks_and_styles_of_the_site_exist(self, settings: Any):
        assert all((ROOT / "build" / hook).is_file() for hook in settings["hooks"])
        assert all((DOCS / style).is_file() for style in settings["extra_css"])

    def test_the_pages_that_are_found_first_exist(self, settings: Any):
        assert all((DOCS / page).is_file() for page in settings["extra"]["found_first"])

    def test_the_icon_of_the_site_is_that_of_the_program(self, settings: Any):
        icon = DOCS / settings["theme"]["logo"]
        assert icon.read_text("utf-8") == (ROOT / "packaging" / "icon.svg").read_text("utf-8")
        assert settings["theme"]["favicon"] == settings["theme"]["logo"]


def pages_of(nav: Any) -> list[str]:
    """The pages that a part of the navigation names."""
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [page for part in parts for page in pages_of(part)]


def devkit(name: str) -> Any:
    """A module of build/devkit that needs none of its neighbours."""
    path = ROOT / "build" / "devkit" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("page", "link", "expected"),
    [
        ("security.md", "../SECURITY.md", "https://host/one/blob/main/SECURITY.md"),
        ("recipes/obs.md", "../../README.md#use-it", "https://host/one/blob/main/README.md#use-it"),
        ("recipes/obs.md", "../overlays.md#the-folder", "../overlays.md#the-folder"),
        ("security.md", "files.md", "files.md"),
    ],
)
def test_links_out_of_the_site_are_rewritten_to_the_repository(page: str, link: str, expected: str):
    lead_out = devkit("site_links").lead_out
    assert lead_out(f"see [it]({link}).", page, "https://host/one") == f"see [it]({expected})."


@pytest.mark.parametrize(
    ("page", "meta"), [("devices.md", {"search": {"boost": 4}}), ("files.md", {})]
)
def test_what_is_found_first_counts_more_in_a_search(page: str, meta: dict[str, Any]):
    shown = SimpleNamespace(file=SimpleNamespace(src_uri=page), meta={})
    config = SimpleNamespace(extra={"found_first": {"devices.md": 4}, "source": "https://host/one"})
    assert devkit("site_links").on_page_markdown("text", shown, config, None) == "text"
    assert shown.meta == meta


def test_a_page_of_the_documents_asks_for_no_icon() -> None:
    """Without the line a browser asks for /favicon.ico and writes a 404 into the console."""
    page = re.compile(r"^```html\n(<!doctype.*?)^```", re.MULTILINE | re.DOTALL)
    pages = [text for file in DOCS.rglob("*.md") for text in page.findall(file.read_text("utf-8"))]
    assert len(pages) > 3
    assert [text for text in pages if '<link rel="icon" href="data:,">' not in text] == []
