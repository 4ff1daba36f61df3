"""Changes to a rule set cost what changed, and lead to where a set made anew would be."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from pybernetes.proxy.backends.iptables.rules import Options
from pybernetes.proxy.backends.iptables.ruleset import SHARED_CHAINS, RuleSet, desired
from pybernetes.proxy.backends.iptables.tables import State, apply, plan
from pybernetes.proxy.model import Endpoint, ServicePort

OPTIONS = Options("10.244.0.0/16")
EMPTY = ServicePort(
    namespace="default",
    service="web",
    name="",
    protocol="tcp",
    cluster_ip="10.96.0.10",
    port=80,
    node_port=0,
    external_ips=(),
    ingress_ips=(),
    source_ranges=(),
    local_only=False,
    internal_local=False,
    affinity_seconds=0,
    health_port=0,
    endpoints=(),
    local_endpoints=(),
)


def port(service: str, endpoints: int, local: int, **fields: object) -> ServicePort:
    places = tuple(Endpoint(f"10.244.0.{n}", 8080, n < local) for n in range(endpoints))
    here = tuple(e for e in places if e.local)
    return replace(EMPTY, service=service, endpoints=places, local_endpoints=here, **fields)  # type: ignore[arg-type]


PORTS = st.builds(
    port,
    st.just(""),
    st.integers(0, 4),
    st.integers(0, 2),
    node_port=st.sampled_from([0, 30080]),
    external_ips=st.sampled_from([(), ("192.0.2.7",)]),
    ingress_ips=st.sampled_from([(), ("198.51.100.7",)]),
    source_ranges=st.sampled_from([(), ("203.0.113.0/24",)]),
    local_only=st.booleans(),
    internal_local=st.booleans(),
    affinity_seconds=st.sampled_from([0, 10800]),
    health_port=st.sampled_from([0, 30999]),
)
STEPS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.lists(st.tuples(st.sampled_from(["", "http", "https"]), PORTS), max_size=3)),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_changes_lead_to_the_same_rules_as_a_new_start(steps: list[tuple[str, list[tuple[str, ServicePort]]]]) -> None:
    """In the set and, through `plan` with only what was touched, in the kernel."""
    ruleset, current = RuleSet(OPTIONS), State()
    apply(current, ruleset.desired.tables)
    services: dict[str, list[ServicePort]] = {}
    for name, ports in steps:
        before = services.get(name, [])
        services[name] = [replace(p, service=name, name=n) for n, p in dict(ports).items()]
        touched = ruleset.replace(before, services[name])
        plan(current, ruleset.desired.tables, touched=touched)
        apply(current, ruleset.desired.tables, touched=touched)
    anew = desired([p for own in services.values() for p in own], OPTIONS)
    assert ruleset.desired == anew
    assert plan(current, anew.tables) == ""
    assert ruleset.size["nat"] == sum(map(len, anew.nat.values()))


def test_a_changed_endpoint_touches_its_service_alone() -> None:
    services = {name: [port(name, 3, 1)] for name in map(str, range(50))}
    ruleset, current = RuleSet(OPTIONS), State()
    touched = ruleset.replace((), [p for own in services.values() for p in own])
    apply(current, ruleset.desired.tables)
    assert len(touched - SHARED_CHAINS) == 50 * 4
    touched = ruleset.replace(services["7"], [port("7", 4, 1)])
    assert len(touched) == 5 and not touched & SHARED_CHAINS
    written = plan(current, ruleset.desired.tables, touched=touched)
    assert "KUBE-SERVICES" not in written, "a chain that has not changed is not written"
    assert sum(line.startswith(":") for line in written.splitlines()) == 2, "the service and the new endpoint"
