"""The promises of what is installed: downloads, Python package, image, services and chart."""

import json
import re
import tomllib
from pathlib import Path

from releasekit.targets import TARGETS

from surfacekit.facts import PART, Surface
from surfacekit.schemas import Reader

_IMAGE = "image"
_SERVICE_LINES = {
    "dunena.service": re.compile(
        r"^(ExecStart|EnvironmentFile|StateDirectory)=(.*)$", re.MULTILINE
    ),
    "dunena.plist": re.compile(r"<key>(Label)</key>\s*<string>(.*)</string>"),
    "dunena-service.xml": re.compile(r"<(id|executable|arguments)>(.*)</"),
}
"""What of a service file others rely on: its name, where it looks, where it keeps values."""


def surface(root: Path) -> Surface:
    """Return the promises of the files in the folder of the repository."""
    packaging = root / "packaging"
    found: Surface = {f"download{PART}{name}": {} for at in TARGETS for name in at.files}
    found |= _of_package(root / "pyproject.toml")
    found |= _of_image(packaging / "docker" / "Dockerfile")
    for name, lines in _SERVICE_LINES.items():
        found[f"service{PART}{name}"] = {}
        for key, value in lines.findall((packaging / "services" / name).read_text("utf-8")):
            found[f"service{PART}{name}{PART}{key}"] = {"is": value}
    chart = packaging / "cluster" / "helm" / "dunena" / "values.schema.json"
    schema = json.loads(chart.read_text("utf-8"))
    return found | Reader({}, is_given=True).read("chart", schema, is_required=False)


def _of_package(project: Path) -> Surface:
    described = tomllib.loads(project.read_text("utf-8"))["project"]
    (oldest,) = re.findall(r"^>=3\.(\d+)$", described["requires-python"])
    found: Surface = {f"package {described['name']}": {}}
    found[f"package {described['name']}{PART}Python 3"] = {"minimum": int(oldest)}
    extras = described["optional-dependencies"].keys() - {"test", "dev", "bench"}
    found |= {f"package {described['name']}{PART}[{extra}]": {} for extra in extras}
    return found | {f"program {name}": {} for name in described["scripts"]}


def _of_image(dockerfile: Path) -> Surface:
    """Return the promises of the last stage: what is in it for whoever runs it."""
    text = dockerfile.read_text("utf-8").replace("\\\n", " ")
    stage = text[text.rindex("\nFROM ") :]
    found: Surface = {_IMAGE: {}}
    for word in ("USER", "WORKDIR", "VOLUME", "EXPOSE", "ENTRYPOINT", "CMD"):
        (value,) = re.findall(rf"^{word} (.*)$", stage, re.MULTILINE)
        found[f"{_IMAGE}{PART}{word}"] = {"is": value}
    (variables,) = re.findall(r"^ENV (.*)$", stage, re.MULTILINE)
    for variable in variables.split():
        name, _, value = variable.partition("=")
        if name == "CACHE_DIR" or name.startswith("DUNENA_"):
            found[f"{_IMAGE}{PART}{name}"] = {"is": value}
    return found
