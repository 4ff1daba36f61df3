"""What parts' answers mean."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pybernetes.api.times import format_time
from pybernetes.api.types import coordination_v1 as coordination
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import discovery_v1 as discovery
from pybernetes.api.types import meta_v1 as meta
from pybernetes.deploy import statuslines
from pybernetes.deploy.etcd.health import Answer
from pybernetes.deploy.lines import Line
from pybernetes.store.etcd.maintenance import Status

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
MASTERS = {"10.0.0.1": "m1", "10.0.0.2": "m2"}


def lease(holder: str, age: float) -> coordination.Lease:
    renewed = format_time(NOW - timedelta(seconds=age))
    return coordination.Lease(
        spec=coordination.LeaseSpec(holder_identity=holder, renew_time=renewed, lease_duration_seconds=15)
    )


def test_leaders() -> None:
    leases = {"kube-controller-manager": lease("m1_0b8ee8a2", 3), "kube-scheduler": lease("m2_x", 20)}
    first, second = statuslines.leader_lines(leases, NOW)
    assert first == Line("leader", "kube-controller-manager", True, "m1, lease renewed 3s ago")
    assert not second.ok and "m2 has not renewed" in second.text
    assert not any(line.ok for line in statuslines.leader_lines({}, NOW))
    cleared = {"kube-scheduler": lease("", 1)}  # a clean stop gives it up
    assert [line.text for line in statuslines.leader_lines(cleared, NOW)] == ["nobody leads: start one"] * 2


def test_servers_and_a_master_without_one() -> None:
    made = discovery.EndpointSlice(metadata=meta.ObjectMeta(labels={"kubernetes.io/service-name": "kubernetes"}))
    made.ports = [discovery.EndpointPort(port=7443)]
    made.endpoints = [discovery.Endpoint(addresses=["10.0.0.1"])]
    other = discovery.EndpointSlice(
        metadata=meta.ObjectMeta(labels={"kubernetes.io/service-name": "x"}), endpoints=made.endpoints
    )
    [server] = statuslines.server_addresses([made, other])
    assert server == ("10.0.0.1", 7443)
    lines = statuslines.server_lines({server: ""}, MASTERS)
    assert [line.ok for line in lines] == [True, False] and "m2 is a control-plane host" in lines[1].text
    assert not statuslines.server_lines({server: "refused"}, {})[0].ok


def test_nodes() -> None:
    node = core.Node(metadata=meta.ObjectMeta(name="w"))
    [line] = statuslines.node_lines([node], {"w": lease("w", 300)}, NOW)
    assert not line.ok and "no status yet" in line.text and "heard of 5m ago" in line.text
    node.status.conditions = [core.NodeCondition(type="Ready", status="True")]
    node.metadata.labels = {"node-role.kubernetes.io/control-plane": ""}
    node.spec.unschedulable = True
    [line] = statuslines.node_lines([node], {}, NOW)
    assert line.ok and line.text == "Ready, control plane, cordoned"


def test_who_has_the_virtual_address() -> None:
    arp = statuslines.parse_arp(
        "IP address       HW type     Flags       HW address            Mask     Device\n"
        "10.0.0.10        0x1         0x2         aa:00:00:00:00:02     *        eth0\n"
        "10.0.0.2         0x1         0x2         aa:00:00:00:00:02     *        eth0\n"
        "10.0.0.1         0x1         0x0         00:00:00:00:00:00     *        eth0\n"
    )
    assert arp == {"10.0.0.10": "aa:00:00:00:00:02", "10.0.0.2": "aa:00:00:00:00:02"}

    def said(virtual: str, own: set[str], neighbours: dict[str, str]) -> str:
        line = statuslines.address_line(virtual, MASTERS, own, "m1", neighbours)
        return line.text if line is not None else ""

    assert said("10.0.0.10", set(), arp) == "m2"
    assert said("10.0.0.10", {"10.0.0.10"}, arp) == "here, on m1"
    assert "cannot see" in said("10.0.0.10", set(), {})
    assert "no control-plane host's" in said("10.0.0.10", set(), {"10.0.0.10": "bb"})
    assert said("", set(), arp) == said("10.0.0.1", set(), arp) == ""


def test_members_of_etcd() -> None:
    well = Answer("c1", Status(member=1, leader=1, version="3.4.23", revision=7), 0.01)
    dead = Answer("c2", problem="cannot connect to c2")
    lines = statuslines.etcd_lines([well, dead], {1: "m1"}, ["c2: cannot connect to c2", "alarm NOSPACE of m1"])
    assert [(line.name, line.ok) for line in lines] == [("m1", True), ("c2", False), ("all", False)]
    assert lines[0].text == "leader, 3.4.23, 0 MiB, revision 7" and lines[2].text == "alarm NOSPACE of m1"
