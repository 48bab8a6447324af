"""Starts the installed dunena and asks it whether it runs compiled: `python -P try_wheel.py`.

With `--pure` it must not. Made for fresh environments with nothing but the wheel and what it needs,
as a release tries it.
"""

import json
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request


def main() -> None:
    """Exit with a line that says what is wrong, or with one that says what runs here."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-P", "-m", "dunena", "serve", "--port", "0"]
        server = subprocess.Popen(
            [*command, "--cache-dir", folder],
            stdout=subprocess.PIPE,
            text=True,
            # Windows can send a stop signal only to a process group of its own.
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        try:
            info = ask(server)
        finally:
            server.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))
            server.communicate(timeout=30)
    is_pure = sys.argv[1:] == ["--pure"]
    if bool(info["compiled"]) == is_pure:
        sys.exit(f"try_wheel: the hot modules are {'' if is_pure else 'not '}compiled")
    kind = "as pure Python" if is_pure else "compiled"
    sys.stdout.write(f"try_wheel: dunena {info['version']} runs {kind}\n")


def ask(server: "subprocess.Popen[str]") -> dict[str, object]:
    """What the server says of itself, at the address that it prints when it is ready."""
    assert server.stdout is not None
    for line in server.stdout:
        address = re.search(r"http://localhost:\d+", line)
        if address:
            with urllib.request.urlopen(f"{address[0]}/info", timeout=30) as answer:
                info: dict[str, object] = json.load(answer)
            return info
    sys.exit("try_wheel: the server ended")


if __name__ == "__main__":
    main()
