"""A workflow of GitHub's, read from its file."""

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML


@dataclass(frozen=True, slots=True)
class Step:
    """A step: `run` is a script, or `uses` the name of an action with its settings `options`."""

    name: str
    run: str
    uses: str
    options: Mapping[str, Any]
    environment: Mapping[str, str]
    condition: str
    id: str
    shell: str

    @property
    def action(self) -> str:
        """The action without its version, such as `actions/checkout`."""
        return self.uses.partition("@")[0]


@dataclass(frozen=True, slots=True)
class Job:
    """A job; `entries` are those of its matrix, with one empty one where it has none."""

    key: str
    title: str
    entries: tuple[Mapping[str, Any], ...]
    steps: tuple[Step, ...]
    environment: Mapping[str, str]
    outputs: Mapping[str, str]
    publishes: bool


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow; its jobs in an order in which each comes after those that it needs."""

    jobs: tuple[Job, ...]
    environment: Mapping[str, str]


def read(path: Path) -> Workflow:
    """The workflow in a file, which the linters in the tests have looked at."""
    data = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    needs = {key: _as_list(job.get("needs", [])) for key, job in data["jobs"].items()}
    order = TopologicalSorter(needs).static_order()
    jobs = tuple(_read_job(key, data["jobs"][key]) for key in order)
    return Workflow(jobs, data.get("env", {}))


def _read_job(key: str, data: Mapping[str, Any]) -> Job:
    entries = data.get("strategy", {}).get("matrix", {}).get("include", [{}])
    return Job(
        key,
        data["name"],
        tuple(entries),
        tuple(_read_step(step) for step in data["steps"]),
        data.get("env", {}),
        data.get("outputs", {}),
        "write" in data["permissions"].values(),
    )


def _read_step(data: Mapping[str, Any]) -> Step:
    return Step(
        data["name"],
        data.get("run", ""),
        data.get("uses", ""),
        data.get("with", {}),
        data.get("env", {}),
        str(data.get("if", "")),
        data.get("id", ""),
        data.get("shell", ""),
    )


def _as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
