"""The types of the JavaScript client, checked by the TypeScript compiler."""

import re
import shutil
import subprocess
from pathlib import Path

from tests.support.documents import blocks
from tests.support.node_client import CLIENT

USAGE = Path(__file__).parent / "usage.ts"
ROOT = Path(__file__).parents[2]


def test_the_typescript_types_accept_the_sample_code(
    typescript: Path, node: Path, tmp_path: Path
) -> None:
    shutil.copyfile(CLIENT / "dunena.d.ts", tmp_path / "dunena.d.ts")
    shutil.copyfile(USAGE, tmp_path / "usage.ts")
    options = ["--strict", "--noEmit", "--noUncheckedIndexedAccess", "--target", "es2022"]
    options += ["--module", "esnext", "--moduleResolution", "bundler", "--lib", "es2022,dom"]
    assert compiled([node, typescript, *options, "usage.ts"], tmp_path) == (0, "")


def test_the_types_of_a_page_are_found_with_the_settings_of_the_document(
    typescript: Path, node: Path, tmp_path: Path
) -> None:
    (settings,) = blocks("docs/client.md", "json")
    (tmp_path / "tsconfig.json").write_text(settings, "utf-8")
    shutil.copyfile(CLIENT / "dunena.d.ts", tmp_path / "dunena.d.ts")
    code = 'import { connect } from "/dunena.js";\nconst score: {} = connect().get("a", { n: 1 });'
    (tmp_path / "page.ts").write_text(code, "utf-8")
    status, output = compiled([node, typescript, "--noEmit"], tmp_path)
    assert status != 0
    assert "'n' does not exist in type" in output, "it knows the types of the calls"
    assert "/dunena.js" not in output


def compiled(command: list[str | Path], folder: Path) -> tuple[int, str]:
    """Run the compiler; return its status and what it said."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_the_typescript_types_name_every_member_of_the_client() -> None:
    module = (CLIENT / "dunena.js").read_text("utf-8")
    store = module[module.index("\tconst store = {") : module.index("\topen();\n")]
    has = set(re.findall(r"^\t\t(?:async |get )?(\w+)\b", store, re.MULTILINE))
    types = (CLIENT / "dunena.d.ts").read_text("utf-8")
    interface = types[types.index("export interface Store {") :].partition("\n}\n")[0]
    named = set(re.findall(r"^  (?:readonly )?(\w+)\b(?=[<(:])", interface, re.MULTILINE))
    assert named == has
    assert {"get", "set", "watch", "status", "close"} <= named


def test_types_client_and_document_name_the_same_options_of_a_change() -> None:
    types = (CLIENT / "dunena.d.ts").read_text("utf-8")
    typed: set[str] = set()
    for name in ("Place", "WriteOptions", "ChangeOptions"):
        body = re.split(rf"interface {name}\b[^{{]*{{", types)[1].partition("\n}\n")[0]
        typed |= set(re.findall(r"^  (\w+)\?:", body, re.MULTILINE))
    module = (CLIENT / "dunena.js").read_text("utf-8")
    accepted = " ".join(
        re.findall(r"^const (?:WRITE|CHANGE) = [\"`](.*)[\"`];", module, re.MULTILINE)
    )
    document = (ROOT / "docs" / "client.md").read_text("utf-8")
    table = document.partition("those that change one key take the others too.")[2].split("\n\n")[1]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == typed
    assert {"ns", *accepted.replace("${WRITE}", "").split()} == typed


def test_types_and_client_name_the_same_options_of_connect_session_watch_and_operations() -> None:
    types = (CLIENT / "dunena.d.ts").read_text("utf-8")
    module = (CLIENT / "dunena.js").read_text("utf-8")

    def typed(name: str) -> set[str]:
        body = re.split(rf"(?:interface|type) {name}\b[^{{]*{{", types)[1].partition("\n}\n")[0]
        return set(re.findall(r"^  (\w+)\??:", body, re.MULTILINE))

    (names,) = re.findall(r'const names = "(.*)";', module)
    assert {"ns", *names.split()} == typed("Options")
    (names,) = re.findall(r'checked\("session", session, "(.*)"\)', module)
    assert set(names.split()) == typed("Session")
    (names,) = re.findall(r'checked\("watch", .*, "(.*)"\)', module)
    assert set(names.split()) == typed("WatchOptions") | {"key", "keys", "pattern"}
    (names,) = re.findall(r"^const OP = `\$\{CHANGE\} (.*)`;", module, re.MULTILINE)
    forms = types[types.index("export type Op =") : types.index("export interface OpResult")]
    own = set(re.findall(r"(\w+)\??: ", forms))
    assert {"ttl", *names.split()} == typed("OpOptions") | own, "ttl is one of all changes"
