"""`pybernetes testserver` as tests of other languages use it: files by flags, and the API below /testing/."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pybernetes.cli import testserver

SECONDS = 60.0
DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Cluster
  names: {plural: widgets, kind: Widget}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
"""


class Server:
    """The command, and how to ask it."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.command = [sys.executable, "-m", "pybernetes", "testserver", "--json", *arguments]
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.where = json.loads(self.process.stdout.readline())

    def ask(self, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token or self.where['token']}", "Content-Type": "application/json"}
        data = json.dumps(body).encode() if body is not None else None
        asked = urllib.request.Request(self.where["url"] + path, data, headers, method=method)
        context = ssl.create_default_context(cafile=self.where["ca"])
        try:
            with urllib.request.urlopen(asked, context=context, timeout=SECONDS) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, json.load(refused)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("testserver")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    (folder / "widgets.yaml").write_text(DEFINITION)
    (folder / "faults.yaml").write_text("- {verb: create, resource: secrets, error: Conflict}\n")
    files = [f"--{flag}={folder / name}" for flag, name in FILES.items()]
    server = Server(folder, *files, "--bind=0.0.0.0", "--hollow-nodes=1", "--virtual-time")
    yield server
    server.process.terminate()
    assert server.process.wait(SECONDS) == 0
    assert server.process.stdout
    server.process.stdout.close()


FILES = {"crds": "widgets.yaml", "faults": "faults.yaml", "record": "requests.jsonl", "kubeconfig": "config"}
MAPS = "/api/v1/namespaces/default/configmaps"


def config_map(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


def test_files_by_flags(server: Server, folder: Path) -> None:
    assert server.ask("GET", "/apis/example.com/v1/widgets")[1]["items"] == []
    code, status = server.ask("POST", "/api/v1/namespaces/default/secrets", {**config_map("s"), "kind": "Secret"})
    assert (code, status["reason"]) == (409, "Conflict")
    assert (folder / "config").read_text() == Path(server.where["kubeconfig"]).read_text()
    recorded = [json.loads(line) for line in (folder / "requests.jsonl").read_text().splitlines()]
    assert ("create", "secrets", "s", 409) in [
        (one["verb"], one["resource"], one["name"], one["code"]) for one in recorded
    ]


def test_only_the_administrator(server: Server) -> None:
    assert server.ask("GET", "/testing/clock", token="another")[0] == 401
    code, told = server.ask("GET", "/testing/")
    assert code == 200 and "POST clock" in told


def test_time_passes(server: Server) -> None:
    before = server.ask("GET", "/testing/clock")[1]["now"]
    code, after = server.ask("POST", "/testing/clock", {"advance": "10m"})
    assert code == 200 and after["now"] > before
    code, status = server.ask("POST", "/testing/clock", {"advance": "soon"})
    assert code == 400 and "advance='soon': want seconds" in status["message"]
    assert server.ask("POST", "/testing/clock", {"wait": 1})[0] == 400


def test_faults(server: Server) -> None:
    rules = server.ask(
        "POST", "/testing/faults", {"verb": "create", "resource": "configmaps", "error": 503, "times": 1}
    )[1]
    assert len(rules) == 2
    assert [server.ask("POST", MAPS, config_map("fault"))[0] for _ in range(2)] == [503, 201]
    assert server.ask("GET", "/testing/faults")[1][1]["hits"] == 1
    code, status = server.ask("POST", "/testing/faults", {"eror": 503})
    assert code == 400 and "eror: there is verb" in status["message"]
    assert server.ask("DELETE", "/testing/faults")[1] == []
    assert server.ask("POST", "/testing/watches", {"resource": "nothing"})[1] == {"ended": 0}


def test_snapshots(server: Server) -> None:
    server.ask("POST", MAPS, config_map("kept"))
    number = server.ask("POST", "/testing/snapshots")[1]["id"]
    server.ask("DELETE", f"{MAPS}/kept")
    server.ask("POST", MAPS, config_map("new"))
    assert server.ask("POST", f"/testing/snapshots/{number}")[0] == 200
    assert [server.ask("GET", f"{MAPS}/{name}")[0] for name in ("kept", "new")] == [200, 404]
    assert server.ask("DELETE", f"/testing/snapshots/{number}")[0] == 200
    assert server.ask("POST", f"/testing/snapshots/{number}")[0] == 404


def test_pods_nodes_and_requests(server: Server) -> None:
    assert server.ask("POST", "/testing/pods", {"selector": "app=job", "exit": 3})[0] == 200
    code, status = server.ask("POST", "/testing/pods", {"selectr": "app=job"})
    assert code == 400 and "selectr" in status["message"]
    server.ask("DELETE", "/testing/requests")
    server.ask("GET", MAPS)
    asked = server.ask("GET", "/testing/requests")[1]
    assert [(one["verb"], one["resource"], one["code"]) for one in asked] == [("list", "configmaps", 200)]
    assert server.ask("DELETE", "/testing/nodes/hollow-7")[0] == 404
    assert server.ask("DELETE", "/testing/nodes/hollow-0")[0] == 200
    code, status = server.ask("POST", "/testing/nodes")
    assert code == 404 and "there is GET clock" in status["message"]


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--crds=/none", "--crds=/none: '/none': no such file"),
        ("--faults=/none", "--faults=/none: "),
        ("--bind=", "--bind=: want an address"),
        (f"--faults={__file__}", f"--faults={__file__}: "),
    ],
)
def test_files_that_are_none(argument: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert testserver.main([argument]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith(f"pybernetes testserver: {words}") and errors.count("\n") == 1


def test_manifests_that_the_server_refuses(tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text("{apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {}}")
    command = [sys.executable, "-m", "pybernetes", "testserver", f"--crds={tmp_path}/pod.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 2
    assert done.stderr.startswith(f'pybernetes testserver: --crds={tmp_path}/pod.yaml: Pod "x" is invalid: ')


def test_an_address_that_is_none() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pybernetes", "testserver", "--bind=192.0.2.1"],
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 1 and "--bind" in done.stderr


def test_the_clock_goes_with_real_time_unless_it_is_asked_to_be_sent_ahead(folder: Path) -> None:
    server = Server(folder)
    try:
        assert server.ask("GET", "/testing/clock")[0] == 200
        code, status = server.ask("POST", "/testing/clock", {"advance": "10m"})
        assert code == 400 and "--virtual-time" in status["message"]
    finally:
        server.process.terminate()
        server.process.wait(SECONDS)
        assert server.process.stdout
        server.process.stdout.close()


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("clock", {"advance": 1e308}, "advance=1e+308: want ten years at most"),
        ("clock", {"advance": "1000000h"}, "want ten years at most"),
        ("clock", {"for": "1h"}, "want an object with advance"),
        ("faults", {"verb": 5, "error": 503}, "verb=5: want some of get, list"),
        ("faults", {"verb": ["get", 5], "error": 503}, "want some of get, list"),
        ("faults", {"verb": "create", "stale": True}, "stale: it is of get and list"),
        ("faults", {"verb": "create", "gone": True}, "gone: it is of list and watch"),
        ("pods", {"selector": 5, "exit": 1}, "selector=5: want a text, as"),
        ("pods", {"exec": 5}, "exec=5: want what commands print"),
        ("pods", {"exit": 1, "oom": "yes"}, "oom='yes': want true or false"),
        ("pods", {"exits": 1}, "exits: there is selector, image, namespace, exit,"),
        ("watches", {"gone": "yes"}, "gone='yes': want a text, and true or false"),
        ("watches", {"resource": 5}, "resource=5"),
    ],
)
def test_mistakes_are_named(server: Server, path: str, body: Any, words: str) -> None:
    code, answer = server.ask("POST", f"/testing/{path}", body)
    assert code == 400 and words in answer["message"], answer
