"""A job of the workflow, played step by step in the clone."""

import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from releasekit.errors import ReleaseError

from rehearsalkit import actions
from rehearsalkit.expressions import fill, is_true
from rehearsalkit.machine import Machine, StandIn
from rehearsalkit.transcript import Transcript
from rehearsalkit.workflow import Job, Step, Workflow

# What belongs to whoever runs this and not to a job: other Pythons, and another run on GitHub.
_UNWANTED = ("VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")

# As GitHub starts bash where the workflow asks for it.
_SHELLS = {
    "": ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c"],
    "pwsh": ["pwsh", "-command"],
}


@dataclass(slots=True)
class Player:
    """Plays jobs. `clone` is the checkout that they get, `work` the folder of everything else."""

    workflow: Workflow
    clone: Path
    work: Path
    machine: Machine
    github: Mapping[str, Any]
    transcript: Transcript
    artifacts: actions.Artifacts = field(init=False)
    outputs: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.artifacts = actions.Artifacts(self.work / "artifacts")
        (self.work / "logs").mkdir(parents=True, exist_ok=True)

    def play(self, job: Job) -> None:
        """Play a job for this machine, unless it publishes or cannot be done here.

        Raises ReleaseError with one line at the first step that fails.
        """
        if job.publishes:
            self.transcript.only_there(job.title)
            return
        entry = self._choose_entry(job)
        if entry is None:
            return
        context = self._context(entry)
        self.transcript.begin(fill(job.title, context))
        reason = self.machine.jobs.get(job.key)
        if reason is not None:
            self.transcript.left_out(job.key, "", reason)
            for step in job.steps:
                if step.action == "actions/upload-artifact":
                    self.artifacts.leave_out(fill(str(step.options["name"]), context))
            return
        _JobPlay(self, job, context).run()
        self.outputs[job.key] = {
            "outputs": {name: fill(text, context) for name, text in job.outputs.items()}
        }

    def _choose_entry(self, job: Job) -> Mapping[str, Any] | None:
        """The entry of the matrix that is for this machine."""
        chosen = None
        for entry in job.entries:
            if entry.get("label", self.machine.label) == self.machine.label:
                chosen = entry
            else:
                self.transcript.only_there(fill(job.title, {"matrix": entry}))
        return chosen

    def _context(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "github": self.github,
            "matrix": entry,
            "needs": self.outputs,
            "runner": {"os": self.machine.system},
            "steps": {},
        }


class _JobPlay:
    """One job as it goes: what its steps hand on to later ones."""

    __slots__ = ("_context", "_environment", "_job", "_number", "_player")

    def __init__(self, player: Player, job: Job, context: dict[str, Any]) -> None:
        self._player, self._job, self._context = player, job, context
        self._number = 0
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in _UNWANTED and not name.startswith("GITHUB_")
        }
        own = {**player.workflow.environment, **job.environment}
        self._environment = kept | player.machine.environment
        self._environment |= {name: fill(str(text), context) for name, text in own.items()}
        github = player.github
        self._environment |= {
            "CI": "true",
            "GITHUB_REPOSITORY": github["repository"],
            "GITHUB_WORKSPACE": github["workspace"],
        }

    def run(self) -> None:
        for step in self._job.steps:
            is_forced = step.name in self._player.machine.forced
            if is_forced or is_true(step.condition, self._context):
                self._play(step)

    def _play(self, step: Step) -> None:
        stand_in = self._player.machine.steps.get((self._job.key, step.name))
        say, begun = self._player.transcript, time.monotonic()
        if stand_in is not None and not stand_in.script:
            say.left_out(self._job.key, step.name, stand_in.reason)
            return
        try:
            is_done = self._use(step) if step.uses else self._run(step, stand_in)
        except (ReleaseError, OSError, subprocess.CalledProcessError) as error:
            say.failed(step.name, time.monotonic() - begun)
            raise ReleaseError(f"{self._job.key} > {step.name} failed: {error}") from error
        seconds = time.monotonic() - begun
        if not is_done:
            reason = "the job that makes it was left out"
            say.left_out(self._job.key, step.name, reason)
        elif stand_in is not None and stand_in.is_usual:
            say.done(f"{step.name}, {stand_in.reason}", seconds)
            say.only_there(f"{step.name}, as they will be published")
        elif stand_in is not None:
            say.done_instead(self._job.key, step.name, seconds, stand_in.reason)
        else:
            say.done(step.name, seconds)

    def _use(self, step: Step) -> bool:
        """Let the double of an action do its work; False when there was nothing to do it with."""
        clone, artifacts = self._player.clone, self._player.artifacts
        options = {name: fill(str(text), self._context) for name, text in step.options.items()}
        if step.action == "actions/checkout":
            actions.check_out(clone)
        elif step.action == "actions/setup-python":
            programs = actions.install_python(self._player.work / f"python-{self._job.key}")
            path = self._environment.get("PATH", "")
            self._environment["PATH"] = f"{programs}{os.pathsep}{path}"
        elif step.action == "actions/upload-artifact":
            artifacts.upload(clone, options)
        elif step.action == "actions/download-artifact":
            return artifacts.download(clone, options)
        else:
            raise ReleaseError(f"the rehearsal has no double of {step.action}")
        return True

    def _run(self, step: Step, stand_in: StandIn | None) -> bool:
        self._number += 1
        script = stand_in.script if stand_in else fill(step.run, self._context)
        stem = self._player.work / "logs" / f"{self._job.key}-{self._number}"
        files = {name: stem.with_suffix(f".{name}") for name in ("output", "env", "step_summary")}
        for path in files.values():
            path.touch()
        environment = dict(self._environment)
        environment |= {
            name: fill(str(text), self._context) for name, text in step.environment.items()
        }
        environment |= {f"GITHUB_{name.upper()}": str(path) for name, path in files.items()}
        log = stem.with_suffix(".log")
        with log.open("wb") as output:
            done = subprocess.run(
                [*_SHELLS[step.shell], script],
                cwd=self._player.clone,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode != 0:
            text = log.read_text(encoding="utf-8", errors="replace")
            reason = _reason(text) or f"exit code {done.returncode}"
            raise ReleaseError(f"{reason} (all of its output: {log})")
        self._environment |= _read_pairs(files["env"])
        if step.id:
            self._context["steps"][step.id] = {"outputs": _read_pairs(files["output"])}
        return True


def _reason(output: str) -> str:
    """The line of a failed step's output that says why: the last, or the last test that failed."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    failed = [line for line in lines if line.startswith("FAILED ")]
    return next(reversed(failed or lines), "")


def _read_pairs(path: Path) -> dict[str, str]:
    """The lines `name=value` that a step has written for later ones."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines)}
