"""The files that run a cluster: NATS reads its own, and linters and schemas judge the others."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from ruamel.yaml import YAML

from dunena import __version__
from dunena.persistence.jetstream.permissions import permissions_of
from dunena.setting_table import rows
from tests.packaging.made_up import ROOT
from tests.support.made_up_passwords import PASSWORDS

FOLDER = ROOT / "packaging" / "cluster"
COMPOSE = FOLDER / "compose" / "compose.yaml"
CHART = FOLDER / "helm" / "dunena"
VARIABLES = {row.variable for row in rows().values()}
FLAGS = {row.flag for row in rows().values()}
REQUIRED = ("--set", "store.servers={tls://nats-0,tls://nats-1}", "--set", "login.password=made-up")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="clusters are for Linux machines")


def program(name: str) -> Path:
    """A program of the test environment."""
    return Path(sys.executable).with_name(name)


def run(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def documents(text: str) -> list[Any]:
    return list(YAML(typ="safe", pure=True).load_all(text))


class TestNats:
    def look(self, path: Path, **environment: str) -> str:
        """What the server says of a file, empty if it would start with it."""
        done = run(program("nats-server"), "-c", path, "-t", **environment)
        assert (done.returncode == 0) == ("is valid" in done.stderr), done
        return "" if done.returncode == 0 else done.stderr

    @pytest.fixture
    def environment(self, tmp_path: Path) -> dict[str, str]:
        routes = {f"NATS_ROUTE_{n}": f"nats://route:made-up-1@nats-{n}:6222" for n in (1, 2, 3)}
        key = {"NATS_TLS_KEY": str(tmp_path / "server.key")}
        hub = {f"NATS_HUB_{n}": f"tls://dunena:made-up-3@nats-{n}:7422" for n in (1, 2, 3)}
        return {"NATS_NAME": "nats-1", "NATS_HOST": "nats-1", **PASSWORDS, **routes, **key, **hub}

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """The files with certificates, as they would be in /etc/nats."""
        folder = tmp_path / "nats"
        shutil.copytree(FOLDER / "nats", folder)
        (folder / "tls").mkdir()
        authority = trustme.CA()
        certificate = authority.issue_cert("nats-1")
        authority.cert_pem.write_to_path(folder / "tls" / "authority.pem")
        certificate.private_key_pem.write_to_path(tmp_path / "server.key")
        certificate.cert_chain_pems[0].write_to_path(folder / "tls" / "server.pem")
        for path in folder.glob("*.conf"):
            text = path.read_text("utf-8").replace("/etc/nats/", f"{folder}/")
            path.write_text(text.replace("/var/lib/nats", f"{tmp_path}/data"), "utf-8")
        return folder

    @pytest.mark.parametrize("name", ["container.conf", "machine.conf", "venue.conf"])
    def test_the_server_accepts_the_file(
        self, folder: Path, environment: dict[str, str], name: str
    ) -> None:
        assert self.look(folder / name, **environment) == ""

    def test_the_server_notices_what_is_missing(
        self, folder: Path, environment: dict[str, str]
    ) -> None:
        del environment["DUNENA_NATS_PASSWORD"]
        assert "DUNENA_NATS_PASSWORD" in self.look(folder / "machine.conf", **environment)

    @pytest.mark.parametrize(("user", "is_reader"), [("dunena", False), ("reader", True)])
    def test_users_have_the_least_rights(self, user: str, is_reader: bool) -> None:
        text = (FOLDER / "nats" / "users.conf").read_text("utf-8")
        (rights,) = re.findall(rf"user: {user}\n(.*?)\n      \}}\n", text, re.DOTALL)
        least = permissions_of("dunena", domain="hub", is_reader=is_reader)
        for what, subjects in (("publish", least.publish), ("subscribe", least.subscribe)):
            (found,) = re.findall(rf"{what}: \[(.*?)\]", rights, re.DOTALL)
            assert sorted(re.findall(r'"([^"]+)"', found)) == sorted(subjects)

    def test_every_variable_is_explained_in_the_files(self) -> None:
        texts = [path.read_text("utf-8") for path in (FOLDER / "nats").glob("*.conf")]
        used = {name for text in texts for name in re.findall(r"(?<![\"\w])\$([A-Z_1-9]+)", text)}
        used -= {"KV", "JS"}
        explained = " ".join(line for text in texts for line in text.splitlines() if "#" in line)
        for name in ("NATS_ROUTE", "NATS_HUB"):
            explained = explained.replace(f"{name}_1, _2, _3", f"{name}_1 {name}_2 {name}_3")
        assert len(used) > 8
        assert [name for name in used if name not in explained] == []


class TestCompose:
    @pytest.fixture
    def services(self) -> dict[str, Any]:
        services: dict[str, Any] = documents(COMPOSE.read_text("utf-8"))[0]["services"]
        return services

    def test_the_file_fits_the_schema_of_compose(self) -> None:
        schema = ("--builtin-schema", "vendor.compose-spec")
        done = run(program("check-jsonschema"), *schema, COMPOSE)
        assert done.returncode == 0, done.stdout

    def test_there_are_three_servers_and_two_nodes(self, services: dict[str, Any]) -> None:
        assert list(services) == ["nats-1", "nats-2", "nats-3", "node-1", "node-2"]

    def test_the_environment_of_nodes_consists_of_settings(self, services: dict[str, Any]) -> None:
        for name in ("node-1", "node-2"):
            assert set(services[name]["environment"]) <= VARIABLES
            assert services[name]["command"] == ["serve"]

    def test_nats_has_the_variables_of_its_file(self, services: dict[str, Any]) -> None:
        routes = {f"NATS_ROUTE_{number}" for number in (1, 2, 3)}
        for number in (1, 2, 3):
            environment = services[f"nats-{number}"]["environment"]
            assert set(environment) == {"NATS_NAME", "NATS_HOST", *routes, *PASSWORDS}
            assert environment["NATS_NAME"] == f"nats-{number}"

    def test_the_example_names_every_secret(self) -> None:
        text = COMPOSE.read_text("utf-8")
        asked = set(re.findall(r"\$\{(\w+):\?\}", text))
        example = (COMPOSE.parent / "example.env").read_text("utf-8")
        assert set(re.findall(r"^(\w+)=$", example, re.MULTILINE)) == asked

    def test_containers_may_do_and_write_nothing_else(self, services: dict[str, Any]) -> None:
        for service in services.values():
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]
            assert service["security_opt"] == ["no-new-privileges:true"]


class TestSystemd:
    @pytest.fixture(params=["nats-server@.service", "dunena.service"])
    def unit(self, request: pytest.FixtureRequest) -> Path:
        return FOLDER / "systemd" / str(request.param)

    def test_systemd_accepts_the_unit(self, unit: Path, tmp_path: Path) -> None:
        analyze = shutil.which("systemd-analyze")
        if analyze is None:
            (pytest.fail if os.environ.get("CI") else pytest.skip)("systemd-analyze is missing")
        # The program it starts is not installed here: any other does for a look at the syntax.
        text = re.sub(r"/usr/local/bin/[\w-]+", "/bin/sh", unit.read_text("utf-8"))
        copy = tmp_path / unit.name.replace("@", "@1")
        copy.write_text(text, "utf-8")
        done = run(analyze, "verify", "--man=no", copy)
        assert done.returncode == 0, done.stderr
        assert copy.name not in done.stderr, "not a word about it"

    def test_units_run_without_rights(self, unit: Path) -> None:
        text = unit.read_text("utf-8")
        for line in ("DynamicUser=yes", "NoNewPrivileges=yes", "CapabilityBoundingSet="):
            assert line in text.splitlines()
        assert "LoadCredential=" in text

    def test_the_node_is_started_with_options_of_serve(self) -> None:
        text = (FOLDER / "systemd" / "dunena.service").read_text("utf-8").replace("\\\n", "")
        (command,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
        assert command.split()[:2] == ["/usr/local/bin/dunena", "serve"]
        assert set(re.findall(r"--[\w-]+", command)) <= FLAGS
        assert set(re.findall(r"\bDUNENA_\w+", text)) <= VARIABLES
        credentials = set(re.findall(r"^LoadCredential=([^:]+):", text, re.MULTILINE))
        assert set(re.findall(r"\$\{CREDENTIALS_DIRECTORY\}/(\S+)", command)) == credentials


class TestHelm:
    @pytest.fixture
    def render(self, helm: Path) -> Callable[..., dict[str, Any]]:
        """Make the manifests of a release with these values; they are returned by kind."""

        def render(*words: str) -> dict[str, Any]:
            done = run(helm, "template", "show", CHART, *REQUIRED, *words)
            assert done.returncode == 0, done.stderr
            return {one["kind"]: one for one in documents(done.stdout)}

        return render

    ALL = (
        *("--set", "autoscaling.enabled=true", "--set", "autoscaling.targetConnections=30000"),
        *("--set", "store.authoritySecret=nats-ca", "--set", "store.domain=hub"),
        *("--set", "store.readOnly=true", "--set", "tokenSecret=tokens"),
        *("--set-string", "settings.DUNENA_MAX_ENTRIES=40000"),
        *("--set", "filesSecret=files"),
        *("--set", "tolerations[0].key=a", "--set", "nodeSelector.b=c"),
    )

    def test_helm_finds_no_fault(self, helm: Path) -> None:
        for words in ((), self.ALL):
            done = run(helm, "lint", "--strict", CHART, *REQUIRED, *words)
            assert done.returncode == 0, done.stdout

    @pytest.mark.parametrize("words", [(), ALL], ids=["defaults", "everything"])
    def test_the_manifests_fit_the_schemas_of_kubernetes(
        self, helm: Path, tmp_path: Path, words: tuple[str, ...]
    ) -> None:
        path = tmp_path / "manifests.yaml"
        path.write_text(run(helm, "template", "show", CHART, *REQUIRED, *words).stdout, "utf-8")
        done = run(program("kubernetes-validate"), "--strict", path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count("passed") == (5 if words else 4)

    def test_a_rolling_update_never_has_fewer_nodes(self, render: Any) -> None:
        spec = render()["Deployment"]["spec"]
        assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        pod = spec["template"]["spec"]
        (container,) = pod["containers"]
        assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
        assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
        pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pod["terminationGracePeriodSeconds"] >= pause + 10

    def test_pods_have_secrets_and_no_other_volumes(self, render: Any) -> None:
        pod = render(*self.ALL)["Deployment"]["spec"]["template"]["spec"]
        assert [set(volume) - {"name"} for volume in pod["volumes"]] == [{"secret"}] * 3
        mounts = pod["containers"][0]["volumeMounts"]
        assert {one["name"] for one in mounts} == {one["name"] for one in pod["volumes"]}
        assert pod["securityContext"]["runAsUser"] == 10001, "as in the image"

    def test_the_environment_consists_of_settings(self, render: Any) -> None:
        pod = render(*self.ALL)["Deployment"]["spec"]["template"]["spec"]
        names = [one["name"] for one in pod["containers"][0]["env"]]
        assert set(names) <= VARIABLES
        assert len(names) == len(set(names)) == 9

    def test_the_autoscaler_owns_the_number_of_pods(self, render: Any) -> None:
        assert render()["Deployment"]["spec"]["replicas"] == 2
        manifests = render(*self.ALL)
        assert "replicas" not in manifests["Deployment"]["spec"]
        metrics = manifests["HorizontalPodAutoscaler"]["spec"]["metrics"]
        assert metrics[1]["pods"]["metric"]["name"] == "dunena_connections"

    @pytest.mark.parametrize(
        ("words", "complaint"),
        [
            (("--set", "login.password="), "login"),
            (("--set", "login.existingSecret=other"), "login"),
            (("--set", "store.servers={nats://user:password@host}"), "store/servers/0"),
            (("--set", "store.servers=null"), "missing property 'servers'"),
            (("--set", "settings.PATH=x"), "invalid propertyName 'PATH'"),
            (("--set", "replica=3"), "additional properties 'replica'"),
        ],
    )
    def test_values_that_make_no_sense_are_refused(
        self, helm: Path, words: tuple[str, ...], complaint: str
    ) -> None:
        done = run(helm, "template", "show", CHART, *REQUIRED, *words)
        assert done.returncode != 0
        assert complaint in done.stderr

    def test_the_chart_is_of_this_version(self) -> None:
        (chart,) = documents((CHART / "Chart.yaml").read_text("utf-8"))
        assert chart["appVersion"] == __version__

    def test_the_schema_knows_every_value(self) -> None:
        (values,) = documents((CHART / "values.yaml").read_text("utf-8"))
        schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
        assert set(values) == set(schema["properties"]) - {"global"}
