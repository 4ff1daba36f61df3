"""Which pods of this node are isolated, and who may reach whom: objects in, a `Table` out; the work is as much as what changes.

Of policies that isolate no pod of this node nothing is in the table. Sets are shared by all rules that mean the same pods, addresses or
ports, and go with the last of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from . import rules
from .pod import NamedPort, PolicyPod
from .policy import PeerPods, Policy, Rule
from .rules import DIRECTIONS, VERSIONS
from .table import SetType, Table

Key = tuple[str, str]  # (namespace, name)
K = TypeVar("K")


@dataclass(slots=True)
class _Group:
    """Pods that rules speak of; `users` counts the rules."""

    peer: PeerPods
    users: int = 0
    members: set[Key] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Isolated:
    """What is in the table for a pod of this node."""

    policies: tuple[Key, ...]
    chains: Mapping[str, tuple[str, ...]]  # the policies' chains, by direction
    addresses: tuple[str, ...]


NOT_ISOLATED = _Isolated((), dict.fromkeys(DIRECTIONS, ()), ())


class Isolation:
    """Told of every change, in any order."""

    def __init__(self, node: str) -> None:
        self._node = node
        self.table = Table()
        rules.base(self.table)
        self._policies: dict[str, dict[str, Policy]] = {}  # by namespace and name
        self._pods: dict[Key, PolicyPod] = {}
        self._pods_in: dict[str, set[Key]] = {}
        self._namespaces: dict[str, Mapping[str, str]] = {}
        self._claims: dict[str, list[Key]] = {}  # who says that an address is theirs; the last one has it
        self._claiming: dict[Key, PolicyPod] = {}  # pods with all addresses that they claim
        self._groups: dict[PeerPods, _Group] = {}
        self._groups_in: dict[str, dict[PeerPods, None]] = {}  # by the one namespace that they are of, "" for all
        self._shared: Counter[str] = Counter()  # users of sets that never change
        self._named: Counter[NamedPort] = Counter()
        self._active: dict[Key, Policy] = {}  # those in the table
        self._isolating: Counter[Key] = Counter()  # how many pods of this node they isolate
        self._isolated: dict[Key, _Isolated] = {}
        self._chain_users: Counter[str] = Counter()

    @property
    def needed(self) -> bool:
        """Whether there is any policy."""
        return bool(self._policies)

    @property
    def isolated_pods(self) -> int:
        return len(self._isolated)

    @property
    def policies(self) -> int:
        """Those in the table."""
        return len(self._active)

    # What happens.

    def set_policy(self, key: Key, policy: Policy | None) -> None:
        """None: it is gone."""
        namespace, name = key
        before = self._policies.get(namespace, {}).get(name)
        if before == policy:
            return
        if policy is not None:
            self._policies.setdefault(namespace, {})[name] = policy
        else:
            del self._policies[namespace][name]
            if not self._policies[namespace]:
                del self._policies[namespace]
        if policy is not None and key in self._active:
            self._replace(key, policy)
        for pod_key in sorted(self._pods_in.get(namespace, ())):
            pod = self._pods[pod_key]
            if any(each is not None and each.pods.matches(pod.labels) for each in (before, policy)):
                self._isolate(pod_key)

    def set_namespace(self, name: str, labels: Mapping[str, str] | None) -> None:
        """None: it is gone."""
        if self._namespaces.get(name) == labels:
            return
        if labels is None:
            del self._namespaces[name]
        else:
            self._namespaces[name] = labels
        for key in self._pods_in.get(name, ()):
            for peer in self._groups_in.get("", ()):
                self._regroup(self._groups[peer], key, self._pods[key], self._pods[key])

    def set_pod(self, key: Key, pod: PolicyPod | None) -> None:
        """None: it is gone, or policies have nothing to say about it."""
        before = self._claiming.get(key)
        if before == pod:
            return
        affected = {key}
        for address in before.addresses if before is not None else ():
            affected.update(self._claims[address])
            self._claims[address].remove(key)
            if not self._claims[address]:
                del self._claims[address]
        for address in pod.addresses if pod is not None else ():
            affected.update(self._claims.setdefault(address, []))
            self._claims[address].append(key)
        if pod is not None:
            self._claiming[key] = pod
        else:
            self._claiming.pop(key, None)
        after = {each: self._with_own_addresses(each) for each in sorted(affected)}
        if len(after) > 1:  # whoever loses an address lets it go before another takes it
            for each, changed in after.items():
                self._place(each, _keeping(self._pods.get(each), changed))
        for each, changed in after.items():
            self._place(each, changed)

    def _with_own_addresses(self, key: Key) -> PolicyPod | None:
        """An address that several pods claim, as one that ends and one that begins may, is that of the last."""
        pod = self._claiming.get(key)
        if pod is None:
            return None
        own = tuple(address for address in pod.addresses if self._claims[address][-1] == key)
        return pod if own == pod.addresses else pod.having(own)

    def _place(self, key: Key, pod: PolicyPod | None) -> None:
        before = self._pods.get(key)
        if before == pod:
            return
        namespace = key[0]
        if pod is not None:
            self._pods[key] = pod
            self._pods_in.setdefault(namespace, set()).add(key)
        else:
            del self._pods[key]
            self._pods_in[namespace].discard(key)
            if not self._pods_in[namespace]:
                del self._pods_in[namespace]
        for scope in (namespace, ""):
            for peer in self._groups_in.get(scope, ()):
                self._regroup(self._groups[peer], key, before, pod)
        for port in self._named.keys() & {*(before.ports if before else ()), *(pod.ports if pod else ())}:
            self._rename(port, before, pod)
        if any(each is not None and each.node == self._node for each in (before, pod)):
            self._isolate(key)

    def _regroup(self, group: _Group, key: Key, before: PolicyPod | None, after: PolicyPod | None) -> None:
        """The pod's addresses are in the group's sets where it is a member."""
        old = before.addresses if before is not None and key in group.members else ()
        is_member = after is not None and group.peer.has(after, self._namespaces.get(key[0], {}))
        new = after.addresses if after is not None and is_member else ()
        if is_member:
            group.members.add(key)
        else:
            group.members.discard(key)
        for address in old:
            if address not in new:
                self.table.drop(rules.pods_set(group.peer, _version(address)), address)
        for address in new:
            if address not in old:
                self.table.put(rules.pods_set(group.peer, _version(address)), address)

    def _rename(self, port: NamedPort, before: PolicyPod | None, after: PolicyPod | None) -> None:
        """The pod's addresses with its number of the port are in the port's sets."""
        old, new = _endpoints(before, port), _endpoints(after, port)
        for address, number in old - new:
            self.table.drop(rules.named_set(port, _version(address)), f"{address} . {number}")
        for address, number in new - old:
            self.table.put(rules.named_set(port, _version(address)), f"{address} . {number}")

    # The pods of this node.

    def _isolate(self, key: Key) -> None:
        """The maps lead from the pod's addresses to what its policies say."""
        before, after = self._isolated.get(key, NOT_ISOLATED), NOT_ISOLATED
        pod = self._pods.get(key)
        if pod is not None and pod.node == self._node and pod.addresses:
            after = self._isolation(pod)
        if before == after:
            return
        for policy in after.policies:
            if policy not in before.policies:
                self._use(policy)
        for direction in DIRECTIONS:
            self._lead(direction, before, after)
        for address in before.addresses:
            if address not in after.addresses:
                self.table.drop(rules.self_set(_version(address)), f"{address} . {address}")
        for address in after.addresses:
            if address not in before.addresses:
                self.table.put(rules.self_set(_version(address)), f"{address} . {address}")
        for policy in before.policies:
            if policy not in after.policies:
                self._leave(policy)
        if after.policies:
            self._isolated[key] = after
        else:
            del self._isolated[key]

    def _isolation(self, pod: PolicyPod) -> _Isolated:
        isolating = [p for p in self._policies.get(pod.namespace, {}).values() if p.pods.matches(pod.labels)]
        if not isolating:
            return NOT_ISOLATED
        isolating.sort(key=lambda policy: policy.name)
        chains = {
            direction: tuple(rules.policy_chain(p, direction) for p in isolating if p.rules(direction) is not None)
            for direction in DIRECTIONS
        }
        return _Isolated(tuple((p.namespace, p.name) for p in isolating), chains, pod.addresses)

    def _lead(self, direction: str, before: _Isolated, after: _Isolated) -> None:
        old, new = before.chains[direction], after.chains[direction]
        old_name, new_name = rules.isolated_chain(direction, old), rules.isolated_chain(direction, new)
        if new:
            self._chain_users[new_name] += 1
            self.table.set_chain(new_name, rules.isolated_rules(new))
        for address in before.addresses if old else ():
            if not new or address not in after.addresses:
                self.table.drop(rules.isolated_map(direction, _version(address)), address)
        for address in after.addresses if new else ():
            self.table.put(rules.isolated_map(direction, _version(address)), address, f"goto {new_name}")
        if old and _released(self._chain_users, old_name):
            self.table.remove_chain(old_name)

    # Policies of which something is in the table.

    def _use(self, key: Key) -> None:
        """A pod more is isolated by it."""
        self._isolating[key] += 1
        if self._isolating[key] == 1:
            policy = self._policies[key[0]][key[1]]
            self._active[key] = policy
            self._acquire(policy)
            self._write_chains(policy)

    def _leave(self, key: Key) -> None:
        """A pod less."""
        if _released(self._isolating, key):
            policy = self._active.pop(key)
            for direction in DIRECTIONS:
                if policy.rules(direction) is not None:
                    self.table.remove_chain(rules.policy_chain(policy, direction))
            self._release(policy)

    def _replace(self, key: Key, policy: Policy) -> None:
        """What both say stays in the table."""
        before, self._active[key] = self._active[key], policy
        self._acquire(policy)
        self._write_chains(policy)
        for direction in DIRECTIONS:
            if before.rules(direction) is not None and policy.rules(direction) is None:
                self.table.remove_chain(rules.policy_chain(before, direction))
        self._release(before)

    def _write_chains(self, policy: Policy) -> None:
        for direction in DIRECTIONS:
            own = policy.rules(direction)
            if own is not None:
                self.table.set_chain(rules.policy_chain(policy, direction), rules.policy_rules(direction, own))

    # The sets that rules speak of.

    def _acquire(self, policy: Policy) -> None:
        for rule in (*(policy.ingress or ()), *(policy.egress or ())):
            for peer in rule.pods:
                self._acquire_group(peer)
            for name, type, elements in _fixed(rule):
                self._shared[name] += 1
                if self._shared[name] == 1:
                    self.table.add_set(name, type, elements)
            for port in _named(rule):
                self._named[port] += 1
                if self._named[port] == 1:
                    for version in VERSIONS:
                        self.table.add_set(rules.named_set(port, version), rules.named_type(version))
                    for pod in self._pods.values():
                        self._rename(port, None, pod)

    def _release(self, policy: Policy) -> None:
        for rule in (*(policy.ingress or ()), *(policy.egress or ())):
            for peer in rule.pods:
                self._release_group(peer)
            for name, _, _ in _fixed(rule):
                if _released(self._shared, name):
                    self.table.remove_set(name)
            for port in _named(rule):
                if _released(self._named, port):
                    for version in VERSIONS:
                        self.table.remove_set(rules.named_set(port, version))

    def _acquire_group(self, peer: PeerPods) -> None:
        group = self._groups.get(peer)
        if group is None:
            group = self._groups[peer] = _Group(peer)
            self._groups_in.setdefault(peer.namespace, {})[peer] = None
            for version in VERSIONS:
                self.table.add_set(rules.pods_set(peer, version), rules.pods_type(peer, version))
            candidates: Iterable[Key] = self._pods_in.get(peer.namespace, ()) if peer.namespace else self._pods
            for key in candidates:
                self._regroup(group, key, None, self._pods[key])
        group.users += 1

    def _release_group(self, peer: PeerPods) -> None:
        group = self._groups[peer]
        group.users -= 1
        if not group.users:
            del self._groups[peer]
            del self._groups_in[peer.namespace][peer]
            for version in VERSIONS:
                self.table.remove_set(rules.pods_set(peer, version))


def _fixed(rule: Rule) -> Iterator[tuple[str, SetType, list[str]]]:
    """The sets of a rule that never change: addresses of its blocks, and ports."""
    for version in VERSIONS:
        ranges = rule.blocks[version]
        if ranges:
            type = SetType(rules.ADDRESS[version], interval=True)
            yield rules.block_set(ranges, version), type, rules.block_elements(ranges, version)
    for ports in rule.ports or ():
        if not ports.everything and len(ports.ranges) > 1:
            elements = rules.ports_elements(ports.ranges)
            yield rules.ports_set(ports.ranges), SetType("inet_service", interval=True), elements


def _named(rule: Rule) -> list[NamedPort]:
    return [port for ports in rule.ports or () if not ports.everything for port in ports.named()]


def _endpoints(pod: PolicyPod | None, port: NamedPort) -> set[tuple[str, int]]:
    if pod is None:
        return set()
    return {(address, number) for address in pod.addresses for number in pod.ports.get(port, ())}


def _keeping(before: PolicyPod | None, after: PolicyPod | None) -> PolicyPod | None:
    """What is there before and after."""
    if before is None or after is None:
        return None
    return after.having(tuple(address for address in before.addresses if address in after.addresses))


def _released(users: Counter[K], key: K) -> bool:
    """Whether that was the last user."""
    users[key] -= 1
    if users[key]:
        return False
    del users[key]
    return True


def _version(address: str) -> int:
    return 6 if ":" in address else 4
