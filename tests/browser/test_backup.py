"""The panel of backups on the test page: a download, and a restore with what it would change."""

import io
import json
import re
from pathlib import Path

from playwright.sync_api import Locator, expect

from dunena.backup.reading import BackupReader
from tests.browser.tab import Tab, put
from tests.protocol.clients import http
from tests.support.server import ServerProcess


def panel_of(tab: Tab) -> Locator:
    heading = tab.page.get_by_role("heading", name="Backup", exact=True)
    return tab.page.locator("#view-server .panel").filter(has=heading)


def download(tab: Tab, panel: Locator, tmp_path: Path) -> Path:
    with tab.page.expect_download() as started:
        panel.get_by_role("button", name="Download a backup").click()
    assert re.fullmatch(r"dunena-[\d-]+\.zip", started.value.suggested_filename)
    file = tmp_path / "backup.zip"
    started.value.save_as(file)
    expect(panel.get_by_role("status")).to_have_text("The backup is among your downloads.")
    return file


def choose(panel: Locator, file: Path) -> None:
    panel.get_by_label("Backup to restore").set_input_files(file)


def values_of(server: ServerProcess) -> dict[str, object]:
    values: dict[str, object] = json.loads(http(server, "GET", "/kv").body)
    return values


def test_a_backup_is_downloaded_and_restored_after_a_look_at_what_changes(
    blank_tab: Tab, server: ServerProcess, tmp_path: Path
) -> None:
    put(server, "score", {"home": 9007199254740993})
    put(server, "other", 1)
    tab = blank_tab.open(server, "server").expect_connected()
    panel = panel_of(tab)
    file = download(tab, panel, tmp_path)
    backup = BackupReader(io.BytesIO(file.read_bytes()), file.stat().st_size)
    backup.check()
    assert {one.key for one in backup.entries} == {"score", "other"}

    choose(panel, file)
    expect(panel).to_contain_text("Everything is as it is in this backup.")
    panel.get_by_role("button", name="Close").click()

    put(server, "score", {"home": 0})
    put(server, "extra", 1)
    choose(panel, file)
    expect(panel).to_contain_text("0 new, 1 changed, 1 the same, 1 deleted")
    expect(panel).to_contain_text("0 new, 1 changed, 1 the same, 1 other key kept")
    panel.get_by_role("button", name="Cancel").click()
    assert values_of(server)["score"] == {"home": 0}

    choose(panel, file)
    panel.get_by_label("Keep the other keys").check()
    panel.get_by_label("First download a backup").uncheck()
    panel.get_by_role("button", name="Restore", exact=True).click()
    expect(panel.get_by_role("status")).to_have_text(
        "Restored backup.zip: 0 new, 1 changed, 0 deleted."
    )
    assert values_of(server) == {"score": {"home": 9007199254740993}, "other": 1, "extra": 1}

    choose(panel, file)
    with tab.page.expect_download() as copy:
        panel.get_by_role("button", name="Restore", exact=True).click()
    expect(panel.get_by_role("status")).to_have_text(
        "Restored backup.zip: 0 new, 0 changed, 1 deleted."
    )
    assert values_of(server) == {"score": {"home": 9007199254740993}, "other": 1}
    before = copy.value.path().read_bytes()
    assert len(BackupReader(io.BytesIO(before), len(before)).entries) == 3


def test_a_file_that_is_no_backup_is_a_sentence(
    blank_tab: Tab, server: ServerProcess, tmp_path: Path
) -> None:
    put(server, "score", 1)
    (tmp_path / "photo.zip").write_bytes(b"no zip")
    tab = blank_tab.open(server, "server").expect_connected()
    panel = panel_of(tab)
    choose(panel, tmp_path / "photo.zip")
    expect(panel.get_by_role("alert")).to_contain_text("The file cannot be restored: it is no zip")
    tab.problems.clear()  # the browser tells of the status 400
    expect(panel.get_by_role("button", name="Restore", exact=True)).to_have_count(0)
