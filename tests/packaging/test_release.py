"""build/release.py: what a release says of itself, and how its commands are typed."""

import re
import runpy
import subprocess
import sys
from datetime import date

import pytest

from tests.packaging import made_up
from tests.packaging.made_up import ROOT, load

ReleaseError = load("releasekit.errors").ReleaseError
TARGETS = load("releasekit.targets").TARGETS

CHANGELOG = """\
# Changelog

## Unreleased

## 1.1.0 (2026-11-30)

- Quicker.

  A second paragraph.

## 1.0.0 (2026-10-01)

The first one.
"""


class TestChangelog:
    def test_read_sections_returns_name_date_and_text(self):
        sections = load("releasekit.changelog").read_sections(CHANGELOG)
        assert [(section.name, section.date) for section in sections] == [
            ("Unreleased", ""),
            ("1.1.0", "2026-11-30"),
            ("1.0.0", "2026-10-01"),
        ]
        assert sections[0].body == ""
        assert sections[1].body == "- Quicker.\n\n  A second paragraph."

    def test_a_lower_heading_does_not_end_a_section(self):
        text = "## 1.0.0 (2026-10-01)\n\n### More\n\nx\n"
        assert load("releasekit.changelog").find_section(text, "1.0.0").body == "### More\n\nx"

    def test_find_section_returns_none_for_a_missing_version(self):
        assert load("releasekit.changelog").find_section(CHANGELOG, "1.1") is None


class TestVersion:
    def check(self, version="1.1.0", changelog=CHANGELOG, tag="v1.1.0"):
        load("releasekit.version").check(version, changelog, tag)

    def test_the_version_check_passes_when_all_agree(self):
        self.check()

    def test_the_version_check_of_a_dry_run_needs_no_section(self):
        self.check("1.2.0", CHANGELOG.replace("Unreleased\n", "Unreleased\n\n- Soon.\n"), None)
        self.check(tag=None)

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            ({"tag": "v1.2.0"}, "tag is v1.2.0 .* says 1.1.0"),
            ({"tag": "1.1.0"}, "should be v1.1.0"),
            ({"version": "1.2.0", "tag": "v1.2.0"}, "no section 1.2.0"),
            ({"version": "1.0.0", "tag": "v1.0.0"}, "1.1.0 stands above 1.0.0"),
            ({"changelog": CHANGELOG.replace(" (2026-11-30)", "")}, "write the date"),
            ({"changelog": CHANGELOG.replace("Unreleased\n", "Unreleased\n- x\n")}, "not empty"),
            ({"changelog": "## 1.1.0 (2026-11-30)\n\n## 1.0.0\n"}, "section 1.1.0 is empty"),
            ({"version": "1.2.0", "tag": None}, "says nothing of 1.2.0"),
        ],
    )
    def test_the_version_check_raises_with_one_line_on_a_disagreement(self, arguments, reason):
        with pytest.raises(ReleaseError, match=reason) as caught:
            self.check(**arguments)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("text", ["", '__version__ = "1"', '__version__ = "1.0.0-beta"'])
    def test_read_version_rejects_an_invalid_version(self, text):
        with pytest.raises(ReleaseError, match=r"dunena/__init__\.py"):
            load("releasekit.version").read_version(text)

    def test_read_version_accepts_a_release_candidate(self):
        assert load("releasekit.version").read_version('__version__ = "1.0.0rc1"\n') == "1.0.0rc1"

    def test_the_version_command_prints_the_version(self, run, version):
        assert run("version") == (0, f"{version}\n", "")

    def test_the_version_command_refuses_a_different_tag(self, run):
        code, out, err = run("version", "--tag", "v99.0.0")
        assert (code, out) == (1, "")
        assert err.startswith("release: the tag is v99.0.0")


class TestNotes:
    def render(self, dist, changelog=CHANGELOG, **options):
        notes = load("releasekit.notes")
        return notes.render("1.1.0", changelog, dist, "someone/else", **options)

    def test_the_notes_begin_with_the_changes(self, dist):
        assert self.render(dist).startswith("- Quicker.\n")

    def test_the_notes_link_every_built_file(self, dist):
        text = self.render(dist)
        url = "https://github.com/someone/else/releases/download/v1.1.0/"
        linked = set(re.findall(rf"\({re.escape(url)}([^)]+)\)", text))
        assert linked == {path.name for path in dist.iterdir()}

    def test_the_notes_leave_out_a_target_that_was_not_built(self, dist):
        for path in dist.glob("*macos-x64*"):
            path.unlink()
        assert "dunena-macos-x64" not in self.render(dist)

    def test_the_notes_raise_for_a_missing_archive(self, dist):
        (dist / "dunena-linux-x64.tar.gz").unlink()
        with pytest.raises(ReleaseError, match=r"dunena-linux-x64.tar.gz is missing"):
            self.render(dist)

    def test_the_notes_raise_without_an_executable(self, tmp_path):
        with pytest.raises(ReleaseError, match="no executable"):
            self.render(tmp_path)

    def test_the_notes_explain_how_to_verify_files(self, dist):
        text = self.render(dist)
        assert "sha256sum --check --ignore-missing SHA2-256SUMS" in text
        assert "gh attestation verify dunena-linux-x64.tar.gz --repo someone/else" in text

    def test_the_notes_do_not_mention_an_attestation_that_does_not_exist(self, dist):
        text = self.render(dist, is_attested=False)
        assert "attest" not in text
        assert "sha256sum --check --ignore-missing SHA2-256SUMS" in text
        assert "`THIRD_PARTY_LICENSES.txt`" in text

    def test_the_attested_option_adds_the_attestation_to_the_notes(self, run, dist, version):
        assert "gh attestation" in run("notes", f"v{version}", dist, "--attested", "true")[1]
        assert "gh attestation" not in run("notes", f"v{version}", dist, "--attested", "false")[1]

    def test_the_notes_explain_system_warnings_of_unsigned_files(self, dist):
        text = self.render(dist)
        assert "Run anyway" in text
        assert "Open Anyway" in text
        assert "com.apple.quarantine" in text

    def test_the_notes_do_not_explain_warnings_of_signed_files(self, dist):
        signed = made_up.portable_executable(signed=True)
        for label in ("x64", "arm64"):
            (dist / f"dunena-windows-{label}.exe").write_bytes(signed)
            (dist / f"dunena-macos-{label}").write_bytes(b"... Developer ID Application: X ...")
        text = self.render(dist)
        assert "Run anyway" not in text
        assert "Open Anyway" not in text

    def test_one_unsigned_file_adds_the_warning_of_its_system_to_the_notes(self, dist):
        (dist / "dunena-macos-x64").write_bytes(b"... Developer ID Application: X ...")
        assert "Open Anyway" in self.render(dist)

    def test_the_notes_of_a_dry_run_are_the_unreleased_section(self, dist):
        text = self.render(dist, "## Unreleased\n\n- Soon.\n")
        assert text.startswith("- Soon.\n")

    def test_the_notes_command_prints_the_notes(self, run, dist, version):
        code, out, err = run("notes", f"v{version}", dist)
        assert (code, err) == (0, "")
        assert "## Download" in out

    def test_the_notes_command_refuses_a_different_version(self, run, dist):
        assert run("notes", "v99.0.0", dist)[0] == 1


@pytest.mark.parametrize(
    ("data", "system", "expected"),
    [
        (made_up.portable_executable(signed=True), "windows", True),
        (made_up.portable_executable(signed=False), "windows", False),
        (b"MZ", "windows", False),
        (b"MZ" + bytes(200), "windows", False),
        (b"x Developer ID Application y", "macos", True),
        (b"x", "macos", False),
        (b"x Developer ID Application y", "linux", False),
    ],
)
def test_is_signed_detects_the_signature_of_a_file(tmp_path, data, system, expected):
    (tmp_path / "file").write_bytes(data)
    assert load("releasekit.signatures").is_signed(tmp_path / "file", system) is expected


class TestCommands:
    def test_wrong_usage_exits_with_2(self, capsys):
        with pytest.raises(SystemExit) as caught:
            load("releasekit.commands").main(["relase"])
        assert caught.value.code == 2

    def test_the_help_describes_every_command(self, capsys):
        with pytest.raises(SystemExit):
            load("releasekit.commands").main(["--help"])
        listed = re.findall(r"^ {4}(\w+)\s+([A-Z]\w+)", capsys.readouterr().out, re.MULTILINE)
        assert {"version", "notes", "checksums", "glibc"} <= {name for name, _ in listed}

    @pytest.mark.parametrize(
        "command",
        ["version", "notes", "checksums", "manifests", "archives", "sign", "package", "compare"],
    )
    def test_the_release_script_needs_only_the_standard_library(self, command):
        """Those that see keys or write what is published install nothing."""
        script = ROOT / "build" / "release.py"
        words = [sys.executable, "-E", "-s", "-S", script, command]
        subprocess.run([*words, *([] if command == "version" else ["--help"])], check=True)

    @pytest.mark.parametrize("command", ["contents", "glibc", "licenses", "rehearse", "sbom"])
    def test_other_commands_run_in_the_release_environment(self, monkeypatch, command):
        script = str(ROOT / "build" / "release.py")
        environment, console = load("devkit.environment"), load("devkit.console")
        prepared, ran = [], []

        def prepare(self, *groups):
            prepared.append((self, groups))
            return self.python

        def hand_over(words, _environ):
            ran.append(words)
            return 7

        monkeypatch.setattr(environment.Environment, "prepare", prepare)
        monkeypatch.setattr(console, "hand_over", hand_over)
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
        monkeypatch.setattr(sys, "argv", [script, command, "dist"])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(script, run_name="__main__")
        assert ended.value.code == 7
        assert prepared == [(environment.RELEASING, (environment.RELEASE,))]
        assert ran == [[environment.RELEASING.python, script, command, "dist"]]


def test_changelog_dates_are_valid_and_descending():
    sections = load("releasekit.changelog").read_sections(
        (ROOT / "CHANGELOG.md").read_text("utf-8")
    )
    days = [date.fromisoformat(section.date) for section in sections if section.date]
    assert days == sorted(days, reverse=True)
