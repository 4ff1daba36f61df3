"""Pods' network by Debian's CNI plugins, with real packets."""

from __future__ import annotations

import asyncio
import json
import random
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pytest

from pybernetes.kubelet.network.cni import invocation
from pybernetes.kubelet.network.cni.directory import lacking
from pybernetes.kubelet.network.cni.network import CNINetwork
from pybernetes.kubelet.runtime.types import RuntimeFailure

from .cninode import PLUGINS, RANGE, CNINode, eventually, pod
from .namespaces import Namespace

T = TypeVar("T")
HERE = Path(__file__).parents[2]
PAGE = HERE / "docs" / "network.md"
FIRST, SECOND, THIRD, FOURTH = (letter * 64 for letter in "abcd")
TRIES = 20
ROUNDS = 8

pytestmark = pytest.mark.skipif(not Path(PLUGINS, "bridge").exists(), reason="needs containernetworking-plugins")


@pytest.fixture
def cni(node: Namespace, tmp_path: Path) -> Iterator[CNINode]:
    created = CNINode(node, tmp_path)
    try:
        yield created
    finally:
        created.close()


def _chain(cni: CNINode) -> None:
    """The page's."""
    (text,) = re.findall(r"^```json\n(.*?)^```$", PAGE.read_text(), re.S | re.M)
    document = json.loads(text)
    assert document["plugins"][0]["ipam"]["ranges"] == cni.ipam()["ranges"]
    document["plugins"][0]["ipam"]["dataDir"] = str(cni.addresses)
    (cni.conf_dir / "10-pods.conflist").write_text(json.dumps(document))


def _lacks(cni: CNINode, command: str) -> bool:
    return cni.namespace.run(f"{command} >/dev/null 2>&1 && echo yes", check=False) != "yes\n"


def _answer(cni: CNINode, url: str) -> str:
    """What the second pod is answered, with a server at port 80 of the first."""
    web = subprocess.Popen(
        ["nsenter", "-t", str(cni.pid(FIRST)), "--net", sys.executable, "-m", "http.server", "80"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually("the web server", lambda: ":80 " in cni.in_pod(FIRST, "ss -ltn"))
        ask = f"import urllib.request as u; print(u.urlopen('{url}', timeout=20).status)"
        return cni.in_pod(SECOND, f'{sys.executable} -c "{ask}"')
    finally:
        web.kill()
        web.wait()


def test_the_whole_chain(cni: CNINode) -> None:
    if _lacks(cni, "ip link add i0 type ifb && tc qdisc add dev i0 root tbf rate 1mbit burst 10kb latency 10ms"):
        pytest.skip("the kernel has no ifb or no tbf, which the plugin bandwidth needs")
    cni.namespace.run("ip link del i0")
    _chain(cni)
    first, second = cni.start(FIRST), cni.start(SECOND)
    about = pod("first", 8080, ingress="10M", egress="20M")

    async def add(network: CNINetwork) -> None:
        assert await network.setup(first, about) == (f"{RANGE}2",)
        assert await network.setup(second, pod("second")) == (f"{RANGE}3",)
        assert network.problem == ""

    cni.run(add)
    assert json.loads(cni.in_pod(FIRST, "ip -j link show lo"))[0]["flags"].count("UP")
    cni.in_pod(SECOND, f"ping -c 1 -W 5 {RANGE}2")
    assert cni.in_pod(FIRST, "sysctl -n net.core.somaxconn") == "500\n"
    assert "rate 10Mbit" in cni.namespace.run("tc qdisc show") and "rate 20Mbit" in cni.namespace.run("tc qdisc show")
    assert _answer(cni, f"http://{RANGE}1:8080/") == "200\n"  # the port of the node

    async def again(network: CNINetwork) -> None:
        """The next kubelet asks the plugins whether all is well."""
        assert await network.setup(second, pod("second")) == (f"{RANGE}3",)
        cni.in_pod(SECOND, "ip route del default")
        assert await network.setup(second, pod("second")) == (f"{RANGE}4",)
        cni.in_pod(SECOND, f"ping -c 1 -W 5 {RANGE}2")

    cni.run(again)

    async def delete(network: CNINetwork) -> None:
        await network.teardown(FIRST, about)
        cni.stop(SECOND)  # without a word: its namespace is gone
        await network.keep_only((), ())
        await network.collected()
        await network.teardown(SECOND, pod("second"))

    cni.run(delete)
    eventually("nothing is left", lambda: cni.left() == [])


def test_the_network_of_up(cni: CNINode) -> None:
    """The page's: it names no range, the node's podCIDR is it; a pod waits until there is one."""
    (text,) = re.findall(r"^```json up\n(.*?)^```$", PAGE.read_text(), re.S | re.M)
    document = json.loads(text)
    document["plugins"][0]["ipam"]["dataDir"] = str(cni.addresses)
    (cni.conf_dir / "10-pods.conflist").write_text(json.dumps(document))
    assert lacking(cni.conf_dir, [PLUGINS]) == ""
    first, second = cni.start(FIRST), cni.start(SECOND)

    async def work(network: CNINetwork) -> None:
        await network.refresh()
        assert "no PodCIDR set" in network.problem
        network.set_range(f"{RANGE}0/24")
        assert network.problem == ""
        (address,) = await network.setup(first, pod("first", 8080))
        assert address.startswith(RANGE)
        await network.setup(second, pod("second"))
        cni.in_pod(SECOND, f"ping -c 1 -W 5 {address}")
        await network.teardown(FIRST, pod("first", 8080))
        await network.teardown(SECOND, pod("second"))

    cni.run(work)
    assert cni.left() == []


@pytest.mark.parametrize("version", ["0.3.1", "0.4.0", "1.0.0"])
def test_ptp_in_a_file_of_its_own(cni: CNINode, version: str) -> None:
    single = {"cniVersion": version, "name": "pods", "type": "ptp", "ipMasq": True, "ipam": cni.ipam()}
    (cni.conf_dir / "10-ptp.conf").write_text(json.dumps(single))
    first, second = cni.start(FIRST), cni.start(SECOND)

    async def work(network: CNINetwork) -> None:
        (address,) = await network.setup(first, pod("first"))
        await network.setup(second, pod("second"))
        cni.in_pod(SECOND, f"ping -c 1 -W 5 {address}")
        assert await network.setup(first, pod("first")) == (address,)
        await network.teardown(FIRST, pod("first"))
        await network.teardown(SECOND, pod("second"))

    cni.run(work)
    assert cni.left() == []


def test_a_nodes_port_without_portmap(cni: CNINode) -> None:
    cni.configure({"type": "bridge", "bridge": "cni0", "isGateway": True, "ipam": cni.ipam()})
    first, second = cni.start(FIRST), cni.start(SECOND)
    about = pod("first", 8080)

    async def add(network: CNINetwork) -> None:
        await network.setup(first, about)
        await network.setup(second, pod("second"))

    cni.run(add)
    assert _answer(cni, f"http://{RANGE}1:8080/") == "200\n"

    async def delete(network: CNINetwork) -> None:
        await network.teardown(FIRST, about)
        await network.teardown(SECOND, pod("second"))

    cni.run(delete)
    assert cni.left() == []


def test_macvlan(cni: CNINode) -> None:
    cni.namespace.run("ip link add up0 type bridge; ip link set up0 up")
    if _lacks(cni, "ip link add m0 link up0 type macvlan && ip link del m0"):
        pytest.skip("the kernel has no macvlan")
    cni.configure({"type": "macvlan", "master": "up0", "ipam": cni.ipam()})
    first, second = cni.start(FIRST), cni.start(SECOND)

    async def work(network: CNINetwork) -> None:
        (address,) = await network.setup(first, pod("first"))
        await network.setup(second, pod("second"))
        cni.in_pod(SECOND, f"ping -c 1 -W 5 {address}")
        await network.teardown(FIRST, pod("first"))
        await network.teardown(SECOND, pod("second"))

    cni.run(work)
    assert cni.left() == []


def test_a_full_range_is_the_pods_event(cni: CNINode) -> None:
    ipam = cni.ipam() | {"ranges": [[{"subnet": f"{RANGE}0/30"}]]}
    cni.configure({"type": "bridge", "bridge": "cni0", "isGateway": True, "ipam": ipam})
    first, second = cni.start(FIRST), cni.start(SECOND)

    async def work(network: CNINetwork) -> None:
        await network.setup(first, pod("first"))
        with pytest.raises(RuntimeFailure) as error:
            await network.setup(second, pod("second"))
        assert 'plugin type="bridge" failed (add): ' in str(error.value)
        assert "no IP addresses available in range set: 10.88.7.1-10.88.7.2" in str(error.value)
        await network.teardown(FIRST, pod("first"))
        assert await network.setup(second, pod("second")) == (f"{RANGE}2",)
        await network.teardown(SECOND, pod("second"))

    cni.run(work)
    assert cni.left() == []


def test_flannels_plugin(cni: CNINode) -> None:
    """Our own `flannel` takes the range and the MTU of subnet.env, and hands on to bridge."""
    own = cni.folder / "bin"
    own.mkdir()
    (own / "flannel").write_text(f'#!/bin/sh\nexec {sys.executable} -m pybernetes flannel-cni "$@"\n')
    (own / "flannel").chmod(0o755)
    file = cni.folder / "subnet.env"
    file.write_text(
        f"FLANNEL_NETWORK=10.88.0.0/16\nFLANNEL_SUBNET={RANGE}1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"
    )
    cni.configure(
        {
            "type": "flannel",
            "subnetFile": str(file),
            "dataDir": str(cni.folder / "flannel"),
            "delegate": {"hairpinMode": True, "isDefaultGateway": True},
            "ipam": {"dataDir": str(cni.addresses)},
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    )
    first, second = cni.start(FIRST), cni.start(SECOND)

    async def work(network: CNINetwork) -> None:
        (address,) = await network.setup(first, pod("first", 8080))
        await network.setup(second, pod("second"))
        cni.in_pod(SECOND, f"ping -c 1 -W 5 {address}")
        assert json.loads(cni.in_pod(FIRST, "ip -j link show eth0"))[0]["mtu"] == 1450
        await network.teardown(FIRST, pod("first"))
        await network.teardown(SECOND, pod("second"))

    cni.run(work, f"{own}:{PLUGINS}")
    assert cni.left() == [] and list((cni.folder / "flannel").iterdir()) == []


async def tried(work: Callable[[], Awaitable[T]]) -> T:
    """As pods' workers do: bridge 1.1.1 finds its chains in use now and then, and is asked again."""
    for _ in range(TRIES):
        with suppress(RuntimeFailure):
            return await work()
        await asyncio.sleep(0.2)
    return await work()


def _killed(cni: CNINode, dice: random.Random) -> None:
    """Kubelets get SIGKILL while their plugins run, and others stop in the middle."""
    cni.configure(
        {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True, "ipam": cni.ipam()},
        {"type": "portmap", "capabilities": {"portMappings": True}},
        {"type": "firewall"},
    )
    for sandbox_id in (FIRST, SECOND):
        cni.start(sandbox_id)
    program = [sys.executable, "-m", "tests.netns.cninode", str(cni.folder), json.dumps(cni.pids())]
    for _ in range(ROUNDS):
        kubelet = subprocess.Popen(
            ["nsenter", f"--net=/var/run/netns/{cni.namespace.name}", *program],
            stdout=subprocess.PIPE,
            text=True,
            cwd=HERE,
        )
        assert kubelet.stdout is not None and kubelet.stdout.readline() == "busy\n"
        with suppress(subprocess.TimeoutExpired):
            kubelet.wait(dice.uniform(0.0, 0.5))
        assert kubelet.returncode is None, "it failed by itself"
        kubelet.kill()
        kubelet.communicate()

        async def stopped(network: CNINetwork) -> None:
            for sandbox_id in (FIRST, SECOND):
                task = asyncio.create_task(network.setup(cni.sandbox(sandbox_id), pod(sandbox_id)))
                await asyncio.wait([task], timeout=dice.uniform(0.0, 0.3))
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

        cni.run(stopped)


def test_kubelets_killed_at_any_point(cni: CNINode) -> None:
    """The next kubelet goes on, and nothing is left."""
    _killed(cni, random.Random(13))

    async def goes_on(network: CNINetwork) -> None:
        addresses = [await tried(lambda: network.setup(cni.sandbox(one), pod(one))) for one in (FIRST, SECOND)]  # noqa: B023
        assert len(set(addresses)) == 2
        cni.in_pod(SECOND, f"ping -c 1 -W 5 {addresses[0][0]}")
        await network.keep_only({FIRST, SECOND}, ())
        await network.collected()
        given = [path.name for path in cni.addresses.glob("*/*") if path.name.startswith(RANGE)]
        assert sorted(given) == sorted(address for (address,) in addresses)
        await tried(lambda: network.teardown(FIRST, pod(FIRST)))
        cni.stop(SECOND)
        for _ in range(TRIES):  # as the kubelet's housekeeping
            await network.keep_only({FIRST}, ())
            await network.collected()
            if not cni.left():
                break
        assert cni.left() == []

    cni.run(goes_on)


def test_plugins_killed_at_any_point(cni: CNINode, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a plugin leaves that was killed is in nobody's way. (`bridge` 1.1.1 may leave masquerade rules, which nobody finds again.)"""
    monkeypatch.setattr(invocation, "GRACE_SECONDS", 0.0)
    _killed(cni, random.Random(14))
    for sandbox_id in (FIRST, SECOND):
        cni.stop(sandbox_id)
    for sandbox_id in (THIRD, FOURTH):
        cni.start(sandbox_id)

    async def goes_on(network: CNINetwork) -> None:
        addresses = [await tried(lambda: network.setup(cni.sandbox(one), pod(one))) for one in (THIRD, FOURTH)]  # noqa: B023
        assert len(set(addresses)) == 2
        cni.in_pod(FOURTH, f"ping -c 1 -W 5 {addresses[0][0]}")
        for sandbox_id in (THIRD, FOURTH):
            await tried(lambda: network.teardown(sandbox_id, pod(sandbox_id)))  # noqa: B023

    cni.run(goes_on)
