"""The command `build/release.py rehearse`."""

import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from devkit.requirements import ROOT
from releasekit import preparation
from releasekit.errors import ReleaseError

from rehearsalkit import machine, workflow
from rehearsalkit.player import Player
from rehearsalkit.transcript import Transcript

WORKFLOW = ".github/workflows/release.yml"
EXIT_LACKING = 3
"""All went through, but for what the transcript's end says was not rehearsed."""


def run(
    version: str, repository: str, *, is_pure: bool, existing: Path | None, work: Path | None
) -> int:
    """Rehearse the release of a version; the exit code is 0 or EXIT_LACKING.

    `repository` is `owner/name`. Raises ReleaseError with one line at the step that failed; then
    its folder stays, with the output of every step.
    """
    begun, transcript = time.monotonic(), Transcript()
    here = machine.look_at(is_pure=is_pure, existing=existing, checkout=ROOT, version=version)
    folder = (work or Path(tempfile.mkdtemp(prefix="dunena-rehearsal-"))).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ReleaseError(f"{folder} is not empty")
    clone = folder / "checkout"
    commit = copy_checkout(clone)
    transcript.say(f"Rehearsal of {version}, from commit {commit}, in {folder}")
    transcript.say(f"on {here.label}, with Python {sys.version.split()[0]}")
    changed = _git(ROOT, "status", "--porcelain").splitlines()
    if changed:
        transcript.say(f"WITHOUT the uncommitted changes of {len(changed)} files")
    _tag(clone, version)
    github = {
        "event_name": "push",
        "ref_name": f"v{version}",
        "repository": repository,
        "workspace": str(clone),
        "event": {"repository": {"private": False}},
    }
    # That of the clone: what is committed counts.
    plan = workflow.read(clone / WORKFLOW)
    player = Player(plan, clone, folder, here, github, transcript)
    for job in plan.jobs:
        player.play(job)
    transcript.end(version, time.monotonic() - begun, _published(player.artifacts.path("release")))
    if work is None:
        shutil.rmtree(folder, ignore_errors=True)
    return EXIT_LACKING if transcript.lacking else 0


def copy_checkout(clone: Path) -> str:
    """Clone what is committed in the checkout; the short name of the commit."""
    _git(ROOT, "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone))
    # The branch that is checked out, which may be none.
    commit = _git(ROOT, "rev-parse", "HEAD")
    _git(clone, "checkout", "--quiet", "--detach", commit)
    return commit[:8]


def _tag(clone: Path, version: str) -> None:
    """Make the commit and the tag of a release, as CONTRIBUTING.md says it is done."""
    files = preparation.prepare(clone, version, datetime.now(UTC).date().isoformat())
    identity = ["-c", "user.name=rehearsal", "-c", "user.email=rehearsal@invalid"]
    unsigned = ["-c", "commit.gpgSign=false", "-c", "tag.gpgSign=false"]
    if _git(clone, "status", "--porcelain"):
        _git(clone, "add", *map(str, files))
        _git(clone, *identity, *unsigned, "commit", "--quiet", "--message", f"Release {version}")
    _git(clone, *identity, *unsigned, "tag", "--force", f"v{version}")


def _published(folder: Path) -> list[str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    width = max((len(path.relative_to(folder).as_posix()) for path in files), default=0)
    return [
        f"{path.relative_to(folder).as_posix():<{width}} {path.stat().st_size:>12,} bytes"
        for path in files
    ]


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ReleaseError(f"git {words[0]} failed: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout.strip()
