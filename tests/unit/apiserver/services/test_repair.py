"""What a crash leaves behind, and which API servers are up."""

from datetime import UTC, datetime
from typing import Any

from pybernetes.apiserver.services import kubernetes, ranges, repair

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
OLD, YOUNG = "2026-01-01T11:00:00Z", "2026-01-01T11:59:30Z"


def service(name: str, address: str, *ports: int) -> dict[str, Any]:
    listed = [{"port": 1, "nodePort": port} for port in ports]
    return {
        "metadata": {"namespace": "a", "name": name},
        "spec": {"type": "NodePort", "clusterIPs": [address], "ports": listed},
    }


def address(name: str, owner: str, created: str = OLD, manager: str = "ipallocator.k8s.io") -> dict[str, Any]:
    labels = {"ipaddress.kubernetes.io/managed-by": manager}
    parent = {"group": "", "resource": "services", "namespace": "a", "name": owner}
    return {"metadata": {"name": name, "creationTimestamp": created, "labels": labels}, "spec": {"parentRef": parent}}


def port(number: int, owner: str, created: str = OLD) -> dict[str, Any]:
    return {"metadata": {"name": str(number), "creationTimestamp": created}, "service": owner}


def test_nothing_to_do() -> None:
    found = repair.plan([service("s", "10.0.0.1", 30000)], [address("10.0.0.1", "s")], [port(30000, "a/s")], NOW)
    assert found == repair.Plan((), (), (), ())


def test_what_nobody_has_is_freed_when_it_is_old() -> None:
    addresses = [
        address("10.0.0.1", "gone"),
        address("10.0.0.2", "coming", YOUNG),
        address("10.0.0.3", "other", manager="someone"),
    ]
    found = repair.plan([], addresses, [port(30000, "a/gone"), port(30001, "a/coming", YOUNG)], NOW)
    assert found == repair.Plan(("10.0.0.1",), (30000,), (), ())


def test_what_is_missing_is_made() -> None:
    one = service("s", "10.0.0.1", 30000)
    assert repair.plan([one], [], [], NOW) == repair.Plan((), (), (("10.0.0.1", one),), ((30000, one),))


def test_another_owner_does_not_count() -> None:
    one = service("s", "10.0.0.1")
    assert repair.plan([one], [address("10.0.0.1", "gone")], [], NOW).stale_addresses == ("10.0.0.1",)


def test_headless_and_external_services_have_nothing() -> None:
    services = [service("h", "None"), {"metadata": {}, "spec": {"type": "ExternalName", "clusterIPs": ["10.0.0.9"]}}]
    assert repair.plan(services, [], [], NOW) == repair.Plan((), (), (), ())


def test_leases_run_out() -> None:
    leases = [
        {"name": "192.0.2.2", "renewTime": "2026-01-01T11:59:50Z"},
        {"name": "192.0.2.1", "renewTime": "2026-01-01T11:59:45Z"},
    ]
    assert kubernetes.alive(leases, NOW) == ["192.0.2.2"]


def test_the_service_kubernetes() -> None:
    made = kubernetes.service(ranges.parse_networks("fd00::/112,10.0.0.0/24"), 6443)
    assert (made["spec"]["clusterIP"], made["spec"]["ipFamilies"]) == ("fd00::1", ["IPv6"])
    assert kubernetes.endpoints([], 6443)["subsets"] == []
    assert kubernetes.endpoint_slice(["fd00::9"], 6443)["addressType"] == "IPv6"
