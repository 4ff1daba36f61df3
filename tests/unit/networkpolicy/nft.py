"""A kernel for the words that kube-network-policies speaks to nft: takes commands as nft does, and says what becomes of a flow."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field

from .world import Flow

TABLE = "inet kube-network-policies"


@dataclass
class Kernel:
    """Refuses (AssertionError) what nft would refuse."""

    sets: dict[str, dict[str, str]] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    chains: dict[str, list[str]] = field(default_factory=dict)
    hooks: dict[str, str] = field(default_factory=dict)

    def apply(self, text: str) -> None:
        for line in text.splitlines():
            verb, kind, rest = re.fullmatch(rf"(\w+) (\w+) {TABLE} ?(.*)", line).groups()  # type: ignore[union-attr]
            getattr(self, f"_{verb}_{kind}")(rest)
        self._check_references()

    def _add_table(self, rest: str) -> None:
        pass

    def _delete_table(self, rest: str) -> None:
        self.sets, self.types, self.chains, self.hooks = {}, {}, {}, {}

    def _add_set(self, rest: str) -> None:
        name, body = rest.split(" ", 1)
        assert name not in self.sets
        self.sets[name], self.types[name] = {}, body

    _add_map = _add_set

    def _delete_set(self, name: str) -> None:
        del self.sets[name], self.types[name]

    _delete_map = _delete_set

    def _add_chain(self, rest: str) -> None:
        name, _, hook = rest.partition(" ")
        assert name not in self.chains
        self.chains[name] = []
        if hook:
            self.hooks[name] = hook

    def _flush_chain(self, name: str) -> None:
        self.chains[name].clear()

    def _delete_chain(self, name: str) -> None:
        del self.chains[name]

    def _add_rule(self, rest: str) -> None:
        name, rule = rest.split(" ", 1)
        self.chains[name].append(rule)

    def _elements(self, rest: str) -> tuple[str, list[tuple[str, str]]]:
        name, _, body = rest.partition(" ")
        items = [item.strip() for item in body.strip("{ }").split(",")]
        return name, [(e.strip(), v.strip()) for e, _, v in (item.partition(" : ") for item in items)]

    def _add_element(self, rest: str) -> None:
        name, items = self._elements(rest)
        for element, verdict in items:
            assert self.sets[name].get(element, verdict) == verdict, "an element has one verdict"
            self.sets[name][element] = verdict

    def _delete_element(self, rest: str) -> None:
        name, items = self._elements(rest)
        for element, _ in items:
            del self.sets[name][element]

    def _check_references(self) -> None:
        for rules in self.chains.values():
            for rule in rules:
                assert set(re.findall(r"@(\S+)", rule)) <= self.sets.keys(), rule
                assert set(re.findall(r"(?:jump|goto) (\S+)", rule)) <= self.chains.keys(), rule
        for elements in self.sets.values():
            assert {v.removeprefix("goto ") for v in elements.values() if v} <= self.chains.keys()

    # What becomes of a flow's packets.

    def passes(self, flow: Flow) -> bool:
        ordered = sorted(self.hooks, key=lambda name: int(re.findall(r"priority filter - (\d+)", self.hooks[name])[0]))
        return all(self._verdict(name, flow) != "drop" for name in reversed(ordered))

    def _verdict(self, chain: str, flow: Flow) -> str:
        for rule in self.chains[chain]:
            verdict = self._rule(rule, flow)
            if verdict.startswith(("jump ", "goto ")):
                word, target = verdict.split(" ")
                inner = self._verdict(target, flow)
                if inner or word == "goto":
                    return inner
            elif verdict:
                return verdict
        return ""

    def _rule(self, rule: str, flow: Flow) -> str:
        version = ipaddress.ip_address(flow.source).version
        while True:
            if rule.startswith(("icmpv6 type", "ct state", "meta l4proto {")):
                return ""  # neighbours, errors, and what belongs to no flow
            if match := re.match(r"meta l4proto (\w+) ", rule):
                if match[1] != flow.protocol.lower():
                    return ""
            elif match := re.match(r"ct reply proto-src (\S+) ", rule):
                among = self.sets[match[1][1:]] if match[1].startswith("@") else [match[1]]
                if not any(_port_in(flow.port, text) for text in among):
                    return ""
            elif match := re.match(
                r"ct (original|reply) (ip6?) saddr \. ct reply (?:ip6? saddr|proto-src) @(\S+) ", rule
            ):
                first = flow.source if match[1] == "original" else flow.destination
                second = flow.port if "proto-src" in match[0] else flow.destination
                if f"{first} . {second}" not in self.sets[match[3]]:
                    return ""
            elif match := re.match(r"ct (original|reply) (ip6?) saddr (vmap )?@(\S+) ?", rule):
                if match[2] != ("ip" if version == 4 else "ip6"):
                    return ""
                address = flow.source if match[1] == "original" else flow.destination
                if match[3]:
                    return self.sets[match[4]].get(address, "")
                if not any(_address_in(address, text) for text in self.sets[match[4]]):
                    return ""
            else:
                return rule
            rule = rule[match.end() :]


def _port_in(port: int, text: str) -> bool:
    first, _, last = text.partition("-")
    return int(first) <= port <= int(last or first)


def _address_in(address: str, text: str) -> bool:
    first, _, last = text.partition("-")
    parsed = int(ipaddress.ip_address(address))
    return int(ipaddress.ip_address(first)) <= parsed <= int(ipaddress.ip_address(last or first))
