"""The hot modules as machine code: what makes a wheel with extension modules in it.

hatchling runs this for every wheel. It does nothing unless DUNENA_COMPILE=1 asks for it: then mypyc
turns the modules that pyproject.toml lists into C and setuptools finds a compiler for that. The
sources are in such a wheel too; without the extension modules beside them it is pure Python again.

Everything happens in a temporary folder, on a copy: an extension module that was left in the
checkout would hide its edited source. And under relative names, so that no path of this machine
gets into the files and the same sources make the same bytes.

Run as a program it is the second half of itself: `compile_hook.py MODULE...`, with the copy as
current folder. In a process of its own, as mypyc and setuptools end theirs when they fail.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

VARIABLE = "DUNENA_COMPILE"

GROUP = "dunena.native"
"""All code is in one library, `dunena/native__mypyc`; each module is a small door to it."""

_MADE = "made"
_SETTINGS = "settings.toml"
_ENDINGS = (".so", ".pyd")

# After mypyc's own: without paths in debug information, the names of functions kept inside (calls
# between them are then direct), and with warnings of a compiler that it does not know yet let pass.
_UNIX_FLAGS = ("-g0", "-fvisibility=hidden", "-Wno-error")


_FAILED = (
    "error: the modules could not be compiled; the reason stands above. "
    f"Without {VARIABLE} the wheel is pure Python and needs no compiler."
)


def is_asked_for(environ: Mapping[str, str]) -> bool:
    """Whether the wheel shall hold compiled modules."""
    return environ.get(VARIABLE, "") not in ("", "0")


def compile_modules(root: Path, modules: Sequence[str], work: Path) -> dict[str, Path]:
    """Compile modules of the package in `root` in the empty folder `work`.

    Both are named by paths with slashes, below `root`: the answer is the files made, by the place
    they belong to. Raises CalledProcessError when a compiler fails; it has said why by then.
    """
    ignored = shutil.ignore_patterns("__pycache__", *(f"*{ending}" for ending in _ENDINGS))
    shutil.copytree(root / "dunena", work / "dunena", ignore=ignored)
    # How strictly mypy is to read them; under its own name setuptools would want to understand it.
    shutil.copyfile(root / "pyproject.toml", work / _SETTINGS)
    # What mypyc writes has the order of its sets.
    environ = {**os.environ, "PYTHONHASHSEED": "0"}
    command = [sys.executable, str(Path(__file__).resolve()), *modules]
    subprocess.run(command, cwd=work, env=environ, stdout=sys.stderr, check=True)
    made = work / _MADE
    return {
        path.relative_to(made).as_posix(): path
        for path in sorted(made.rglob("*"))
        if path.suffix in _ENDINGS
    }


def _compile_here(modules: list[str]) -> None:
    from mypyc.build import mypycify
    from setuptools import Extension, setup

    extensions = mypycify(
        ["--no-incremental", "--config-file", _SETTINGS, *modules],
        opt_level="3",
        debug_level="0",
        group_name=GROUP,
        target_dir="c",
    )
    extensions.append(Extension("dunena._unmasking", ["dunena/_unmasking.c"]))
    extensions.append(Extension("dunena.store._plain_json", ["dunena/store/_plain_json.c"]))
    if sys.platform != "win32":
        extensions.append(
            Extension(
                "dunena.server.sockets._system_calls", ["dunena/server/sockets/_system_calls.c"]
            )
        )
    for extension in extensions:
        if sys.platform != "win32":
            extension.extra_compile_args = [*extension.extra_compile_args, *_UNIX_FLAGS]
        if sys.platform == "linux":
            extension.extra_link_args = ["-Wl,--strip-all"]
    folders = ["--build-lib", _MADE, "--build-temp", "objects"]
    setup(name="dunena", ext_modules=extensions, script_args=["--quiet", "build_ext", *folders])


if __name__ == "__main__":
    _compile_here(sys.argv[1:])
else:
    from hatchling.builders.config import BuilderConfig
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface

    class CompileHook(BuildHookInterface[BuilderConfig]):
        """What hatchling calls. An installation in place stays pure: there, sources are edited."""

        PLUGIN_NAME = "custom"

        _work: "TemporaryDirectory[str] | None" = None

        def dependencies(self) -> list[str]:
            """What is needed for building: the compiler, and what the sources take types from."""
            if not is_asked_for(os.environ):
                return []
            return [*self.config["requires"], *self.metadata.core.dependencies]

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            """Compile, and have the result put into the wheel."""
            if version == "editable" or not is_asked_for(os.environ):
                return
            self._work = TemporaryDirectory(prefix="dunena-compile-")
            modules: list[str] = self.config["modules"]
            try:
                made = compile_modules(Path(self.root), modules, Path(self._work.name))
            except subprocess.CalledProcessError:
                self.app.abort(_FAILED)
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
            build_data["force_include"] |= {str(path): place for place, path in made.items()}

        def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
            """The wheel is written."""
            if self._work is not None:
                self._work.cleanup()
