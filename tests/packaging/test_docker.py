"""The container image, checked without a container engine; ci.yml builds and runs it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.made_up import ROOT
from tests.support.server import ServerProcess

FOLDER = ROOT / "packaging" / "docker"
DOCKERFILE = (FOLDER / "Dockerfile").read_text(encoding="utf-8")


def instructions():
    """The last stage's instructions, by word."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE))
    last = joined.rpartition("FROM ")[2]
    found = {}
    for line in last.splitlines()[1:]:
        word, _, rest = line.partition(" ")
        found.setdefault(word, []).append(rest)
    return found


class TestDockerfile:
    def test_the_base_image_is_pinned_to_one_version(self):
        assert re.search(r"^ARG BASE=python:\d+\.\d+\.\d+-slim-\w+$", DOCKERFILE, re.MULTILINE)
        assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${BASE}"}

    def test_the_build_uses_the_package_manager_of_the_base(self):
        (line,) = re.findall(r"^RUN if command -v apk(?:.*\\\n)*.*$", DOCKERFILE, re.MULTILINE)
        alpine, _, debian = line.partition("else")
        assert re.search(r"apk add .*gcc musl-dev", alpine)
        assert re.search(r"apt-get install .*gcc libc6-dev", debian)

    def test_the_user_is_written_as_the_system_reads_it(self):
        added = {file: line for line, file in re.findall(r"echo '(.+)' >> (\S+)", DOCKERFILE)}
        assert added["/etc/group"].split(":") == ["dunena", "x", "10001", ""]
        name, password, *numbers, _, home, shell = added["/etc/passwd"].split(":")
        assert (name, password, numbers) == ("dunena", "x", ["10001", "10001"])
        assert (home, shell) == ("/data", "/sbin/nologin")

    def test_the_image_runs_as_a_numeric_user(self):
        assert instructions()["USER"] == ["10001:10001"]

    def test_values_are_kept_in_a_volume_owned_by_the_user(self):
        found = instructions()
        assert found["VOLUME"] == ["/data"]
        assert "CACHE_DIR=/data" in found["ENV"][0]
        assert any("-o 10001 -g 10001 /data" in line for line in found["RUN"])

    def test_programs_are_started_without_a_shell(self):
        found = instructions()
        for word in ("ENTRYPOINT", "CMD"):
            assert found[word][0].startswith("[")
        assert re.search(r'CMD \["python", "/opt/dunena/health.py"\]$', found["HEALTHCHECK"][0])

    def test_the_final_image_contains_no_build_tools(self):
        copies = instructions()["COPY"]
        assert "--from=build /opt/dunena /opt/dunena" in copies
        assert not any("pip" in line for line in instructions()["RUN"])

    def test_every_copied_file_exists_and_is_in_the_build_context(self):
        sent = (FOLDER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
        assert sent[2:][0] == "*"
        allowed = [line[1:] for line in sent if line.startswith("!")]
        copied = {
            word
            for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
            for word in line.split()
        }
        assert copied == set(allowed)
        assert all((ROOT / name).exists() for name in copied)


class TestHealth:
    def ask(self, *words, **environment):
        command = [sys.executable, "-I", FOLDER / "health.py", *words]
        # Without this one Windows has no sockets.
        environment |= {"SYSTEMROOT": os.environ.get("SYSTEMROOT", "")}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr
        return done.returncode

    def test_the_health_check_tells_a_running_server_from_a_stopped_one(self, tmp_path):
        with ServerProcess(tmp_path / "values") as server:
            assert self.ask(DUNENA_PORT=str(server.port)) == 0
            assert self.ask("ready", DUNENA_PORT=str(server.port)) == 0
        assert self.ask(DUNENA_PORT=str(server.port)) == 1

    def test_the_health_check_asks_whether_a_node_is_ready_if_it_is_told_to(self):
        with ServerProcess(None, "--store", "nats://127.0.0.1:9", "--bucket", "show") as server:
            assert self.ask(DUNENA_PORT=str(server.port)) == 0
            assert self.ask("ready", DUNENA_PORT=str(server.port)) == 1

    def test_the_health_check_needs_no_token_and_ignores_proxies(self, tmp_path):
        token = {"DUNENA_AUTH_TOKEN": "secret"}
        with ServerProcess(tmp_path / "values", environment=token) as server:
            proxy = "http://127.0.0.1:9"
            assert self.ask(DUNENA_PORT=str(server.port), http_proxy=proxy) == 0

    def test_the_health_check_works_for_a_server_on_all_addresses(self, tmp_path):
        with ServerProcess(tmp_path / "values", "--host", "0.0.0.0") as server:
            assert self.ask(DUNENA_PORT=str(server.port)) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="made for Linux containers")
class TestCleanRoom:
    """The script that runs in containers, tried outside of a container."""

    def run(self, program):
        command = ["bash", FOLDER / "clean-room.sh", program]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def test_the_clean_room_script_passes_a_working_server(self, tmp_path):
        program = tmp_path / "dunena"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m dunena "$@"\n')
        program.chmod(0o755)
        done = self.run(program)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "runs here" in done.stdout

    @pytest.mark.parametrize(
        ("script", "reason"),
        [
            ("exit 1", ""),
            ('[ "$1" = version ] || exit 3', "the server ended"),
            (
                '[ "$1" = version ] || { echo http://localhost:1/test; exec sleep 30; }',
                "onnection refused",
            ),
        ],
        ids=["no version", "ends at once", "does not listen"],
    )
    def test_the_clean_room_script_fails_a_broken_program(self, tmp_path, script, reason):
        program = Path(tmp_path, "dunena")
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        done = self.run(program)
        assert done.returncode != 0
        assert reason in done.stderr
