"""The types of the JavaScript client, checked by the TypeScript compiler."""

import re
import shutil
import subprocess
from pathlib import Path

from tests.support.node_client import CLIENT

USAGE = Path(__file__).parent / "usage.ts"


def test_the_typescript_types_accept_the_sample_code(
    typescript: Path, node: Path, tmp_path: Path
) -> None:
    shutil.copyfile(CLIENT / "dunena.d.ts", tmp_path / "dunena.d.ts")
    shutil.copyfile(USAGE, tmp_path / "usage.ts")
    options = ["--strict", "--noEmit", "--noUncheckedIndexedAccess", "--target", "es2022"]
    options += ["--module", "esnext", "--moduleResolution", "bundler", "--lib", "es2022,dom"]
    done = subprocess.run(
        [node, typescript, *options, "usage.ts"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_typescript_types_name_every_member_of_the_client() -> None:
    module = (CLIENT / "dunena.js").read_text("utf-8")
    store = module[module.index("\tconst store = {") : module.index("\topen();\n")]
    has = set(re.findall(r"^\t\t(?:async |get )?(\w+)\b", store, re.MULTILINE))
    types = (CLIENT / "dunena.d.ts").read_text("utf-8")
    interface = types[types.index("export interface Store {") :].partition("\n}\n")[0]
    named = set(re.findall(r"^  (?:readonly )?(\w+)\b(?=[<(:])", interface, re.MULTILINE))
    assert named == has
    assert {"get", "set", "watch", "status", "close"} <= named
