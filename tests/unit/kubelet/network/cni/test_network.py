"""Pods get and lose their network by chains of plugins, which are small scripts here."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pybernetes.api.types import core_v1 as core
from pybernetes.kubelet.network.addresses import Lease
from pybernetes.kubelet.network.cni import invocation
from pybernetes.kubelet.network.cni.cache import Cache
from pybernetes.kubelet.network.cni.hostports import HostPorts
from pybernetes.kubelet.network.cni.namespaces import PinnedNamespaces
from pybernetes.kubelet.network.cni.network import CNINetwork
from pybernetes.kubelet.runtime.types import PortMapping, RuntimeFailure, Sandbox

from .plugins import FakePlugins

SECONDS = 60.0  # patience with a busy machine; what is to run out of time has less
NOT_READY = "docker: network plugin is not ready: "
RESULT = {"cniVersion": "1.0.0", "ips": [{"address": "10.1.0.9/24"}]}
ID = "a" * 64


class Namespaces(PinnedNamespaces):
    """A mount is a file here, with the path of what would be mounted."""

    def is_pinned(self, sandbox_id: str) -> bool:
        return Path(self.path(sandbox_id)).exists()

    def pin(self, sandbox_id: str, namespace: str) -> None:
        Path(self.path(sandbox_id)).parent.mkdir(exist_ok=True)
        Path(self.path(sandbox_id)).write_text(namespace)

    def unpin(self, sandbox_id: str) -> None:
        Path(self.path(sandbox_id)).unlink(missing_ok=True)


class Ports(HostPorts):
    """What rules would be written for."""

    def __init__(self) -> None:
        self.leases: list[Lease] = []

    async def write(self, leases: Sequence[Lease]) -> None:
        self.leases = list(leases)


class Node:
    """A network over fake plugins; `again()` is what the next kubelet has."""

    def __init__(self, folder: Path, version: str = "1.0.0", seconds: float = SECONDS, **fields: Any) -> None:
        self.folder, self.seconds = folder, seconds
        self.plugins = FakePlugins(folder, "loopback", "first", "second", "third", version=version)
        self.conf_dir = folder / "net.d"
        self.conf_dir.mkdir()
        self.configure(cniVersion=version, **fields)
        self.pids: dict[str, int] = {}
        self.ports = Ports()
        self.network = self.again()

    def configure(self, name: str = "10-pods.conflist", **fields: Any) -> None:
        plugins = [{"type": "first"}, {"type": "second"}, {"type": "third"}]
        document = {"name": "pods", "cniVersion": "1.0.0", "plugins": plugins} | fields
        (self.conf_dir / name).write_text(json.dumps(document))

    async def _pid(self, sandbox_id: str) -> int:
        if sandbox_id not in self.pids:
            raise RuntimeFailure("it does not run")
        return self.pids[sandbox_id]

    def again(self) -> CNINetwork:
        return CNINetwork(
            self._pid,
            conf_dir=str(self.conf_dir),
            bin_dirs=(str(self.plugins.path),),
            cache_dir=str(self.folder / "cache"),
            namespaces=Namespaces(f"{self.folder}/netns"),
            host_ports=self.ports,
            seconds=self.seconds,
        )

    async def setup(self, sandbox_id: str = ID) -> tuple[str, ...]:
        return await self.network.setup(_sandbox(sandbox_id), _pod())

    def cached(self) -> list[str]:
        """The attachments that are remembered; the namespaces of all of them are pinned, and no other."""
        attachments = Cache(self.folder / "cache").attachments()
        pinned = {path.name for path in (self.folder / "netns").glob("*")}
        assert pinned == {f"cni-{one.conf.container_id}" for one in attachments if one.is_sandbox}
        return sorted(path.name for path in (self.folder / "cache" / "results").glob("*"))


def _sandbox(sandbox_id: str) -> Sandbox:
    return Sandbox(sandbox_id, "web", "shop", "u1", 0, True, datetime(2026, 1, 1, tzinfo=UTC), os.getpid())


def _pod(uid: str = "u1") -> core.Pod:
    pod = core.Pod()
    pod.metadata.name, pod.metadata.namespace, pod.metadata.uid = "web", "shop", uid
    return pod


def _run(node: Node, work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        try:
            await work()
        finally:
            await node.network.close()

    asyncio.run(main())


ADDED = ["ADD loopback", "ADD first", "ADD second", "ADD third"]
DELETED = ["DEL third", "DEL second", "DEL first", "DEL loopback"]


def test_a_pods_life(tmp_path: Path) -> None:
    """Each plugin is told the result before it; DEL is told the last, in reverse."""
    node = Node(tmp_path)
    node.plugins.says("second", "ADD", RESULT)

    async def work() -> None:
        assert await node.setup() == ("10.1.0.5",) and node.plugins.calls() == ADDED
        assert "prevResult" not in node.plugins.input("first", "ADD")
        assert node.plugins.input("second", "ADD")["prevResult"]["ips"] == [{"address": "10.1.0.5/24", "interface": 0}]
        assert node.plugins.input("third", "ADD")["prevResult"] == RESULT
        environment = node.plugins.environment("third", "ADD")
        assert Path(environment["CNI_NETNS"]).read_text() == f"/proc/{os.getpid()}/ns/net"
        assert environment["CNI_NETNS"] == f"{tmp_path}/netns/cni-{ID}" and environment["CNI_IFNAME"] == "eth0"
        assert node.plugins.environment("loopback", "ADD")["CNI_IFNAME"] == "lo"
        assert node.cached() == [f"cni-loopback-{ID}-lo", f"pods-{ID}-eth0"]
        document = json.loads((tmp_path / "cache" / "results" / f"pods-{ID}-eth0").read_text())
        assert document["kind"] == "cniCacheV1" and "incomplete" not in document
        assert (tmp_path / "cache" / "results").stat().st_mode & 0o777 == 0o700

        assert await node.setup() == ("10.1.0.5",)  # as it was
        assert node.plugins.calls() == ["CHECK first", "CHECK second", "CHECK third"]

        # Another network by then: what was made is undone as it was made.
        node.configure(name="05-other.conflist", plugins=[{"type": "first"}])
        await node.network.refresh()
        node.plugins.calls()
        await node.network.teardown(ID, _pod())
        assert node.plugins.calls() == DELETED and node.cached() == []
        told = node.plugins.input("first", "DEL")
        assert told["prevResult"]["ips"][0]["address"] == "10.1.0.5/24" and told["name"] == "pods"
        assert node.plugins.environment("first", "DEL")["CNI_NETNS"] == f"{tmp_path}/netns/cni-{ID}"

        for pid, netns in ((7, "/proc/7/ns/net"), (0, "")):  # nothing is remembered: today's plugins may know of it
            node.pids = {ID: pid} if pid else {}
            await node.network.teardown(ID, _pod())
            assert node.plugins.calls() == ["DEL first"]
            assert node.plugins.environment("first", "DEL")["CNI_NETNS"] == netns

    _run(node, work)


@pytest.mark.parametrize("failing", ["first", "second", "third", "loopback"])
def test_what_fails_leaves_nothing(tmp_path: Path, failing: str) -> None:
    node = Node(tmp_path)
    node.plugins.says(
        failing, "ADD", {"cniVersion": "1.0.0", "code": 11, "msg": "no room", "details": "try later"}, code=1
    )

    async def work() -> None:
        with pytest.raises(RuntimeFailure) as error:
            await node.setup()
        assert str(error.value) == (
            f'failed to set up sandbox container "{ID}" network for pod "web": networkPlugin cni failed to set up pod '
            f'"web_shop" network: plugin type="{failing}" failed (add): no room; try later'
        )
        calls = node.plugins.calls()
        deleted = [call for call in calls if call.startswith("DEL")]
        assert deleted == (["DEL loopback"] if failing == "loopback" else DELETED) and node.cached() == []
        if failing == "third":
            assert node.plugins.input("first", "DEL")["prevResult"]["ips"]  # what there was by then

    _run(node, work)


def test_what_cannot_be_undone_is_tried_again(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.plugins.says("third", "ADD", "", code=3)
    node.plugins.says("second", "DEL", {"msg": "busy"}, code=1)

    async def work() -> None:
        with pytest.raises(RuntimeFailure) as error:
            await node.setup()
        assert "netplugin failed with no error message: exit status 3, failed to clean up sandbox container" in str(
            error.value
        )
        assert str(error.value).endswith('network: plugin type="second" failed (delete): busy]')
        assert f"pods-{ID}-eth0" in node.cached()
        await node.network.keep_only((), {"u1"})
        await node.network.collected()
        assert f"pods-{ID}-eth0" in node.cached()  # the pod is just being set up
        await node.network.keep_only((), ())
        await node.network.collected()
        assert f"pods-{ID}-eth0" in node.cached()
        node.plugins.says("second", "DEL")
        await node.network.keep_only((), ())
        await node.network.collected()
        assert node.cached() == []

    _run(node, work)


@pytest.mark.parametrize(
    ("before", "answer", "code", "text"),
    [
        ("echo oops >&2", "", 1, 'netplugin failed: "oops\\n": exit status 1'),
        ("", "no json", 1, 'netplugin failed but error parsing its diagnostic message "no json": '),
        ("kill -9 $$", "", 0, "netplugin failed with no error message: signal: killed"),
        ("", "{", 0, "failed to unmarshal raw result"),
        ("", '{"cniVersion": "7.0.0"}', 0, 'unsupported CNI result version "7.0.0"'),
        ("yes", "", 0, "(it wrote more than 1048576 bytes)"),
        ("yes >&2 & sleep 0.3; kill $!", "", 2, "netplugin failed: "),
        ("sleep 1000 & sleep 1000", "", 0, "signal: killed (it had not ended after "),
    ],
)
def test_bad_plugins(tmp_path: Path, before: str, answer: str, code: int, text: str) -> None:
    node = Node(tmp_path, seconds=3.0 if "sleep 1000" in before else SECONDS)
    node.plugins.says("second", "ADD", answer, code, f"echo $$ > {tmp_path}/pid; {before}")

    async def work() -> None:
        with pytest.raises(RuntimeFailure) as error:
            await node.setup()
        assert text in str(error.value), error.value
        assert len(str(error.value)) < 5000 and node.cached() == []
        with pytest.raises(ProcessLookupError):  # with all that it has started
            await asyncio.to_thread(_gone, int((tmp_path / "pid").read_text()))

    _run(node, work)


def _gone(group: int) -> None:
    """ProcessLookupError once no process of it is left; what was killed may take a while to go."""
    for _ in range(500):
        os.killpg(group, 0)
        time.sleep(0.02)


def test_a_result_may_be_given_while_others_hold_the_output(tmp_path: Path) -> None:
    """A daemon that a plugin leaves behind does not keep the pod waiting."""
    node = Node(tmp_path)
    node.plugins.says("third", "ADD", RESULT, before=f"sleep 1000 & echo $! > {tmp_path}/daemon")

    async def work() -> None:
        try:
            assert await node.setup() == ("10.1.0.9",)
        finally:
            os.kill(int((tmp_path / "daemon").read_text()), signal.SIGKILL)

    _run(node, work)


def test_no_network_at_all(tmp_path: Path) -> None:
    node = Node(tmp_path)
    (node.conf_dir / "10-pods.conflist").unlink()

    async def work() -> None:
        assert node.network.problem == NOT_READY + "cni config uninitialized"
        with pytest.raises(RuntimeFailure, match="network: cni config uninitialized"):
            await node.setup()
        await node.network.teardown(ID, _pod())
        assert node.plugins.calls() == []

    _run(node, work)


def test_the_first_valid_network(tmp_path: Path) -> None:
    """By file name; plugins that are missing, or of other versions, count as invalid. What goes away stays, as upstream."""
    node = Node(tmp_path)
    node.configure("01-broken.conflist", plugins="none")
    node.configure("02-missing.conflist", plugins=[{"type": "absent"}])
    node.configure("03-version.conflist", cniVersion="0.2.0")

    async def work() -> None:
        changes: list[str] = []
        task = asyncio.create_task(node.network.run(lambda: changes.append(node.network.problem)))
        while not changes:
            await asyncio.sleep(0.01)
        task.cancel()
        assert changes == [""] and await node.setup() == ("10.1.0.5",)
        for file in node.conf_dir.iterdir():
            file.unlink()
        await node.network.refresh()
        assert node.network.problem == ""
        node.plugins.install("late")
        node.configure("20-late.conf", type="late", plugins=None)
        await node.network.refresh()
        node.plugins.calls()
        await node.setup("b" * 64)
        assert node.plugins.calls() == ["ADD loopback", "ADD late"]

    _run(node, work)


def test_ranges_come_from_the_node(tmp_path: Path) -> None:
    node = Node(tmp_path, plugins=[{"type": "first", "capabilities": {"ipRanges": True}}])

    async def work() -> None:
        await node.network.refresh()
        assert node.network.problem == NOT_READY + "cni config needs ipRanges but no PodCIDR set"
        with pytest.raises(RuntimeFailure, match="no PodCIDR set"):
            await node.setup()
        node.network.set_range("10.7.0.0/24")
        assert node.network.problem == "" and await node.setup()
        assert node.plugins.input("first", "ADD")["runtimeConfig"] == {"ipRanges": [[{"subnet": "10.7.0.0/24"}]]}

    _run(node, work)


def test_status(tmp_path: Path) -> None:
    """From CNI 1.1 on plugins say whether they are ready."""
    node = Node(tmp_path, "1.1.0")
    node.plugins.says("second", "STATUS", {"code": 50, "msg": "the agent is away"}, code=1)

    async def work() -> None:
        await node.network.refresh()
        assert node.network.problem == NOT_READY + "the agent is away"
        assert node.plugins.calls() == ["STATUS first", "STATUS second"]
        assert node.plugins.input("first", "STATUS") == {"type": "first", "name": "pods", "cniVersion": "1.1.0"}
        node.plugins.says("second", "STATUS")
        await node.network.refresh()
        assert node.network.problem == ""

    _run(node, work)


@pytest.mark.parametrize(
    ("version", "fields", "expected"),
    [
        ("1.1.0", {}, ["DEL third", "GC first", "GC second", "GC third"]),
        ("1.1.0", {"disableGC": True}, ["DEL third"]),
        ("1.0.0", {}, ["DEL third"]),
    ],
)
def test_garbage(tmp_path: Path, version: str, fields: dict[str, Any], expected: list[str]) -> None:
    """Once after a start, and for what sandboxes left; others' attachments in the folder are not ours."""
    node = Node(tmp_path, version, **fields)

    async def work() -> None:
        await node.setup()
        await node.setup("b" * 64)
        other = tmp_path / "cache" / "results" / "pods-c-eth0"
        other.write_text(
            json.dumps({"kind": "cniCacheV1", "containerId": "c", "ifName": "eth0", "networkName": "pods"})
        )
        (tmp_path / "cache" / "results" / "unreadable").write_text("{")
        node.plugins.calls()
        await node.network.keep_only({ID}, ())
        await node.network.collected()
        calls = node.plugins.calls(("VERSION", "STATUS"))
        deleted = ["DEL loopback", "DEL second", "DEL first"]
        assert [call for call in calls if call not in deleted] == expected and set(deleted) < set(calls)
        assert node.cached() == [f"cni-loopback-{ID}-lo", f"pods-{ID}-eth0", "pods-c-eth0", "unreadable"]
        if "GC first" in expected:
            told = node.plugins.input("first", "GC")["cni.dev/valid-attachments"]
            assert told == [{"containerID": ID, "ifname": "eth0"}, {"containerID": "c", "ifname": "eth0"}]
        await node.network.keep_only({ID}, ())
        await node.network.collected()
        assert node.plugins.calls() == []

    _run(node, work)


@pytest.mark.parametrize(("version", "fields"), [("0.3.1", {}), ("1.0.0", {"disableCheck": True})])
def test_without_check(tmp_path: Path, version: str, fields: dict[str, Any]) -> None:
    node = Node(tmp_path, version, **fields)

    async def work() -> None:
        await node.setup()
        node.plugins.calls()
        assert await node.setup() == ("10.1.0.5",) and node.plugins.calls() == []
        await node.network.teardown(ID, _pod())
        assert ("prevResult" in node.plugins.input("first", "DEL")) is (version == "1.0.0")

    _run(node, work)


def test_a_pod_whose_check_fails_is_made_anew(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.plugins.says("second", "CHECK", {"code": 100, "msg": "its route is gone"}, code=1)

    async def work() -> None:
        await node.setup()
        node.plugins.calls()
        assert await node.setup() == ("10.1.0.5",)
        assert node.plugins.calls() == ["CHECK first", "CHECK second", *DELETED, *ADDED]

    _run(node, work)


def test_a_check_that_crashes_says_nothing(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.plugins.says("second", "CHECK", before="echo panic >&2; exit 2")

    async def work() -> None:
        await node.setup()
        node.plugins.calls()
        assert await node.setup() == ("10.1.0.5",)
        assert node.plugins.calls() == ["CHECK first", "CHECK second"]

    _run(node, work)


@pytest.mark.parametrize("reached", ["loopback", "first", "second", "third"])
def test_a_kubelet_that_ends_in_the_midst(tmp_path: Path, reached: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one undoes what there is, and begins again."""
    monkeypatch.setattr(invocation, "GRACE_SECONDS", 0.1)
    node = Node(tmp_path)
    node.plugins.says(reached, "ADD", before=f"touch {tmp_path}/reached; sleep 1000")

    async def work() -> None:
        task = asyncio.create_task(node.setup())
        while not (tmp_path / "reached").exists():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await node.network.close()
        node.plugins.calls()
        node.plugins.says(reached, "ADD")
        node.network = node.again()
        assert await node.setup() == ("10.1.0.5",)
        calls = node.plugins.calls()
        assert calls[-4:] == ADDED and calls[:-4] == (["DEL loopback"] if reached == "loopback" else DELETED)
        if reached == "third":
            assert node.plugins.input("first", "DEL")["prevResult"]

    _run(node, work)


def test_a_plugin_may_end_what_it_does_while_the_kubelet_ends(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.plugins.says("third", "DEL", before=f"touch {tmp_path}/reached; sleep 0.2; touch {tmp_path}/done")

    async def work() -> None:
        await node.setup()
        task = asyncio.create_task(node.network.teardown(ID, _pod()))
        while not (tmp_path / "reached").exists():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (tmp_path / "done").exists() and len(node.cached()) == 2

    _run(node, work)


def test_plugins_of_a_killed_kubelet_are_waited_for(tmp_path: Path) -> None:
    """They hold a lock: nothing is undone while it is still being done."""
    node = Node(tmp_path)
    node.plugins.says(
        "first", "ADD", before=f"touch {tmp_path}/reached; while ! [ -e {tmp_path}/go ]; do sleep 0.01; done"
    )

    async def work() -> None:
        first = asyncio.create_task(node.setup())
        while not (tmp_path / "reached").exists():
            await asyncio.sleep(0.01)
        descriptor = node.network._programs._lock
        inherited = os.dup(descriptor)  # as a plugin has it whose kubelet is no more
        (tmp_path / "go").touch()
        await first
        await node.network.close()
        node.plugins.calls()
        node.network = node.again()
        second = asyncio.create_task(node.setup("b" * 64))
        await asyncio.sleep(0.3)
        assert not second.done() and node.plugins.calls() == []
        os.close(inherited)
        assert await second == ("10.1.0.5",)

    _run(node, work)


def test_loopbacks_end_does_not_matter(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.plugins.says("loopback", "DEL", {"msg": "no"}, code=1)
    node.plugins.says("first", "DEL", {"msg": "open /proc/7/ns/net: no such file or directory"}, code=1)

    async def work() -> None:
        await node.setup()
        await node.network.teardown(ID, _pod())
        assert node.cached() == []
        node.plugins.says("first", "DEL", {"msg": "no"}, code=1)
        await node.setup()
        with pytest.raises(
            RuntimeFailure, match=re.escape('networkPlugin cni failed to teardown pod "web_shop" network: ')
        ):
            await node.network.teardown(ID, _pod())
        assert node.cached() != []

    _run(node, work)


@pytest.mark.parametrize("capable", [True, False])
def test_ports_of_the_node_without_a_plugin_for_them(tmp_path: Path, capable: bool) -> None:
    node = Node(tmp_path, plugins=[{"type": "first", "capabilities": {"portMappings": capable}}])
    pod = _pod()
    pod.spec.containers = [core.Container(name="c", ports=[core.ContainerPort(container_port=80, host_port=8080)])]

    async def work() -> None:
        await node.network.setup(_sandbox(ID), pod)
        expected = [] if capable else [Lease("10.1.0.5", ID, "u1", (PortMapping(80, 8080, "TCP"),))]
        assert node.ports.leases == expected
        await node.network.teardown(ID, pod)
        assert node.ports.leases == []

    _run(node, work)


def test_pods_of_a_kubelet_of_1_23(tmp_path: Path) -> None:
    """It remembered the path of /proc, no uid, and the loopback under the pod's interface."""
    node = Node(tmp_path)
    config = (node.conf_dir / "10-pods.conflist").read_bytes()
    loopback = json.dumps({"cniVersion": "0.2.0", "name": "cni-loopback", "plugins": [{"type": "loopback"}]}).encode()
    args = [["IgnoreUnknown", "1"], ["K8S_POD_INFRA_CONTAINER_ID", ID]]
    results = tmp_path / "cache" / "results"
    results.mkdir(parents=True)
    for name, document in (("cni-loopback", loopback), ("pods", config)):
        record = {
            "kind": "cniCacheV1",
            "containerId": ID,
            "config": base64.b64encode(document).decode(),
            "ifName": "eth0",
            "networkName": name,
            "cniArgs": args,
            "capabilityArgs": {"portMappings": []},
            "result": RESULT if name == "pods" else {"cniVersion": "0.2.0", "ip4": {"ip": "127.0.0.1/8"}},
        }
        (results / f"{name}-{ID}-eth0").write_text(json.dumps(record))

    async def work() -> None:
        assert await node.setup() == ("10.1.0.9",)
        await node.network.teardown(ID, _pod())
        assert node.plugins.calls() == ["CHECK first", "CHECK second", "CHECK third", *DELETED] and node.cached() == []
        assert node.plugins.input("first", "DEL")["prevResult"] == RESULT

    _run(node, work)


def test_a_node_that_is_taken_down(tmp_path: Path) -> None:
    node = Node(tmp_path)

    async def work() -> None:
        await node.setup()
        await node.setup("b" * 64)
        node.plugins.says("first", "DEL", {"msg": "no"}, code=1)
        await node.network.remove({ID, "c" * 64})
        assert len(node.cached()) == 4  # it is told of, and no reason to stop
        node.plugins.says("first", "DEL")
        await node.network.remove({ID})
        assert node.cached() == [f"cni-loopback-{'b' * 64}-lo", f"pods-{'b' * 64}-eth0"]

    _run(node, work)


def test_many_pods_at_once(tmp_path: Path) -> None:
    node = Node(tmp_path, plugins=[{"type": "first"}])

    async def work() -> None:
        ids = [f"{number:064}" for number in range(12)]
        await asyncio.gather(*(node.setup(one) for one in ids))
        assert len(node.cached()) == 24
        await asyncio.gather(*(node.network.teardown(one, _pod()) for one in ids), node.network.keep_only(ids, ()))
        await node.network.collected()
        assert node.cached() == []

    _run(node, work)


def test_names_that_lead_elsewhere(tmp_path: Path) -> None:
    """No file is made of a name that is no name."""
    node = Node(tmp_path)
    text = (node.conf_dir / "10-pods.conflist").read_text().replace('"pods"', '"../../pods"')
    (node.conf_dir / "10-pods.conflist").write_text(text)

    async def work() -> None:
        with pytest.raises(RuntimeFailure, match="invalid characters found in network name"):
            await node.setup()
        assert node.cached() == []
        with pytest.raises(RuntimeFailure, match="invalid characters in containerID"):
            await node.setup("../x")
        assert Cache(tmp_path / "cache").attachments() == []

    _run(node, work)
