"""dunena's JavaScript client in a Node process, told line by line what to do."""

import json
import shutil
import subprocess
from itertools import count
from pathlib import Path
from typing import Any, Self

import dunena

CLIENT = Path(dunena.__file__).parent / "web" / "client"

_PROGRAM = """
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { connect, DunenaError } = await import("./dunena.mjs");
const { WebSocket } = createRequire(process.argv[2] + "/")("ws");
const say = (message) => console.log(JSON.stringify(message));
const AsyncFunction = (async () => {}).constructor;

async function until(isSo) {
  const end = Date.now() + 25_000;
  while (!isSo()) {
    if (Date.now() > end) throw new Error(`not so after 25 s: ${isSo}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

// Of the timers that are set after it is called; the clock goes on as it does.
function hasten(factor) {
  for (const name of ["setTimeout", "setInterval"]) {
    const set = globalThis[name];
    globalThis[name] = (action, ms, ...more) => set(action, ms / factor, ...more);
  }
}

const tools = { connect, DunenaError, WebSocket, until, hasten, state: {} };
for await (const line of createInterface({ input: process.stdin })) {
  const { id, code } = JSON.parse(line);
  new AsyncFunction(...Object.keys(tools), code)(...Object.values(tools)).then(
    (value) => say({ id, value: value ?? null }),
    (error) => say({ id, name: error.name, error: error.message }),
  );
}
process.exit();
"""


class ScriptError(Exception):
    """What a piece of JavaScript threw: its name and message."""


class NodeClient:
    """A Node process with the client loaded.

    Code sees ``connect``, ``DunenaError``, ``WebSocket`` (of the package `ws`), ``until(isSo)``,
    ``hasten(factor)``, after which timers of the process take so many times less, and ``state``,
    an object that lives as long as the process.
    """

    def __init__(self, node: Path, node_modules: Path, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(CLIENT / "dunena.js", folder / "dunena.mjs")
        program = folder / "program.mjs"
        program.write_text(_PROGRAM, encoding="utf-8")
        self._ids = count(1)
        self._process = subprocess.Popen(
            [node, program, node_modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def run(self, code: str) -> Any:
        """The value that a piece of an async function returns; raise `ScriptError` for a throw."""
        process, wanted = self._process, next(self._ids)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"id": wanted, "code": code}) + "\n")
        process.stdin.flush()
        message = json.loads(process.stdout.readline())
        while message["id"] < wanted:  # of a test that ran out of time
            message = json.loads(process.stdout.readline())
        assert message["id"] == wanted
        if "error" in message:
            raise ScriptError(f"{message['name']}: {message['error']}")
        return message["value"]

    def signal(self, number: int) -> None:
        """Send the process a signal."""
        self._process.send_signal(number)

    def connect(self, url: str, options: str = "") -> None:
        """Make ``state.store``, whose complaints gather in ``state.errors``."""
        self.run(
            f"""state.errors = [];
            const onError = (error) => state.errors.push(error.message);
            state.store = connect({json.dumps(url)}, {{ WebSocket, onError, {options} }});"""
        )

    def open(self, url: str, options: str = "") -> None:
        """The same, and wait for the connection."""
        self.connect(url, options)
        self.run("await until(() => state.store.status === 'open')")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.kill()
        self._process.wait()
