"""The test cluster as its users meet it: the command, the context manager, kubectl and the Python clients."""

import asyncio
import base64
import json
import os
import select
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from pybernetes import testing
from pybernetes.api.types import core_v1 as core
from pybernetes.cli import testserver
from pybernetes.pki import keys
from pybernetes.pki.certificates import Subject
from pybernetes.testing import RunningCluster
from pybernetes.testing.cluster import NotStarted, TestCluster

SECONDS = 60.0  # for what takes a moment where nothing else runs


@pytest.fixture(scope="module")
def running() -> Iterator[RunningCluster]:
    with testing.cluster() as cluster:
        yield cluster


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pybernetes", "testserver", *arguments]


def kubectl(cluster: RunningCluster, *arguments: str, stdin: str | None = None) -> str:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    environment = {**os.environ, "KUBECONFIG": cluster.kubeconfig}
    done = subprocess.run(
        ["kubectl", *arguments], input=stdin, env=environment, capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_command_prints_one_line_and_cleans_up() -> None:
    process = subprocess.Popen(command("--json"), stdout=subprocess.PIPE, text=True)
    assert process.stdout
    line = json.loads(process.stdout.readline())
    assert line["pid"] == process.pid
    assert line["url"].startswith("https://127.0.0.1:")
    assert Path(line["kubeconfig"]).stat().st_mode & 0o777 == 0o600
    asked = urllib.request.Request(f"{line['url']}/api/v1/nodes", headers={"Authorization": f"Bearer {line['token']}"})
    with urllib.request.urlopen(
        asked, context=ssl.create_default_context(cafile=line["ca"]), timeout=SECONDS
    ) as answer:
        assert json.load(answer)["kind"] == "NodeList"
    process.terminate()
    assert process.wait(SECONDS) == 0
    assert not Path(line["kubeconfig"]).exists()
    process.stdout.close()


def test_command_ends_with_its_parent() -> None:
    script = f"import subprocess, time; p = subprocess.Popen({command('--json')!r}); print(p.pid, flush=True); time.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    child = int(parent.stdout.readline())
    json.loads(parent.stdout.readline())
    ended = os.pidfd_open(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    readable, _, _ = select.select([ended], [], [], SECONDS)  # a pidfd is readable once its process has ended
    os.close(ended)
    assert readable, "the server outlived its parent"


def started(**options: Any) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    process = subprocess.Popen(command("--json", *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    return process, json.loads(process.stdout.readline())


def test_command_outlives_the_thread_that_started_it() -> None:
    """Test runners start their servers on threads of a pool, which end long before the process does."""
    found: list[subprocess.Popen[str]] = []
    thread = threading.Thread(target=lambda: found.append(started()[0]))
    thread.start()
    thread.join()
    (process,) = found
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1.5)
    process.terminate()
    assert process.wait(SECONDS) == 0 and process.communicate()[1] == ""


def test_command_ends_with_the_process_it_is_told() -> None:
    """And says why on stderr; its own parent lives."""
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process, line = started(parent_pid=other.pid)
    other.kill()
    other.wait()
    other.communicate()
    assert process.wait(SECONDS) == 0
    words = process.communicate()[1]
    assert f"ends, as its parent has (process {other.pid})" in words and "--parent-pid=0" in words
    assert not Path(line["kubeconfig"]).exists()


def test_command_can_be_told_to_stay() -> None:
    script = f"import subprocess; p = subprocess.Popen({command('--json', '--parent-pid=0')!r}); p.wait(60)"
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    child = int(json.loads(parent.stdout.readline())["pid"])
    parent.kill()
    parent.wait()
    parent.stdout.close()
    ended = os.pidfd_open(child)
    try:
        assert not select.select([ended], [], [], 1.5)[0], "the server has ended"
        os.kill(child, signal.SIGTERM)
        assert select.select([ended], [], [], SECONDS)[0]
    finally:
        os.close(ended)


def test_command_detached_runs_on_and_holds_nothing_open(tmp_path: Path) -> None:
    """Whoever started it reads its output to the end at once, and finds it by its number."""
    done = subprocess.run(command("--json", "--detach"), capture_output=True, text=True, timeout=SECONDS)
    line = json.loads(done.stdout)
    log = Path(done.stderr.split()[-1])
    ended = os.pidfd_open(line["pid"])
    try:
        assert done.returncode == 0 and f"process {line['pid']}" in done.stderr
        context = ssl.create_default_context(cafile=line["ca"])
        context.load_cert_chain(line["certificate"], line["key"])
        with urllib.request.urlopen(f"{line['url']}/api/v1/nodes", context=context, timeout=SECONDS) as answer:
            assert json.load(answer)["kind"] == "NodeList"
        assert Path(line["key"]).read_text().startswith("-----BEGIN EC PRIVATE KEY-----")
        assert not select.select([ended], [], [], 0)[0]
        os.kill(line["pid"], signal.SIGTERM)
        assert select.select([ended], [], [], SECONDS)[0]
    finally:
        os.close(ended)
        log.unlink()


def test_command_detached_says_why_it_does_not_start(running: RunningCluster) -> None:
    port = running.url.rsplit(":", 1)[1]
    done = subprocess.run(command("--detach", "--port", port), capture_output=True, text=True, timeout=SECONDS)
    assert (done.returncode, done.stdout) == (1, "")
    assert "ddress already in use" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--port=99999", "--port=99999: want a number from 0 to 65535"),
        ("--port=-1", "--port=-1: want a number from 0 to 65535"),
        ("--port=http", 'invalid argument "http" for "--port" flag: '),
        ("--hollow-nodes=-1", "--hollow-nodes=-1: want a number from 0 to "),
        ("--hollow-nodes=1000000", "--hollow-nodes=1000000: want a number from 0 to "),
        ("--controllers=deploy", '--controllers=deploy: "deploy" is not in the list of known controllers; want'),
        ("--controllers=none,deployment", "--controllers=none,deployment: 'none' stands alone"),
        ("--parent-pid=-3", "--parent-pid=-3: want the number of a process, or 0"),
        ("--parent-pid=999999999", "--parent-pid=999999999: there is no such process"),
        ("--record=/none/file", "--record=/none/file: No such file or directory"),
        ("--kubeconfig=/none/file", "--kubeconfig=/none/file: No such file or directory"),
        ("cluster", "cluster"),
    ],
)
def test_wrong_arguments_are_refused_in_a_line(argument: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert testserver.main([argument]) == 2
    output, errors = capsys.readouterr()
    assert output == "" and errors.startswith("pybernetes testserver: ") and words in errors and errors.count("\n") == 1


def test_used_port_is_one_clear_line(running: RunningCluster) -> None:
    port = running.url.rsplit(":", 1)[1]
    done = subprocess.run(command("--port", port), capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 1
    assert "ddress already in use" in done.stderr and "--port" in done.stderr


def test_unknown_flag_is_refused() -> None:
    done = subprocess.run(command("--nothing"), capture_output=True, text=True, timeout=SECONDS)
    assert (done.returncode, done.stderr) == (
        2,
        "pybernetes testserver: unknown flag: --nothing (see pybernetes testserver --help)\n",
    )


def test_what_is_open_to_everybody(running: RunningCluster) -> None:
    import ssl
    import urllib.error
    import urllib.request

    context = ssl.create_default_context(cadata=running.ca.decode())

    def get(path: str, **headers: str) -> int:
        asked = urllib.request.Request(running.url + path, headers=headers)
        try:
            with urllib.request.urlopen(asked, context=context, timeout=SECONDS) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code

    assert [get(path) for path in ("/readyz", "/livez", "/healthz", "/version")] == [200] * 4
    assert get("/api/v1/namespaces") == 403
    assert get("/readyz", Authorization="Bearer wrong") == 401


CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kubectl"}, "data": {"a": "1"}}


def test_kubectl(running: RunningCluster) -> None:
    manifest = json.dumps(CONFIG_MAP)
    assert kubectl(running, "apply", "-f", "-", stdin=manifest) == "configmap/kubectl created\n"
    changed = json.dumps({**CONFIG_MAP, "data": {"a": "2"}})
    assert kubectl(running, "apply", "-f", "-", stdin=changed) == "configmap/kubectl configured\n"
    assert kubectl(running, "get", "cm", "kubectl", "-o", "jsonpath={.data.a}") == "2"
    kubectl(running, "label", "cm", "kubectl", "x=y")
    assert "kubectl" in kubectl(running, "get", "cm", "-l", "x=y")
    assert "configmaps" in kubectl(running, "api-resources")
    assert "nodeName" in kubectl(running, "explain", "pod.spec.nodeName")
    kubectl(running, "delete", "cm", "kubectl")


def test_kubectl_create_speaks_protobuf(running: RunningCluster) -> None:
    kubectl(running, "create", "configmap", "made", "--from-literal=a=b")
    assert kubectl(running, "get", "cm", "made", "-o", "jsonpath={.data.a}") == "b"


def test_unknown_field_is_refused_by_the_server(running: RunningCluster) -> None:
    with pytest.raises(AssertionError, match='unknown field "dta"'):
        kubectl(running, "create", "-f", "-", stdin=json.dumps({**CONFIG_MAP, "dta": {}}))


def test_kubernetes_client(running: RunningCluster) -> None:
    kubernetes: Any = pytest.importorskip("kubernetes")
    api = kubernetes.client.CoreV1Api(kubernetes.config.new_client_from_config(running.kubeconfig))
    api.create_namespaced_config_map("default", {"metadata": {"name": "python"}, "data": {"a": "1"}})
    api.patch_namespaced_config_map("python", "default", {"data": {"a": "2"}})
    found = api.list_namespaced_config_map("default", field_selector="metadata.name=python")
    assert [item.data for item in found.items] == [{"a": "2"}]
    watch = kubernetes.watch.Watch()
    api.delete_namespaced_config_map("python", "default")
    version = found.metadata.resource_version
    events = watch.stream(api.list_namespaced_config_map, "default", resource_version=version, timeout_seconds=1)
    assert [(e["type"], e["object"].metadata.name) for e in events] == [("DELETED", "python")]
    api.api_client.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # its client has no close()
def test_lightkube(running: RunningCluster) -> None:
    lightkube: Any = pytest.importorskip("lightkube")
    from lightkube.models.meta_v1 import ObjectMeta
    from lightkube.resources.core_v1 import ConfigMap

    client = lightkube.Client(config=lightkube.KubeConfig.from_file(running.kubeconfig), namespace="default")
    client.create(ConfigMap(metadata=ObjectMeta(name="light"), data={"a": "1"}))
    client.patch(ConfigMap, "light", {"data": {"b": "2"}})
    assert client.get(ConfigMap, "light").data == {"a": "1", "b": "2"}
    assert "light" in [item.metadata.name for item in client.list(ConfigMap)]
    client.delete(ConfigMap, "light")


def test_pods_run_on_hollow_nodes() -> None:
    with testing.cluster(hollow_nodes=2) as cluster:
        spec = {"nodeName": "hollow-1", "containers": [{"name": "c", "image": "any"}]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}
        kubectl(cluster, "create", "-f", "-", stdin=json.dumps(pod))
        kubectl(cluster, "wait", "--for=condition=Ready", "pod/p", "--timeout=60s")
        assert "Running" in kubectl(cluster, "get", "pod", "p")
        nodes = kubectl(cluster, "get", "nodes").splitlines()[1:]
        assert [line.split()[:2] for line in nodes] == [["hollow-0", "Ready"], ["hollow-1", "Ready"]]
        kubectl(cluster, "delete", "pod", "p", "--timeout=60s")


def test_nodes_have_ranges_and_their_pods_addresses_of_them() -> None:
    with testing.cluster(hollow_nodes=1, controllers="nodeipam") as cluster:
        kubectl(cluster, "wait", "--for=jsonpath={.spec.podCIDR}", "node/hollow-0", "--timeout=60s")
        pod_range = ip_network(kubectl(cluster, "get", "node", "hollow-0", "-o", "jsonpath={.spec.podCIDR}"))
        kubectl(cluster, "run", "p", "--image=any", '--overrides={"spec":{"nodeName":"hollow-0"}}')
        kubectl(cluster, "wait", "--for=condition=Ready", "pod/p", "--timeout=60s")
        assert ip_address(kubectl(cluster, "get", "pod", "p", "-o", "jsonpath={.status.podIP}")) in pod_range


def test_hollow_pods_are_placed_end_and_answer() -> None:
    """A scheduler without any controller places them; what is asked of a pod, its node answers."""
    with testing.cluster(hollow_nodes=2, scheduler=True) as cluster:
        for name, spec, annotations in (
            ("ends", {"restartPolicy": "Never", "initContainers": [{"name": "i", "image": "any"}]}, {}),
            ("runs", {}, {"hollow.pybernetes.dev/logs": "said", "hollow.pybernetes.dev/exec-exit-code": "4"}),
        ):
            body = {"containers": [{"name": "c", "image": "any"}], **spec}
            pod = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "annotations": annotations},
                "spec": body,
            }
            kubectl(cluster, "create", "-f", "-", stdin=json.dumps(pod))
        kubectl(cluster, "wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/ends", "--timeout=60s")
        kubectl(cluster, "wait", "--for=condition=Ready", "pod/runs", "--timeout=60s")
        assert kubectl(cluster, "logs", "runs") == "said\n"
        assert kubectl(cluster, "logs", "ends", "-c", "c") == "hollow nodes run no containers\n"
        with pytest.raises(AssertionError, match="command terminated with exit code 4"):
            kubectl(cluster, "exec", "runs", "--", "true")


@pytest.mark.parametrize("controllers", ["all", ["serviceaccount"], ["*", "-namespace-controller"]])
def test_a_pod_can_be_created_at_once(controllers: Any, tmp_path: Path) -> None:
    """Where service accounts are asked for, a cluster answers that has the first: no pod is refused for its lack."""

    async def main() -> str:
        cluster = TestCluster(tmp_path, controllers=controllers)
        await cluster.start()
        pod = core.Pod(spec=core.PodSpec(containers=[core.Container(name="c", image="i")]))
        pod.metadata.name, pod.metadata.namespace = "p", "default"
        created = await cluster.client("admin").create(pod)
        await cluster.stop()
        return created.spec.service_account_name

    assert asyncio.run(main()) == "default"


@pytest.mark.parametrize("options", [{}, {"hollow_nodes": 2, "controllers": "all", "scheduler": True}])
def test_nothing_is_left_running(options: dict[str, Any], tmp_path: Path) -> None:
    async def main() -> set[str]:
        cluster = TestCluster(tmp_path, **options)
        await cluster.start()
        await cluster.stop()
        return running_tasks()

    assert asyncio.run(main()) == set()


def test_a_start_that_fails_leaves_nothing_running(running: RunningCluster, tmp_path: Path) -> None:
    """A port that is taken, a service account that nobody makes."""

    async def main() -> set[str]:
        with pytest.raises(OSError, match="in use"):
            await TestCluster(tmp_path, hollow_nodes=1).start(int(running.url.rsplit(":", 1)[1]))
        return running_tasks()

    assert asyncio.run(main()) == set()


@pytest.mark.parametrize(
    ("fails", "words"), [(False, "not there within 0.1 s"), (True, "not there, and what would bring it has ended")]
)
def test_a_cluster_without_its_account_has_not_started(
    fails: bool, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the controller takes too long or has ended; and nothing is left of the others."""

    async def run(*_: object) -> None:
        if fails:
            raise ValueError("no such controller")
        await asyncio.Event().wait()

    async def main() -> set[str]:
        with pytest.raises(NotStarted, match=f"the service account of the namespace default: {words}"):
            await TestCluster(tmp_path, controllers=["serviceaccount"]).start()
        return running_tasks()

    monkeypatch.setattr("pybernetes.controllers.manager.run", run)
    if not fails:
        monkeypatch.setattr(sys.modules[TestCluster.__module__], "START_SECONDS", 0.1)
    assert asyncio.run(main()) == set()


def running_tasks() -> set[str]:
    """But for the one that asks."""
    return {repr(task) for task in asyncio.all_tasks() if task is not asyncio.current_task()}


def test_all_controllers_have_what_they_need() -> None:
    """The cluster's authority signs approved requests, its key fills token Secrets; both let their bearers in."""
    from pybernetes.client.http import HTTPClient
    from pybernetes.client.kubeconfig import Config, load
    from pybernetes.client.rest import RESTClient
    from pybernetes.pki.requests import request

    key = keys.generate()
    csr = base64.b64encode(request(key, Subject("jane", ["developers"]))).decode()
    usages = ["client auth", "digital signature"]
    spec = {"request": csr, "signerName": "kubernetes.io/kube-apiserver-client", "usages": usages}
    approval = {"type": "Approved", "status": "True", "reason": "Test"}
    note = {"kubernetes.io/service-account.name": "default"}

    async def ask(running: RunningCluster) -> tuple[str, str]:
        client = RESTClient(load(running.kubeconfig))

        async def post(path: str, body: dict[str, Any]) -> None:
            await client.raw("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"})

        async def until(path: str, *fields: str) -> str:
            async with asyncio.timeout(SECONDS):
                while True:
                    value: Any = json.loads(await client.raw("GET", path))
                    for field in fields:
                        value = (value or {}).get(field)
                    if value:
                        return str(value)
                    await asyncio.sleep(0.05)

        requests = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
        await post(requests, {"metadata": {"name": "jane"}, "spec": spec})
        approved = json.loads(await client.raw("GET", f"{requests}/jane"))
        approved["status"] = {"conditions": [approval]}
        body = json.dumps(approved).encode()
        await client.raw("PUT", f"{requests}/jane/approval", body, {"Content-Type": "application/json"})
        secrets = "/api/v1/namespaces/default/secrets"
        secret = {"metadata": {"name": "t", "annotations": note}, "type": "kubernetes.io/service-account-token"}
        await post(secrets, secret)
        certificate = base64.b64decode(await until(f"{requests}/jane", "status", "certificate"))
        token = base64.b64decode(await until(f"{secrets}/t", "data", "token")).decode()
        await client.close()
        context = ssl.create_default_context(cadata=running.ca.decode())
        with tempfile.NamedTemporaryFile() as pair:
            pair.write(keys.private_pem(key) + certificate)
            pair.flush()
            context.load_cert_chain(pair.name)
        names = []
        for config, http in (
            (Config(running.url), HTTPClient(running.url, context)),
            (
                Config(running.url, token=token),
                HTTPClient(running.url, ssl.create_default_context(cadata=running.ca.decode())),
            ),
        ):
            bearer = RESTClient(config, http=http)
            review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
            answer = await bearer.raw(
                "POST",
                "/apis/authentication.k8s.io/v1/selfsubjectreviews",
                json.dumps(review).encode(),
                {"Content-Type": "application/json"},
            )
            names.append(json.loads(answer)["status"]["userInfo"]["username"])
            await bearer.close()
        return names[0], names[1]

    with testing.cluster(controllers="all") as running:
        assert asyncio.run(ask(running)) == ("jane", "system:serviceaccount:default:default")
