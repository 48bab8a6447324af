"""A server with copies of templates in a temporary folder, and a browser that looks at it."""

import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser

STAGES = Path(__file__).resolve().parent / "stages"
"""Pages that arrange the program's own pages in one picture. They are served beside those."""

_TEST_PAGE = re.compile(r"http://localhost:(\d+)/test")

# Fonts that machines without them replace by their own; generic families mean these.
_FONTS = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  {rules}
</fontconfig>
"""
_FONT_RULE = """\
<match><test name="family"><string>{family}</string></test>
    <edit name="family" mode="prepend" binding="strong"><string>{font}</string></edit></match>"""
_FAMILIES = {
    "system-ui": "Inter",
    "sans-serif": "Inter",
    "sans": "Inter",
    "ui-monospace": "JetBrains Mono",
    "monospace": "JetBrains Mono",
}


class Show:
    """A running server; ``folder`` has its values in `.cache` and its pages in `www`."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.url = f"http://localhost:{port}"

    def set(self, copy: str, values: dict[str, Any]) -> None:
        """Store values in the namespace of a copy of a template."""
        for key, value in values.items():
            request = urllib.request.Request(
                f"{self.url}/kv/{key}?ns={copy}", json.dumps(value).encode(), method="PUT"
            )
            with urllib.request.urlopen(request):
                pass

    def file_of(self, copy: str, key: str) -> Path:
        """The file on disk that is the value of a key."""
        return self.folder / ".cache" / copy / f"{key}.json"

    def stage(self, name: str) -> str:
        """The address of a stage."""
        return f"{self.url}/www/{name}.html"


@contextmanager
def running_show(*templates: str) -> Iterator[Show]:
    """Make copies of these templates as a user does, and serve them on a free port."""
    program = (sys.executable, "-P", "-m", "dunena")
    with tempfile.TemporaryDirectory(prefix="dunena-pictures-") as name:
        folder = Path(name)
        for template in templates:
            subprocess.run([*program, "new", template], cwd=folder, check=True, capture_output=True)
        (folder / "www").mkdir(exist_ok=True)
        for stage in STAGES.iterdir():
            (folder / "www" / stage.name).write_bytes(stage.read_bytes())
        serve = [*program, "serve", "--port", "0", "--cache-dir", ".cache", "--www", "www"]
        with subprocess.Popen(serve, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield Show(folder, _port_of(process))
            finally:
                process.terminate()


@contextmanager
def open_browser() -> Iterator["Browser"]:
    """Start Chromium: Playwright's, or the one that DUNENA_TEST_BROWSER names."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory(prefix="dunena-pictures-") as name, sync_playwright() as kit:
        fonts = Path(name, "fonts.conf")
        rules = [_FONT_RULE.format(family=one, font=font) for one, font in _FAMILIES.items()]
        fonts.write_text(_FONTS.format(rules="\n  ".join(rules)), encoding="utf-8")
        browser = kit.chromium.launch(
            executable_path=os.environ.get("DUNENA_TEST_BROWSER") or None,
            args=["--no-sandbox", "--disable-gpu", "--hide-scrollbars"],
            env={**os.environ, "FONTCONFIG_FILE": str(fonts)},
        )
        try:
            yield browser
        finally:
            browser.close()


def _port_of(process: "subprocess.Popen[str]") -> int:
    """The port in what a server prints when it is ready."""
    assert process.stdout is not None
    for line in process.stdout:
        if found := _TEST_PAGE.search(line):
            return int(found[1])
    raise RuntimeError("the server ended before it was ready")
