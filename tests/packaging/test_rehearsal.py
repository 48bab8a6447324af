"""build/release.py rehearse: the release's workflow, played on this machine.

The quick tests play made-up workflows in made-up checkouts. The whole rehearsal, of this checkout,
takes some ten minutes: DUNENA_REHEARSAL=1.0.0 runs it.
"""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.made_up import ROOT, load

ReleaseError = load("releasekit.errors").ReleaseError
TARGETS = load("releasekit.targets").TARGETS
RELEASE = ROOT / ".github" / "workflows" / "release.yml"
SYSTEMS = {"linux": "Linux", "macos": "macOS", "windows": "Windows"}

CONTEXT = {
    "github": {"event_name": "push", "event": {"repository": {"private": False}}},
    "runner": {"os": "Linux"},
    "matrix": {"word": "linux", "suffix": ""},
}


class TestExpressions:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("github.event_name == 'push'", True),
            ("runner.os != 'Linux'", False),
            ("!github.event.repository.private", True),
            ("github.event_name == 'push' && matrix.word || 'none'", "linux"),
            ("github.event_name == 'other' && matrix.word || ''", ""),
            ("(matrix.suffix || 'it''s')", "it's"),
            ("secrets.ANY", ""),
            ("true && false", False),
        ],
    )
    def test_expressions_have_the_values_that_github_gives_them(self, text, expected):
        assert load("rehearsalkit.expressions").evaluate(text, CONTEXT) == expected

    @pytest.mark.parametrize(
        "text", ["hashFiles('x')", "matrix.absent", "'open", "a b", "(runner.os", "==", "1"]
    )
    def test_an_expression_that_is_not_understood_raises(self, text):
        with pytest.raises(ReleaseError):
            load("rehearsalkit.expressions").evaluate(text, CONTEXT)

    def test_fill_writes_truth_as_github_does(self):
        fill = load("rehearsalkit.expressions").fill
        text = "a ${{ matrix.word }} ${{ !github.event.repository.private }}"
        assert fill(text, CONTEXT) == "a linux true"

    def test_conditions_may_have_braces_or_none_and_be_empty(self):
        is_true = load("rehearsalkit.expressions").is_true
        assert is_true("${{ runner.os == 'Linux' }}", CONTEXT)
        assert not is_true("runner.os == 'macOS'", CONTEXT)
        assert is_true("", CONTEXT)


class TestOfTheRelease:
    """What the rehearsal knows fits the workflow: a step that was renamed there would be missed."""

    def jobs(self):
        return {job.key: job for job in load("rehearsalkit.workflow").read(RELEASE).jobs}

    def test_jobs_come_after_those_that_they_need(self):
        order = list(self.jobs())
        for before, after in [("build", "verify"), ("verify", "assemble"), ("assemble", "publish")]:
            assert order.index(before) < order.index(after)
        assert [key for key, job in self.jobs().items() if job.publishes] == ["publish", "pypi"]

    @pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.label)
    def test_all_expressions_and_actions_of_played_jobs_are_understood(self, target):
        workflow, expressions = load("rehearsalkit.workflow"), load("rehearsalkit.expressions")
        doubles = {"checkout", "setup-python", "upload-artifact", "download-artifact"}
        for job in workflow.read(RELEASE).jobs:
            entries = [one for one in job.entries if one.get("label", "") in ("", target.label)]
            for entry in () if job.publishes else entries:
                context = {
                    "github": CONTEXT["github"] | {"ref_name": "v1.0.0", "workspace": "/w"},
                    "matrix": entry,
                    "needs": {"version": {"outputs": {"version": "1.0.0"}}},
                    "runner": {"os": SYSTEMS[target.system]},
                    "steps": {"version": {"outputs": {"version": "1.0.0"}}},
                }
                for step in job.steps:
                    expressions.is_true(step.condition, context)
                    texts = (step.run, *step.options.values(), *step.environment.values())
                    for text in texts:
                        assert "${{" not in expressions.fill(str(text), context)
                    assert not step.uses or step.action.removeprefix("actions/") in doubles

    def test_every_stand_in_is_for_a_step_that_there_is(self, monkeypatch, tmp_path):
        machine = load("rehearsalkit.machine")
        monkeypatch.setattr(machine, "has_engine", lambda: False)
        monkeypatch.setattr(machine.sys, "platform", "linux")
        monkeypatch.setattr(machine.platform, "machine", lambda: "x86_64")
        program = tmp_path / "dunena-linux-x64"
        program.write_text("#!/bin/sh\necho dunena 0.0.1\n")
        program.chmod(0o755)
        for suffix in (".tar.gz", "-folder.tar.gz"):
            (tmp_path / f"dunena-linux-x64{suffix}").touch()
        plans = [
            machine.look_at(is_pure=True, existing=None, checkout=ROOT, version="1.0.0"),
        ]
        if sys.platform != "win32":
            given = {"existing": tmp_path, "checkout": ROOT, "version": "1.0.0"}
            plans.append(machine.look_at(is_pure=True, **given))
            assert ("verify", "Test the single file") in plans[-1].steps
        jobs = self.jobs()
        for plan in plans:
            assert plan.jobs.keys() <= jobs.keys()
            for key, name in plan.steps:
                assert name in {step.name for step in jobs[key].steps}
            names = {step.name for job in jobs.values() for step in job.steps}
            assert plan.forced <= names

    def test_every_step_with_containers_has_a_stand_in_without_an_engine(self, monkeypatch):
        machine = load("rehearsalkit.machine")
        monkeypatch.setattr(machine, "has_engine", lambda: False)
        monkeypatch.setattr(machine.sys, "platform", "linux")
        monkeypatch.setattr(machine.platform, "machine", lambda: "x86_64")
        plan = machine.look_at(is_pure=False, existing=None, checkout=ROOT, version="1.0.0")
        steps = {
            (job.key, step.name)
            for job in self.jobs().values()
            if job.key not in plan.jobs
            for step in job.steps
            if re.search(r"\bdocker (run|build)\b", step.run)
        }
        assert ("build", "Build in an old Linux") in steps
        assert steps <= plan.steps.keys()
        for key in steps:
            assert "docker " not in plan.steps[key].script

    def test_the_test_that_a_pure_executable_fails_is_there_to_be_left_out(self):
        path, _, name = load("rehearsalkit.machine")._OF_COMPILED.partition("::")
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8")

    @pytest.mark.parametrize(
        ("output", "reason"),
        [
            ("one\ntwo\n\n", "two"),
            ("FAILED test_x - assert 1\n=== 1 failed ===\n", "FAILED test_x - assert 1"),
            ("", ""),
        ],
    )
    def test_the_reason_of_a_failure_is_the_line_that_says_most(self, output, reason):
        assert load("rehearsalkit.player")._reason(output) == reason

    def test_an_existing_executable_that_is_missing_raises(self, monkeypatch, tmp_path):
        machine = load("rehearsalkit.machine")
        monkeypatch.setattr(machine, "has_engine", lambda: False)
        with pytest.raises(ReleaseError, match="lacks dunena-"):
            machine.look_at(is_pure=False, existing=tmp_path, checkout=ROOT, version="1.0.0")


class TestArtifacts:
    @pytest.fixture
    def artifacts(self, tmp_path):
        return load("rehearsalkit.actions").Artifacts(tmp_path / "artifacts")

    @pytest.fixture
    def clone(self, tmp_path):
        for name in ("dist/one", "dist/two", "manifests/a/b/three", "notes.md"):
            path = tmp_path / "clone" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
        return tmp_path / "clone"

    def names(self, folder):
        found = (path for path in folder.rglob("*") if path.is_file())
        return sorted(path.relative_to(folder).as_posix() for path in found)

    def test_an_artifact_begins_below_what_its_paths_have_in_common(self, artifacts, clone):
        artifacts.upload(clone, {"name": "x", "path": "dist/*"})
        assert self.names(artifacts.path("x")) == ["one", "two"]
        artifacts.upload(clone, {"name": "y", "path": "dist/*\nnotes.md\nmanifests/**\n"})
        expected = ["dist/one", "dist/two", "manifests/a/b/three", "notes.md"]
        assert self.names(artifacts.path("y")) == expected

    @pytest.mark.skipif(sys.platform == "win32", reason="there is no such right")
    def test_an_upload_loses_the_right_to_be_run(self, artifacts, clone):
        (clone / "dist" / "one").chmod(0o755)
        artifacts.upload(clone, {"name": "x", "path": "dist/*"})
        assert not os.access(artifacts.path("x") / "one", os.X_OK)

    def test_an_artifact_without_files_raises(self, artifacts, clone):
        with pytest.raises(ReleaseError, match="no file"):
            artifacts.upload(clone, {"name": "x", "path": "other/*"})

    def test_downloads_take_one_artifact_or_all_of_a_pattern(self, artifacts, clone):
        for name in ("a-1", "a-2"):
            (clone / "dist" / name).write_text(name)
            artifacts.upload(clone, {"name": name, "path": f"dist/{name}"})
        assert artifacts.download(clone, {"pattern": "a-*", "path": "all"})
        assert self.names(clone / "all") == ["a-1", "a-2"]
        assert artifacts.download(clone, {"name": "a-1", "path": "one"})
        assert self.names(clone / "one") == ["a-1"]

    def test_only_an_artifact_that_was_left_out_may_be_missing(self, artifacts, clone):
        with pytest.raises(ReleaseError, match="there is no artifact a"):
            artifacts.download(clone, {"name": "a"})
        artifacts.leave_out("a")
        assert not artifacts.download(clone, {"name": "a"})


WORKFLOW = """\
env: {WHO: all}
jobs:
  last:
    name: Last
    needs: first
    permissions: {contents: read}
    env: {TAG: "v${{ needs.first.outputs.version }}"}
    steps:
      - {name: Check out, uses: actions/checkout@1 }
      - {name: Get it, uses: actions/download-artifact@1, with: {name: made, path: dist}}
      - {name: Look, run: 'test "$(cat dist/file)" = "$TAG for $WHO"'}
      - {name: Keep it, uses: actions/upload-artifact@1, with: {name: release, path: dist/*}}
  first:
    name: Build for ${{ matrix.label }}
    permissions: {contents: read}
    strategy: {matrix: {include: [{label: LABEL}, {label: another}]}}
    outputs: {version: "${{ steps.version.outputs.version }}"}
    steps:
      - {name: Check out, uses: actions/checkout@1 }
      - {name: Never, if: github.event_name == 'other', run: exit 1}
      - {name: Ask, id: version, env: {TAG: "${{ github.ref_name }}"}, run: 'FIRST'}
      - {name: Make, run: 'mkdir dist && echo "$TAG for $WHO" > dist/file'}
      - {name: Keep, uses: actions/upload-artifact@1, with: {name: made, path: dist/*}}
  publish:
    name: Publish it
    needs: last
    permissions: {contents: write}
    steps: [{name: Publish, run: touch published}]
"""
FIRST = (
    'grep -q "$TAG" CHANGELOG.md || echo "version=${TAG#v}" >> "$GITHUB_OUTPUT"; '
    'echo "TAG=$TAG" >> "$GITHUB_ENV"'
)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with a workflow of its own, which the command takes for this one."""
    commands, machine = load("rehearsalkit.commands"), load("rehearsalkit.machine")
    label = load("packkit.choice").host_label(sys.platform, machine.platform.machine())
    folder = tmp_path / "checkout"
    files = {
        "dunena/__init__.py": '__version__ = "0.1.0"\n',
        "packaging/cluster/helm/dunena/Chart.yaml": 'version: 0.1.0\nappVersion: "0.1.0"\n',
        "CHANGELOG.md": "# Changelog\n\n## Unreleased\n\nThe first one.\n",
        commands.WORKFLOW: WORKFLOW.replace("LABEL", label).replace("FIRST", FIRST),
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, newline="\n")
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@invalid"]
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "First"], check=True)
    monkeypatch.setattr(commands, "ROOT", folder)
    monkeypatch.setattr(machine, "has_engine", lambda: True)
    return folder


def status(folder):
    command = ["git", "-C", str(folder), "status", "--porcelain", "--branch"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(sys.platform == "win32", reason="its bash may be that of a Linux in it")
class TestCommand:
    def rehearse(self, run, tmp_path, *words):
        return run("rehearse", "1.0.0", "--work", tmp_path / "work", *words)

    def edit(self, checkout, old, new):
        path = checkout / load("rehearsalkit.commands").WORKFLOW
        path.write_text(path.read_text().replace(old, new))
        git = ["git", "-C", str(checkout), "-c", "user.name=a", "-c", "user.email=a@invalid"]
        subprocess.run([*git, "commit", "--quiet", "--all", "--message", "Next"], check=True)

    def test_a_rehearsal_plays_all_but_what_publishes(self, run, tmp_path, checkout):
        before = status(checkout)
        code, out, err = self.rehearse(run, tmp_path)
        assert (code, err) == (0, "")
        assert "What a tag would publish, of this machine (1 files)" in out
        assert "Only the workflow does this\n  Build for another\n  Publish it\n" in out
        assert out.splitlines()[-1].startswith("rehearse: 1.0.0 went through in ")
        assert not list(tmp_path.rglob("published"))
        assert status(checkout) == before
        assert "0.1.0" in (checkout / "dunena" / "__init__.py").read_text()
        assert "## 1.0.0 (20" in (tmp_path / "work/checkout/CHANGELOG.md").read_text()

    def test_a_failed_step_is_one_sentence_with_the_place_of_its_output(
        self, run, tmp_path, checkout
    ):
        self.edit(checkout, 'test "$(cat', 'echo no luck; test "other$(cat')
        code, out, err = self.rehearse(run, tmp_path)
        assert code == 1
        log = tmp_path / "work" / "logs" / "last-1.log"
        assert err == f"release: last > Look failed: no luck (all of its output: {log})\n"
        assert "FAILED" in out
        assert log.read_text() == "no luck\n"

    def test_what_is_left_out_is_said_loudly_and_has_an_exit_code(
        self, run, tmp_path, checkout, monkeypatch
    ):
        machine = load("rehearsalkit.machine")
        stand_in = machine.StandIn("no luck", 'mkdir dist && echo "$TAG for $WHO" > dist/file')
        plan = machine.look_at(is_pure=False, existing=None, checkout=checkout, version="1.0.0")
        plan.steps["first", "Make"] = stand_in
        plan.steps["last", "Look"] = machine.StandIn("no eyes")
        monkeypatch.setattr(machine, "look_at", lambda **_: plan)
        code, out, _ = self.rehearse(run, tmp_path)
        assert code == load("rehearsalkit.commands").EXIT_LACKING == 3
        assert "NOT REHEARSED" in out
        assert "  first > Make: no luck\n  last > Look: no eyes\n" in out
        assert "but for the 2 lines above" in out.splitlines()[-1]

    def test_a_job_that_is_left_out_takes_its_artifacts_along(
        self, run, tmp_path, checkout, monkeypatch
    ):
        machine = load("rehearsalkit.machine")
        plan = machine.look_at(is_pure=False, existing=None, checkout=checkout, version="1.0.0")
        plan.jobs["first"] = "no room"
        self.edit(checkout, "v${{ needs.first.outputs.version }}", "none")
        self.edit(
            checkout, """'test "$(cat dist/file)" = "$TAG for $WHO"'""", "mkdir dist; :>dist/x"
        )
        monkeypatch.setattr(machine, "look_at", lambda **_: plan)
        code, out, err = self.rehearse(run, tmp_path)
        assert (code, err) == (3, "")
        assert "  first: no room\n  last > Get it: the job that makes it was left out\n" in out

    def test_an_unknown_action_fails(self, run, tmp_path, checkout):
        self.edit(checkout, "actions/download-artifact@1", "someone/thing@1")
        assert "no double of someone/thing" in self.rehearse(run, tmp_path)[2]

    def test_uncommitted_changes_are_mentioned(self, run, tmp_path, checkout):
        (checkout / "more.txt").touch()
        assert "WITHOUT the uncommitted changes of 1 files" in self.rehearse(run, tmp_path)[1]

    def test_a_version_that_cannot_be_released_fails_before_anything_is_built(
        self, run, tmp_path, checkout
    ):
        code, _, err = run("rehearse", "1.0", "--work", tmp_path / "work")
        assert code == 1
        assert "1.0 is no version" in err
        assert run("rehearse", "1.0.0", "--work", checkout)[0] == 1


class TestPrepare:
    def test_prepare_writes_the_version_everywhere_and_the_changelog(self, checkout):
        prepare = load("releasekit.preparation").prepare
        prepare(checkout, "1.0.0", "2026-11-30")
        assert (checkout / "dunena/__init__.py").read_text() == '__version__ = "1.0.0"\n'
        chart = (checkout / "packaging/cluster/helm/dunena/Chart.yaml").read_text()
        assert chart == 'version: 1.0.0\nappVersion: "1.0.0"\n'
        changelog = "# Changelog\n\n## 1.0.0 (2026-11-30)\n\nThe first one.\n"
        assert (checkout / "CHANGELOG.md").read_text() == changelog
        prepare(checkout, "1.0.0", "2026-12-01")
        assert (checkout / "CHANGELOG.md").read_text() == changelog

    @pytest.mark.parametrize(
        ("name", "text", "reason"),
        [
            ("CHANGELOG.md", "# Changelog\n", "no section 1.0.0"),
            ("CHANGELOG.md", "## Unreleased\n", "section 1.0.0 is empty"),
            ("dunena/__init__.py", "", "0 times instead of once"),
        ],
    )
    def test_prepare_changes_nothing_when_no_release_can_come_of_it(
        self, checkout, name, text, reason
    ):
        (checkout / name).write_text(text)
        before = {path: path.read_bytes() for path in checkout.rglob("*") if path.is_file()}
        with pytest.raises(ReleaseError, match=reason):
            load("releasekit.preparation").prepare(checkout, "1.0.0", "2026-11-30")
        assert before == {path: path.read_bytes() for path in checkout.rglob("*") if path.is_file()}

    def test_this_checkout_can_be_prepared(self, tmp_path):
        preparation = load("releasekit.preparation")
        for name in (preparation.PACKAGE, preparation.CHART, preparation.CHANGELOG):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes((ROOT / name).read_bytes())
        assert len(preparation.prepare(tmp_path, "99.0.0", "2099-01-01")) == 3


class TestCompare:
    def test_equal_folders_pass_and_others_say_where_they_differ(self, run, tmp_path):
        one, other = tmp_path / "one", tmp_path / "other"
        for folder in (one, other):
            folder.mkdir()
            (folder / "a").write_bytes(b"same")
        (other / "more").touch()
        assert run("compare", one, other) == (0, "a is the same in both\n", "")
        (other / "a").write_bytes(b"sane")
        assert "4 and 4 bytes, different from byte 2 on" in run("compare", one, other)[2]
        (other / "a").unlink()
        assert "a is missing" in run("compare", one, other)[2]
        (one / "a").unlink()
        assert "nothing to compare" in run("compare", one, other)[2]


def test_the_transcript_has_a_line_for_each_step():
    transcript = load("rehearsalkit.transcript").Transcript(io.StringIO())
    transcript.begin("Build")
    transcript.done("Make", 1.25)
    transcript.done_instead("build", "Look", 2, "no eyes")
    transcript.end("1.0.0", 61, [])
    text = transcript.output.getvalue()
    assert "\nBuild\n  ok           1.2 s  Make\n  INSTEAD      2.0 s  Look\n" in text
    assert text.endswith("rehearse: 1.0.0 went through in 1 min 1 s, but for the 1 lines above\n")


@pytest.mark.timeout(3600)
@pytest.mark.skipif("DUNENA_REHEARSAL" not in os.environ, reason="DUNENA_REHEARSAL=1.0.0 runs it")
def test_this_checkout_can_be_rehearsed(tmp_path):
    version = os.environ["DUNENA_REHEARSAL"]
    command = [sys.executable, "build/release.py", "rehearse", version]
    folder = Path(tmp_path, "work")
    done = subprocess.run([*command, "--work", folder], cwd=ROOT, check=False)
    assert done.returncode in (0, 3)
    names = {path.name for path in (folder / "artifacts" / "release" / "dist").iterdir()}
    assert {"SHA2-256SUMS", "THIRD_PARTY_LICENSES.txt", "dunena-python.cdx.json"} <= names
