"""The rules of all Service ports together; a change costs what changed, not what there is. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ...model import ServicePort, sort_key
from .rules import (
    CANARY,
    EXTERNAL,
    NODEPORTS,
    PROXY_FIREWALL,
    SERVICES,
    Chains,
    Options,
    PortRules,
    fixed_filter,
    fixed_nat,
    last_rules,
    port_rules,
)


@dataclass(slots=True)
class Desired:
    """Own chains of the tables."""

    nat: Chains = field(default_factory=dict)
    filter: Chains = field(default_factory=dict)
    mangle: Chains = field(default_factory=dict)

    @property
    def tables(self) -> dict[str, Chains]:
        """By name."""
        return {"nat": self.nat, "filter": self.filter, "mangle": self.mangle}


# (table, chain, what a port adds to it): chains that all ports share.
_SHARED: tuple[tuple[str, str, Callable[[PortRules], list[str]]], ...] = (
    ("nat", SERVICES, lambda rules: rules.services),
    ("nat", NODEPORTS, lambda rules: rules.node_ports),
    ("filter", SERVICES, lambda rules: rules.internal_filter),
    ("filter", EXTERNAL, lambda rules: rules.external_filter),
    ("filter", PROXY_FIREWALL, lambda rules: rules.source_filter),
    ("filter", NODEPORTS, lambda rules: rules.health_filter),
)
SHARED_CHAINS = frozenset(chain for _, chain, _ in _SHARED)


class RuleSet:
    """What should be in the kernel for one family under one set of options."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.desired = Desired(nat=fixed_nat(options), filter=fixed_filter(options), mangle={CANARY: []})
        self._ports: dict[tuple[str, str], PortRules] = {}  # by `sort_key`
        self._own = 0  # rules in chains of ports
        self._share()

    def replace(self, before: Iterable[ServicePort], after: Iterable[ServicePort]) -> set[str]:
        """Ports of services that changed; the chains that may differ now (of all tables), those that go among them."""
        touched: set[str] = set()
        gone: dict[tuple[str, str], PortRules] = {}
        for port in before:
            old = self._ports.pop(sort_key(port), None)
            if old is not None:
                gone[sort_key(port)] = old
                touched.update(old.chains)
                self._own -= old.size
                for chain in old.chains:
                    self.desired.nat.pop(chain, None)
        shared = False
        for port in after:
            new = port_rules(port, self.options)
            shared = shared or not _share_alike(gone.pop(sort_key(port), None), new)
            self._ports[sort_key(port)] = new
            touched.update(new.chains)
            self._own += new.size
            self.desired.nat.update(new.chains)
        if not shared and not gone:
            return touched  # another endpoint is no business of chains that have a rule for each service
        self._share()
        return touched | SHARED_CHAINS

    def _share(self) -> None:
        """The shared chains, services in order of their names."""
        ordered = [self._ports[key] for key in sorted(self._ports)]
        tables = self.desired.tables
        for table, chain, rules_of in _SHARED:
            tables[table][chain] = [rule for rules in ordered for rule in rules_of(rules)]
        self.desired.nat[SERVICES] += last_rules(self.options)

    @property
    def size(self) -> dict[str, int]:
        """Rules in each table."""
        fixed = (*SHARED_CHAINS, *fixed_nat(self.options))
        nat = self._own + sum(len(self.desired.nat.get(chain, ())) for chain in fixed)
        return {"nat": nat, "filter": sum(map(len, self.desired.filter.values())), "mangle": 0}


def _share_alike(old: PortRules | None, new: PortRules) -> bool:
    """Whether a port adds the same to the shared chains as before."""
    return old is not None and all(rules_of(old) == rules_of(new) for _, _, rules_of in _SHARED)


def desired(ports: Iterable[ServicePort], options: Options) -> Desired:
    """Everything that should be, for these ports; shared chains are there even when empty."""
    rules = RuleSet(options)
    rules.replace((), ports)
    return rules.desired
