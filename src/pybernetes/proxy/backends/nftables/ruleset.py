"""Which commands of nft bring the table from one state of services to the next. Pure; rules are made when they are needed, not kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ...model import sort_key
from .. import Changes, Services
from .listing import Listing, fingerprint
from .rules import (
    AFFINITY,
    BASE_CHAINS,
    REJECT,
    REJECT_COMMENT,
    TABLE,
    Key,
    Options,
    PortObjects,
    Value,
    containers,
    fixed_chains,
    fixed_elements,
    port_objects,
)

ELEMENTS_A_COMMAND = 200
MANY_CHAINS = 1000  # in one transaction
PortKey = tuple[str, str]
# By whom an element is wanted that no port asks for.
_FIXED: PortKey = ("", "")


@dataclass(slots=True)
class Script:
    """One transaction, in the order in which each command finds what it names."""

    # Commands for the table, and what ports share; a transaction of its own.
    base: list[str] = field(default_factory=list)
    chains: list[str] = field(default_factory=list)  # new ones
    lost: list[Key] = field(default_factory=list)
    flushed: list[str] = field(default_factory=list)  # chains that change or go
    unset: list[str] = field(default_factory=list)  # sets that go
    sets: dict[str, int] = field(default_factory=dict)  # new ones of clients
    rules: list[tuple[str, list[str]]] = field(default_factory=list)
    gained: list[tuple[Key, Value]] = field(default_factory=list)
    stale: set[str] = field(default_factory=set)  # chains to which nothing leads any longer: empty, to be deleted later

    def transactions(self, options: Options) -> Iterator[Iterable[str]]:
        """What ports want: one, unless there are many new chains. Those come first then, where nothing leads to them yet.

        For each anonymous set (by which a service chooses its endpoint) the kernel goes through all of the transaction so far:
        5,000 Services of 10 endpoints take it 16 s at once, and 1 s in parts.
        """
        if len(self.chains) <= MANY_CHAINS:
            yield from filter(None, [list(self.lines(options))])
            return
        own = f"{options.ip} {TABLE}"
        renewed = set(self.unset)
        fresh = [name for name in self.sets if name not in renewed]
        yield [_declared(name, self.sets[name], options) for name in fresh]
        rules = dict(self.rules)
        for part in _parts(self.chains):
            yield (
                *(f"add chain {own} {chain}" for chain in part),
                *_of_rules(own, ((chain, rules.pop(chain)) for chain in part)),
            )
        sets = {name: seconds for name, seconds in self.sets.items() if name in renewed}
        rest = replace(self, chains=[], rules=list(rules.items()), sets=sets)
        yield rest.lines(options)

    def lines(self, options: Options) -> Iterator[str]:
        """All that ports want as one transaction of nft."""
        own = f"{options.ip} {TABLE}"
        yield from (f"add chain {own} {chain}" for chain in self.chains)
        yield from _of_elements("delete", own, ((key, Value()) for key in self.lost))
        yield from (f"flush chain {own} {chain}" for chain in self.flushed)
        yield from (f"delete set {own} {name}" for name in self.unset)
        yield from (_declared(name, seconds, options) for name, seconds in self.sets.items())
        yield from _of_rules(own, self.rules)
        yield from _of_elements("add", own, self.gained)


def _parts(chains: Iterable[str]) -> Iterator[list[str]]:
    """Each after those that its rules lead to."""
    ranks = {"endpoint": 0, "service": 1, "local": 1}
    ordered = sorted(chains, key=lambda chain: ranks.get(chain.partition("-")[0], 2))
    return (ordered[start : start + MANY_CHAINS] for start in range(0, len(ordered), MANY_CHAINS))


def _declared(name: str, seconds: int, options: Options) -> str:
    """A set of clients."""
    kind = f"type {options.address_type} ; flags dynamic,timeout ; timeout {seconds}s ;"
    return f"add set {options.ip} {TABLE} {name} {{ {kind} }}"


def _of_rules(own: str, chains: Iterable[tuple[str, list[str]]]) -> Iterator[str]:
    return (f"add rule {own} {chain} {rule}" for chain, rules in chains for rule in rules)


def _of_elements(verb: str, own: str, elements: Iterable[tuple[Key, Value]]) -> Iterator[str]:
    """Many at once where they have the container in common: nft looks it up for each command."""
    batches: dict[str, list[str]] = {}
    for key, value in elements:
        words = batches.setdefault(key.container, [])
        note = f' comment "{value.comment}"' if value.comment else ""
        words.append(f"{key.key}{note} : {value.verdict}" if value.verdict else key.key)
        if len(words) == ELEMENTS_A_COMMAND:
            yield f"{verb} element {own} {key.container} {{ {', '.join(words)} }}"
            words.clear()
    for container, words in batches.items():
        if words:
            yield f"{verb} element {own} {container} {{ {', '.join(words)} }}"


class RuleSet:
    """Who wants which element: two ports may share one, as the ports of a Service share its cluster IP."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._owners: dict[Key, dict[PortKey, Value]] = {}
        self._own(_FIXED, fixed_elements(options))

    def change(self, changes: Changes) -> Script:
        """From the ports before to those after; the kernel holds what the ports before want."""
        script, options = Script(), self.options
        touched: dict[Key, Value | None] = {}  # as they were before
        for change in changes.values():
            before, after = (
                {sort_key(p): port_objects(p, options) for p in ports} for ports in (change.before, change.after)
            )
            for name in {**before, **after}:
                old, new = before.get(name, PortObjects()), after.get(name, PortObjects())
                _port(script, {c: fingerprint(r) for c, r in old.chains.items()}, old.affinity, new)
                _abandon(script, old.chains.keys() - new.chains.keys(), old.affinity.keys() - new.affinity.keys())
                for key in {**old.elements, **new.elements}:
                    touched.setdefault(key, self._value(key))
                self._disown(name, old.elements)
                self._own(name, new.elements)
        for key, former in touched.items():
            _element(script, key, former, self._value(key))
        return script

    def whole(self, services: Services, current: Listing, *, first: bool) -> Script:
        """Whatever differs between all that services want and what the kernel holds.

        `first`: base chains are made anew, since one of another version may have another priority, which cannot be changed.
        """
        script, options = Script(), self.options
        self._owners = {}
        self._own(_FIXED, fixed_elements(options))
        script.base = _base(options, current, first)
        chains = set(current.chains)
        sets = {name: seconds for name, seconds in current.timeouts.items() if name.startswith(AFFINITY)}
        for port in (port for own in services.values() for port in own):
            objects = port_objects(port, options)
            self._own(sort_key(port), objects.elements)
            _port(script, current.chains, sets, objects)
            chains -= objects.chains.keys()
            for name in objects.affinity:
                sets.pop(name, None)
        _abandon(script, {chain for chain in chains if "/" in chain}, sets.keys())
        for key in {**current.elements, **self._owners}:
            if not key.container.startswith(AFFINITY):
                _element(script, key, current.elements.get(key), self._value(key))
        return script

    def _own(self, name: PortKey, elements: Mapping[Key, Value]) -> None:
        for key, value in elements.items():
            self._owners.setdefault(key, {})[name] = value

    def _disown(self, name: PortKey, elements: Mapping[Key, Value]) -> None:
        for key in elements:
            owners = self._owners.get(key, {})
            owners.pop(name, None)
            if not owners:
                self._owners.pop(key, None)

    def _value(self, key: Key) -> Value | None:
        """Where two want it otherwise (an external IP of two Services), the first by name has it, whoever came first."""
        owners = self._owners.get(key)
        return owners[min(owners)] if owners else None


def _base(options: Options, current: Listing, first: bool) -> list[str]:
    """The table and what ports share, as far as it is not there."""
    own, fixed, commands = f"{options.ip} {TABLE}", fixed_chains(options), list[str]()
    if not current.chains and not current.containers:
        commands.append(f'add table {own} {{ comment "rules for kube-proxy" ; }}')
    commands += [f"add {declared}" for name, declared in containers(options).items() if name not in current.containers]
    for chain, hook in BASE_CHAINS.items():
        if first:
            commands += [f"add chain {own} {chain}", f"delete chain {own} {chain}"]
        if first or chain not in current.chains:
            commands.append(f"add chain {own} {chain} {{ {hook} ; }}")
    if first:  # of another version of the proxy: the kernel would still ask its base chains
        old = [chain for chain in current.chains if chain not in fixed and "/" not in chain]
        commands += [f"{verb} chain {own} {chain}" for verb in ("flush", "delete") for chain in old]
    commands += [
        f"add chain {own} {chain}" + (f' {{ comment "{REJECT_COMMENT}" ; }}' if chain == REJECT else "")
        for chain in fixed
        if chain not in BASE_CHAINS and chain not in current.chains
    ]
    for chain, rules in fixed.items():
        if (first and chain in BASE_CHAINS) or current.chains.get(chain) != fingerprint(rules):
            commands += [f"flush chain {own} {chain}", *_of_rules(own, [(chain, rules)])]
    return commands


def _port(script: Script, chains: Mapping[str, int], sets: Mapping[str, int], objects: PortObjects) -> None:
    """What one port wants, beside what there is of it: fingerprints of chains, seconds of sets.

    The time-out of a set cannot be changed: it is made anew, and its clients are sent anywhere once more. The chains that ask it
    would hold the old one, so they are written, too.
    """
    renewed = [name for name, seconds in objects.affinity.items() if sets.get(name, seconds) != seconds]
    for chain, rules in objects.chains.items():
        if chain not in chains:
            script.chains.append(chain)
        elif chains[chain] == fingerprint(rules) and not renewed:
            continue
        else:
            script.flushed.append(chain)
        script.rules.append((chain, rules))
    script.unset += renewed
    script.sets.update({n: s for n, s in objects.affinity.items() if sets.get(n) != s})


def _abandon(script: Script, chains: Iterable[str], sets: Iterable[str]) -> None:
    """What no port wants. Chains are only emptied: before 6.2 the kernel keeps the references of a deleted element for a while."""
    ordered = sorted(chains)
    script.flushed += ordered
    script.stale.update(ordered)
    script.unset += sorted(sets)


def _element(script: Script, key: Key, before: Value | None, after: Value | None) -> None:
    if before != after:
        if before is not None:
            script.lost.append(key)
        if after is not None:
            script.gained.append((key, after))
