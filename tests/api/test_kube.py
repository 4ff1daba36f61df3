"""The handle `Kube`: what a test does with a cluster, seen by a client that knows nothing of it."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pybernetes.api.errors import StatusError
from pybernetes.testing import Cluster, Kube, NotReached, WrongArgument
from pybernetes.testing.access import Access

SECONDS = 60.0  # for what takes a moment where nothing else runs


def config_map(name: str = "a", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def pod(name: str, policy: str = "Always", **labels: str) -> dict[str, Any]:
    spec = {"containers": [{"name": "c", "image": "registry/app:1"}], "restartPolicy": policy, "nodeName": "hollow-0"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}


@pytest.fixture(scope="module")
def shared() -> Iterator[Kube]:
    with Cluster(
        controllers=["node-lifecycle-controller", "taint-eviction-controller", "cronjob", "job"], nodes=2
    ) as kube:
        yield kube


@pytest.fixture
def kube(shared: Kube, request: pytest.FixtureRequest) -> Iterator[Kube]:
    """In a namespace of the test's own, without rules and scripts of others."""
    shared.faults.clear()
    shared.pods.clear()
    yield shared.in_namespace(request.node.name.replace("_", "-").lower()[:60].split("[")[0])
    shared.faults.clear()


class Client:
    """Asks with urllib, as an operator in any language would."""

    def __init__(self, access: Access) -> None:
        self._access, self._context = access, ssl.create_default_context(cafile=access.ca_file)

    def open(self, method: str, path: str, body: Any = None, timeout: float = SECONDS) -> Any:
        headers = {"Authorization": f"Bearer {self._access.token}"}
        if body is not None:
            headers["Content-Type"] = "application/merge-patch+json" if method == "PATCH" else "application/json"
        data = json.dumps(body).encode() if body is not None else None
        asked = urllib.request.Request(self._access.url + path, data, headers, method=method)
        return urllib.request.urlopen(asked, context=self._context, timeout=timeout)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        try:
            with self.open(method, path, body) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                told = refused.read()
                return refused.code, json.loads(told) if told.startswith(b"{") else told

    def maps(self, name: str = "") -> str:
        return f"/api/v1/namespaces/{self._access.namespace}/configmaps{'/' if name else ''}{name}"


# What is asked.


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda kube: kube.get("cm", ""), "name='': want a name"),
        (lambda kube: kube.delete("cm", ""), "name='': want a name"),
        (lambda kube: kube.patch("cm", None, {}), "name=None: want a name"),
        (lambda kube: kube.in_namespace(""), "name='': want a name"),
        (lambda kube: kube.get(None, "a"), "kind=None: want what kubectl calls it"),
        (lambda kube: kube.list("cm", selector=5), "selector=5: want a text"),
        (lambda kube: kube.pods.script(5, exit=1), "selector=5: want a text"),
        (lambda kube: kube.restore({}), r"restore\({}\): want what snapshot"),
        (lambda kube: kube.faults.end_watches(5), r"end_watches\(5, gone=False\): want a resource"),
        (lambda kube: kube.user(""), "user='': want a name"),
        (lambda kube: kube.user("a", rules={"verbs": ["get"]}), "want a list of rules"),
    ],
)
def test_wrong_arguments_in_words(shared: Kube, ask: Any, words: str) -> None:
    """And an empty name is never all of them."""
    with pytest.raises(WrongArgument, match=words) as refused:
        ask(shared)
    frames = [frame.name for frame in refused.traceback]
    assert "_ask" not in frames and "find" not in frames, "nothing of how the cluster was asked"


def test_apply_takes_what_there_is(kube: Kube, tmp_path: Path) -> None:
    from kubernetes.client import V1ConfigMap, V1ObjectMeta
    from lightkube.models.meta_v1 import ObjectMeta
    from lightkube.resources.core_v1 import ConfigMap

    assert kube.apply(config_map("a", x="1"))["data"] == {"x": "1"}
    (tmp_path / "b.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n---\n")
    (tmp_path / "c.json").write_text(json.dumps({"kind": "List", "apiVersion": "v1", "items": [config_map("c")]}))
    assert [one["metadata"]["name"] for one in kube.apply(tmp_path)] == ["b", "c"]
    assert len(kube.apply(str(tmp_path / "b.yaml"))) == 1
    assert kube.apply("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: d\n")[0]["metadata"]["name"] == "d"
    kube.apply([V1ConfigMap(api_version="v1", kind="ConfigMap", metadata=V1ObjectMeta(name="e"), data={"y": "2"})])
    kube.apply(ConfigMap(metadata=ObjectMeta(name="f"), data={"z": "3"}))
    assert [one["metadata"]["name"] for one in kube.list("cm")] == ["a", "b", "c", "d", "e", "f"]
    assert kube.get("ConfigMap", "e")["data"] == {"y": "2"} and kube.get("configmaps", "f")["data"] == {"z": "3"}
    made = kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "g-"}})
    assert made["metadata"]["name"].startswith("g-")
    kube.patch("cm", "a", {"metadata": {"labels": {"app": "web"}}})
    assert [one["metadata"]["name"] for one in kube.list("cm", selector="app=web")] == ["a"]
    assert [one["metadata"]["name"] for one in kube.list("cm", selector={"app": "web"})] == ["a"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("nothing.yaml", "'nothing.yaml': no such file; want a path"),
        ("kind: [", "the text: "),
        ({"kind": "ConfigMap", "metadata": {"name": "a"}}, "an object has apiVersion and kind"),
        ({"apiVersion": "v1", "kind": "ConfigMap"}, "ConfigMap: an object has metadata with a name"),
        (7, "7: want a path"),
        ("", "'': an empty text; want a path"),
        ({**config_map(), "dat": {}}, None),
        (
            {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}},
            "no Widget of example.com/v1: is its definition",
        ),
    ],
)
def test_what_cannot_be_applied(shared: Kube, given: Any, words: str) -> None:
    with pytest.raises(WrongArgument if words else StatusError) as refused:
        shared.apply(given)
    assert (words or ".dat: field not declared in schema") in str(refused.value)


def test_kinds_that_are_none_and_near_ones(shared: Kube) -> None:
    with pytest.raises(WrongArgument, match=r"no resource 'deploymens'; there is .*deployments\.apps"):
        shared.get("deploymens", "a")
    with pytest.raises(WrongArgument, match='want "created", "deleted", a condition'):
        shared.wait_for("cm", "a", "")


def test_waiting_in_vain_tells_how_it_is(kube: Kube) -> None:
    kube.pods.script("app=bad", pull_error="no such image")
    kube.apply(pod("bad", app="bad"))
    kube.wait_for("pod", "bad", lambda one: "image" in json.dumps(one.get("status", {})).lower())
    with pytest.raises(
        NotReached,
        match=r"(?s)pod 'bad' in .* is not Ready after 0.2 s: Pending, .*c: (ErrImagePull.*no such image|ImagePullBackOff.*Back-off pulling image)",
    ):
        kube.wait_for("pod", "bad", "Ready", timeout="200ms")


def test_users_may_what_their_rules_say(kube: Kube) -> None:
    jane = kube.user("jane", ["team"], [{"resources": ["configmaps"], "verbs": ["get", "list"]}], kube.namespace)
    client = Client(jane)
    assert client.ask("GET", client.maps())[0] == 200
    assert client.ask("POST", client.maps(), config_map())[0] == 403
    assert client.ask("GET", "/api/v1/configmaps")[0] == 403
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    told = client.ask("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review)[1]["status"]["userInfo"]
    assert told["username"] == "jane" and "team" in told["groups"]
    by_certificate = jane.client("kubernetes")
    from kubernetes import client as library

    assert library.CoreV1Api(by_certificate).list_namespaced_config_map(kube.namespace).items == []


def test_requests_of_others_are_told(kube: Kube) -> None:
    client = Client(kube)
    client.ask("POST", client.maps(), config_map("told"))
    client.ask("GET", client.maps("none"))
    kube.apply(config_map("own"))
    asked = kube.requests.where(namespace=kube.namespace)
    assert [(one.verb, one.name, one.code) for one in asked] == [("create", "told", 201), ("get", "none", 404)]
    assert asked[0].obj["metadata"]["name"] == "told" and asked[0].user == "kubernetes-admin"
    with pytest.raises(TypeError, match="there is time, user, verb"):
        asked.where(status=200)


# Faults.


def test_an_error_before_and_after_the_write(kube: Kube) -> None:
    client = Client(kube)
    with kube.faults.add(verb="create", resource="configmaps", error="ServiceUnavailable", times=1) as before:
        assert client.ask("POST", client.maps(), config_map("before"))[0] == 503
        assert kube.get_or_none("cm", "before") is None and before.hits == 1
        assert client.ask("POST", client.maps(), config_map("before"))[0] == 201
    with kube.faults.add(verb="create", resource="configmaps", error="Timeout", after=True):
        assert client.ask("POST", client.maps(), config_map("after"))[0] == 504
    assert kube.get("cm", "after")
    assert client.ask("POST", client.maps(), config_map("after"))[0] == 409


def test_a_cut_connection(kube: Kube) -> None:
    client = Client(kube)
    with kube.faults.add(verb="create", resource="configmaps", drop=True, after=True), pytest.raises(OSError):
        client.ask("POST", client.maps(), config_map("cut"))
    assert kube.get("cm", "cut")
    assert kube.requests.where(namespace=kube.namespace)[-1].code == 0


def test_too_many_requests_names_the_seconds(kube: Kube) -> None:
    client = Client(kube)
    kube.faults.add(verb="list", resource="configmaps", error=429, retry_after=7, namespace=kube.namespace)
    with pytest.raises(urllib.error.HTTPError) as refused:
        client.open("GET", client.maps())
    with refused.value:
        assert refused.value.code == 429 and refused.value.headers["Retry-After"] == "7"


def test_a_storm_of_conflicts(kube: Kube) -> None:
    client = Client(kube)
    kube.apply([config_map("a"), config_map("b")])
    storm = kube.faults.storm("configmaps")
    codes = [client.ask("PATCH", client.maps(name), {"data": {"x": "1"}})[0] for name in ("a", "b", "a", "b")]
    assert codes == [409, 409, 200, 200] and storm.hits == 2


def test_stale_reads(kube: Kube) -> None:
    client = Client(kube)
    kube.apply(config_map("a", x="old"))
    kube.faults.add(verb="get", resource="configmaps", stale=True, times=1)
    assert client.ask("GET", client.maps("a"))[1]["data"] == {"x": "old"}
    kube.apply(config_map("a", x="new"))
    assert client.ask("GET", client.maps("a"))[1]["data"] == {"x": "old"}
    assert client.ask("GET", client.maps("a"))[1]["data"] == {"x": "new"}


def test_delays_are_of_the_clusters_time(kube: Kube) -> None:
    client = Client(kube)
    kube.faults.add(verb="get", resource="configmaps", delay="20s")
    codes: list[int] = []
    asking = threading.Thread(target=lambda: codes.append(client.ask("GET", client.maps("none"))[0]))
    asking.start()
    end = time.monotonic() + SECONDS
    while asking.is_alive() and time.monotonic() < end:
        kube.clock.advance("20s")
        asking.join(0.05)
    assert codes == [404]


def test_watches_are_cut_or_told_to_list(kube: Kube) -> None:
    client = Client(kube)
    with client.open("GET", client.maps() + "?watch=true") as watch:
        kube.apply(config_map("seen"))
        assert json.loads(watch.readline())["object"]["metadata"]["name"] == "seen"
        assert kube.faults.end_watches("configmaps", gone=True) >= 1
        told = json.loads(watch.readline())
        assert (told["type"], told["object"]["code"], told["object"]["reason"]) == ("ERROR", 410, "Expired")
        assert watch.readline() == b""
    kube.faults.add(verb="watch", resource="configmaps", drop=True, times=1)
    with client.open("GET", client.maps() + "?watch=true&resourceVersion=0") as watch, pytest.raises(OSError):
        while watch.readline():
            pass
        raise ConnectionResetError  # some Pythons take the end of a cut answer for its end
    with client.open("GET", client.maps() + "?watch=true") as watch:
        assert json.loads(watch.readline())["type"] == "ADDED"


def test_continue_tokens_expire(kube: Kube) -> None:
    client = Client(kube)
    kube.apply([config_map("a"), config_map("b")])
    kube.faults.add(verb="list", resource="configmaps", gone=True)
    code, page = client.ask("GET", client.maps() + "?limit=1")
    assert code == 200
    code, status = client.ask("GET", client.maps() + f"?limit=1&continue={page['metadata']['continue']}")
    assert (code, status["reason"]) == (410, "Expired")


def test_rules_that_are_none(kube: Kube) -> None:
    with pytest.raises(WrongArgument, match="fault: eror: there is verb"):
        kube.faults.add(verb="get", eror=500)


# Pods and nodes.


def terminated(one: dict[str, Any]) -> dict[str, Any]:
    states = (one.get("status") or {}).get("containerStatuses") or [{}]
    return (states[0].get("state") or {}).get("terminated") or {}


def test_pods_do_what_scripts_say(kube: Kube) -> None:
    def answer(command: list[str]) -> tuple[str, int]:
        return f"{' '.join(command)} in {kube.get('pod', 'job')['metadata']['name']}\n", 0

    kube.pods.script("app=job", exit=3, after="20ms")
    kube.pods.script("app=memory", oom=True, after="10ms")
    kube.pods.script("app=slow", ready=False, logs="one\ntwo\n", exec=answer)
    for name in ("job", "memory", "slow"):
        kube.apply(pod(name, "Always" if name == "slow" else "Never", app=name))
    assert terminated(kube.wait_for("pod", "job", ".status.phase=Failed") or {})["exitCode"] == 3
    killed = terminated(kube.wait_for("pod", "memory", ".status.phase=Failed") or {})
    assert (killed["exitCode"], killed["reason"]) == (137, "OOMKilled")
    kube.wait_for("pod", "slow", ".status.phase=Running")
    assert kube.wait_for("pod", "slow", "Ready=False")
    client = Client(kube)
    with client.open("GET", f"/api/v1/namespaces/{kube.namespace}/pods/slow/log") as log:
        assert log.read() == b"one\ntwo\n"
    kube.pods.end("slow", exit=1)
    kube.wait_for("pod", "slow", ".status.containerStatuses.0.restartCount=1")
    with pytest.raises(WrongArgument, match="no such container runs"):
        kube.pods.end("none")
    with pytest.raises(WrongArgument, match="want at least one of exit, after"):
        kube.pods.script("app=job")
    with pytest.raises(WrongArgument, match=r"annotation .*exit-code: '999' is no exit code"):
        kube.pods.script("app=job", exit=999)


def test_a_forwarded_port_and_attached_output_are_the_scripts(kube: Kube) -> None:
    """The pod's port 80 is a port of the test's own."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kube.pods.script("app=web", ports={80: server.getsockname()[1]}, logs="one\ntwo\n")
        kube.apply(pod("web", app="web"))
        kube.wait_for("pod", "web")
        from kubernetes import client
        from kubernetes.stream import portforward, stream

        api = client.CoreV1Api(kube.client("kubernetes"))
        forwarded = portforward(api.connect_get_namespaced_pod_portforward, "web", kube.namespace, ports="80")
        answering, _ = server.accept()
        with answering:
            forwarded.socket(80).sendall(b"hello")
            assert answering.recv(5) == b"hello"
            answering.sendall(b"you too")
            assert forwarded.socket(80).recv(7) == b"you too"
        forwarded.close()
        called = {"stdout": True, "_preload_content": False}
        opened = stream(api.connect_get_namespaced_pod_attach, "web", kube.namespace, **called)
        kube.pods.end("web")
        opened.run_forever(timeout=SECONDS)
        assert opened.read_stdout() == "one\ntwo\n"
        opened.sock.shutdown()
    with pytest.raises(WrongArgument, match="ports of pods and of this machine"):
        kube.pods.script(ports=[80])  # type: ignore[arg-type]


def test_exec_handlers_may_ask_the_cluster(kube: Kube) -> None:
    kube.apply(config_map("answer", x="42"))
    kube.pods.script(exec=lambda command: (f"{command[-1]}={kube.get('cm', 'answer')['data']['x']}", 0))
    kube.apply(pod("shell"))
    kube.wait_for("pod", "shell")
    from kubernetes import client
    from kubernetes.stream import stream

    api = client.CoreV1Api(kube.client("kubernetes"))
    called = {"command": ["echo", "x"], "stdout": True, "_preload_content": False}
    opened = stream(api.connect_get_namespaced_pod_exec, "shell", kube.namespace, **called)
    opened.run_forever(timeout=SECONDS)
    assert opened.read_stdout() == "x=42" and opened.returncode == 0
    opened.sock.shutdown()  # which its own close() leaves open once the other end has ended


def test_evictions_ask_budgets(kube: Kube) -> None:
    kube.apply(pod("guarded", app="guarded"))
    kube.wait_for("pod", "guarded")
    budget = {"minAvailable": 1, "selector": {"matchLabels": {"app": "guarded"}}}
    kube.apply({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"}, "spec": budget})
    with pytest.raises(StatusError) as refused:
        kube.pods.evict("guarded")
    assert refused.value.code == 429
    kube.delete("pdb", "b")
    kube.pods.evict("guarded")
    kube.wait_for("pod", "guarded", "deleted")


# Time.


def test_an_hour_passes(kube: Kube) -> None:
    cron = {
        "schedule": "0 * * * *",
        "jobTemplate": {"spec": {"template": {"spec": {**pod("x")["spec"], "restartPolicy": "Never"}}}},
    }
    kube.apply({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "hourly"}, "spec": cron})
    before = kube.clock.now()
    kube.clock.advance(timedelta(hours=1, minutes=1))
    assert kube.clock.now() - before >= timedelta(hours=1, minutes=1)
    jobs = kube.list("jobs")
    assert [one["status"].get("succeeded") for one in jobs] in ([1], [1, 1])
    with pytest.raises(WrongArgument, match="advance='soon': want seconds"):
        kube.clock.advance("soon")


def test_a_node_that_dies(shared: Kube, kube: Kube) -> None:
    kube.apply({**pod("there"), "spec": {**pod("there")["spec"], "nodeName": "hollow-1"}})
    kube.wait_for("pod", "there")
    kube.nodes.kill("hollow-1")
    kube.clock.advance("1m")
    assert kube.wait_for("node", "hollow-1", "Ready=Unknown")
    kube.clock.advance("6m")
    assert kube.get("pod", "there")["metadata"].get("deletionTimestamp"), "evicted after five minutes"
    with pytest.raises(WrongArgument, match="node 'hollow-1' does not run; there is hollow-0, hollow-1"):
        kube.nodes.kill("hollow-1")


# The whole cluster.


def test_snapshot_and_restore() -> None:
    """Watchers hear of it, resource versions go on, uids are those of then; definitions come and go with it."""
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
            ],
        },
    }
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}
    with Cluster() as kube:
        kube.apply([config_map("kept", x="1"), config_map("changed", x="1")])
        empty = kube.snapshot()
        before = kube.get("cm", "changed")
        client = Client(kube)
        kube.crds(definition)
        kube.apply(widget)
        full = kube.snapshot()
        start = kube.get("cm", "kept")["metadata"]["resourceVersion"]
        with client.open(
            "GET", client.maps() + f"?watch=true&resourceVersion={before['metadata']['resourceVersion']}"
        ) as watch:
            kube.apply(config_map("changed", x="2"))
            kube.apply(config_map("new"))
            kube.delete("cm", "kept")
            kube.restore(empty)
            events = [json.loads(watch.readline()) for _ in range(6)]
        seen = [(one["type"], one["object"]["metadata"]["name"]) for one in events]
        assert seen[:3] == [("MODIFIED", "changed"), ("ADDED", "new"), ("DELETED", "kept")]
        assert sorted(seen[3:]) == [("ADDED", "kept"), ("DELETED", "new"), ("MODIFIED", "changed")]
        after = kube.get("cm", "changed")
        assert after["metadata"]["uid"] == before["metadata"]["uid"] and after["data"] == {"x": "1"}
        assert int(after["metadata"]["resourceVersion"]) > int(start)
        end = time.monotonic() + SECONDS
        while client.ask("GET", "/apis/example.com/v1/widgets")[0] != 404:
            assert time.monotonic() < end, "its definition is gone"
            time.sleep(0.01)
        kube.restore(full)
        end = time.monotonic() + SECONDS
        while client.ask("GET", "/apis/example.com/v1/namespaces/default/widgets/w")[0] != 200:
            assert time.monotonic() < end, "its definition is back"
            time.sleep(0.01)
        with Cluster(state=full) as copy:
            assert (
                copy.url != kube.url
                and copy.get("widget", "w")["metadata"]["uid"] == kube.get("widget", "w")["metadata"]["uid"]
            )
            copy.delete("widget", "w")
            assert kube.get("widget", "w")


def test_restore_of_a_cluster_at_work() -> None:
    """Controllers and nodes go on from what is there then."""
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    web = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}
    with Cluster(controllers=["deployment", "replicaset"], scheduler=True, nodes=1) as kube:
        empty = kube.snapshot()
        for _ in range(2):
            kube.apply(web)
            kube.wait_for("deployment", "web", "Available")
            running = kube.snapshot()
            kube.restore(empty)
            assert kube.list("pods") == kube.list("deployments") == []
        kube.restore(running)
        kube.patch("deployment", "web", {"spec": {"replicas": 3}})
        kube.wait_for("deployment", "web", ".status.availableReplicas=3")
        assert len(kube.list("pods")) == 3


def test_restart_keeps_address_and_data() -> None:
    with Cluster(controllers=["replicaset"]) as kube:
        kube.apply(config_map("kept"))
        client = Client(kube)
        with client.open("GET", client.maps() + "?watch=true&resourceVersion=0") as watch:
            watch.readline()
            kube.restart()
            try:
                while watch.readline():
                    pass
            except OSError:
                pass
        assert client.ask("GET", client.maps("kept"))[0] == 200
        template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
        kube.apply({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "r"}, "spec": spec})
        kube.wait_for("rs", "r", ".status.replicas=1")


def test_wrong_arguments_before_anything_starts() -> None:
    threads = threading.active_count()
    for wrong in (
        {"nodes": -1},
        {"crds": "none.yaml"},
        {"faults": [{"error": 1}]},
        {"state": {}},
        {"scheduler": "yes"},
    ):
        with pytest.raises(WrongArgument):
            Cluster(**wrong)
    assert threading.active_count() == threads


def test_clusters_leave_nothing() -> None:
    """`python -m tests.api.leaks 200` does it as often as one likes."""
    from tests.api import leaks

    assert leaks.left_after(5, {}) == {}
