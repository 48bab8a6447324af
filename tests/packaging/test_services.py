"""Service files for systemd, launchd and WinSW, and the dashboard of the metrics."""

import json
import os
import plistlib
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.protocol.clients import http, open_dunena
from tests.support.server import ServerProcess

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ROOT / "packaging" / "services"
DASHBOARD = ROOT / "packaging" / "grafana" / "dunena.json"


@pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("systemd-analyze is missing")
    # The program it starts is not installed here: any other does for a look at the syntax.
    text = (SERVICES / "dunena.service").read_text("utf-8")
    assert "ExecStart=/usr/local/bin/dunena serve" in text
    unit = tmp_path / "dunena.service"
    unit.write_text(text.replace("/usr/local/bin/dunena", "/bin/sh"), "utf-8")
    done = subprocess.run(
        [analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "dunena.service" not in done.stderr, "not a word about it"


def test_the_launchd_property_list_has_the_expected_settings() -> None:
    job = plistlib.loads((SERVICES / "dunena.plist").read_bytes())
    assert job["Label"] == "dunena"
    assert job["ProgramArguments"] == ["/usr/local/bin/dunena", "serve"]
    assert job["ExitTimeOut"] >= 60, "every file is brought up to date before it ends"


def test_the_winsw_file_has_the_expected_settings() -> None:
    service = ET.parse(SERVICES / "dunena-service.xml").getroot()
    assert service.tag == "service"
    assert service.findtext("executable") == r"%BASE%\dunena.exe"
    assert service.findtext("arguments") == "serve"
    assert {one.get("name") for one in service.iter("env")} == {"CACHE_DIR", "DUNENA_LOG_FORMAT"}


def test_every_figure_on_the_dashboard_is_a_metric_of_the_server(server: ServerProcess) -> None:
    with open_dunena(server) as client:
        client.ask({"type": "set", "key": "k", "value": "v"})
        text = http(server, "GET", "/metrics").body.decode()
    board = json.loads(DASHBOARD.read_text("utf-8"))
    expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    expressions += [
        variable["query"]["query"]
        for variable in board["templating"]["list"]
        if variable["type"] == "query"
    ]
    asked = {name for one in expressions for name in re.findall(r"\b(?:dunena|process)_\w+", one)}
    assert len(asked) > 20
    for name in sorted(asked):
        if name.startswith("process_") and sys.platform != "linux":
            continue  # Prometheus' own collector knows Linux alone
        assert re.search(rf"^{name}[ {{]", text, re.MULTILINE), name
    labels = {label for one in expressions for label in re.findall(r"by \(([^)]+)\)", one)}
    assert labels == {"protocol", "dialect, type", "le", "cause"}
    for label in ("protocol", "dialect", "type", "le", "cause"):
        assert f'{label}="' in text


def test_every_metric_is_documented(server: ServerProcess) -> None:
    text = http(server, "GET", "/metrics").body.decode()
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    documented = set(re.findall(r"`(dunena_\w+)", page))
    # A histogram's parts go by its name, and `dunena_build` by that of its family.
    families = set(re.findall(r"^# TYPE (dunena_\w+) ", text, re.MULTILINE))
    assert documented == families


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    board = json.loads(DASHBOARD.read_text("utf-8"))
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert all(x < 24 for x, _ in cells)
        taken |= cells
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
