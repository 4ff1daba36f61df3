"""Brings the kernel's iptables to what is desired by changing only the chains that differ (upstream: pkg/util/iptables).

All of it is pure; `net.iptables` runs the binaries.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from .rules import (
    CANARY,
    EXTERNAL,
    FIREWALL,
    FORWARD,
    JUMPS,
    MARK_MASQ,
    NODEPORTS,
    POSTROUTING,
    PROXY_FIREWALL,
    SERVICES,
    Chains,
    Jump,
)

# iptables-nft-restore goes through all chains of a commit for each of its lines: 2,000 Services of 10 endpoints in one commit take it
# 76 s of CPU time, in commits of 200 chains 0.7 s. iptables-legacy-restore replaces the whole table at each commit: there it is one.
BATCH = 200

State = dict[str, Chains]  # chains of each table

OWN_PREFIXES = ("KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-", "KUBE-FW-", "KUBE-EXT-", "KUBE-XLB-")  # the last one until 1.23
OWN_CHAINS = frozenset({SERVICES, EXTERNAL, NODEPORTS, POSTROUTING, FORWARD, MARK_MASQ, CANARY, PROXY_FIREWALL})
# The kubelet makes them as well (the second one until 1.28): they stay at clean-up unless it goes, too.
SHARED_CHAINS = frozenset({FIREWALL, "KUBE-MARK-DROP"})


def parse(text: str) -> State:
    """What iptables-save printed."""
    state: State = {}
    chains: Chains = {}
    for line in text.splitlines():
        if line.startswith("-A "):
            _, chain, rule = line.split(" ", 2)
            chains.setdefault(chain, []).append(rule)
        elif line.startswith(":"):
            chains.setdefault(line[1:].partition(" ")[0], [])
        elif line.startswith("*"):
            chains = state.setdefault(line[1:], {})
    return state


def plan(
    current: State,
    desired: Mapping[str, Chains],
    jumps: Sequence[Jump] = JUMPS,
    touched: Collection[str] | None = None,
    batched: bool = True,
) -> str:
    """Input for iptables-restore --noflush that makes `current` what is desired; "" where nothing differs.

    One commit for each table where little changes, or not `batched`. Much is committed in batches, such that after each of them
    every Service is as before or as desired.

    Chains of services that are desired no longer are deleted; chains of others are left alone. `touched` names the chains
    that may differ (the rest is as desired, jumps too); None is all of them.
    """
    return "".join(
        "\n".join([f"*{name}", *lines, "COMMIT", ""])
        for name, chains in desired.items()
        for lines in _commits(name, current.get(name, {}), chains, jumps, touched, batched)
        if lines
    )


def _commits(
    name: str, current: Chains, desired: Chains, jumps: Sequence[Jump], touched: Collection[str] | None, batched: bool
) -> Iterator[list[str]]:
    """The lines of each, one after the other: all at once would be as much as all rules again."""
    if touched is None:
        changed = [chain for chain, rules in desired.items() if current.get(chain) != rules]
        stale = _stale(current, desired, current)
        # Each is put at the top, so the last one goes first.
        missing = [
            f"-I {chain} 1 {rule}"
            for table, chain, rule in reversed(jumps)
            if table == name and rule not in current.get(chain, ())
        ]
    else:
        ordered = sorted(touched)
        changed = [chain for chain in ordered if chain in desired and current.get(chain) != desired[chain]]
        stale, missing = _stale(current, desired, ordered), []
    if not batched or len(changed) + len(stale) <= BATCH:
        yield [*_section(changed, desired, stale), *missing, *(f"-X {chain}" for chain in stale)]
        return
    for part in _batches(changed):
        yield _section(part, desired)
    yield missing
    for part in reversed(_batches(stale)):
        yield [*_section((), desired, part), *(f"-X {chain}" for chain in part)]


def _section(chains: Sequence[str], desired: Chains, emptied: Sequence[str] = ()) -> list[str]:
    lines = [f":{chain} - [0:0]" for chain in (*chains, *emptied)]
    return lines + [f"-A {chain} {rule}" for chain in chains for rule in desired[chain]]


# Who leads to whom: endpoints' chains, ports' chains, external, source ranges; behind them what all ports share.
_RANKS = {"KUBE-SEP": 1, "KUBE-SVC": 2, "KUBE-SVL": 2, "KUBE-EXT": 3, "KUBE-FW-": 4, "KUBE-XLB": 4}


def _rank(chain: str) -> int:
    return 0 if chain == MARK_MASQ else _RANKS.get(chain[:8], 5)


def _batches(chains: Iterable[str]) -> list[list[str]]:
    """Of BATCH chains at most, none before those that its rules lead to: so any number of batches may be committed."""
    ordered = sorted(chains, key=_rank)
    return [ordered[start : start + BATCH] for start in range(0, len(ordered), BATCH)]


def _stale(current: Chains, desired: Chains, chains: Iterable[str]) -> list[str]:
    """Those of `chains` that are there for services and should not be."""
    return [c for c in chains if c not in desired and c in current and c.startswith(OWN_PREFIXES)]


def apply(
    current: State,
    desired: Mapping[str, Chains],
    jumps: Sequence[Jump] = JUMPS,
    touched: Collection[str] | None = None,
) -> None:
    """Makes `current` what iptables-save would print after `plan` was applied, so that it need not be asked."""
    for table, chains in desired.items():
        state = current.setdefault(table, {})
        for chain in _stale(state, chains, list(state) if touched is None else touched):
            del state[chain]
        state.update(chains if touched is None else {chain: chains[chain] for chain in touched if chain in chains})
    if touched is None:
        for table, chain, rule in reversed(jumps):
            rules = current[table].get(chain, [])
            if rule not in rules:
                current[table][chain] = [rule, *rules]


def has_own(state: State) -> bool:
    """Whether a proxy has been here."""
    return any(chain in OWN_CHAINS for chains in state.values() for chain in chains)


def removal(current: State, shared: bool = True) -> str:
    """Input for iptables-restore --noflush after which nothing of the proxy is left; with `shared` also what it shares with the kubelet."""
    goners = OWN_CHAINS | SHARED_CHAINS if shared else OWN_CHAINS
    return removal_of(current, lambda chain: chain in goners or chain.startswith(OWN_PREFIXES))


def removal_of(current: State, doomed: Callable[[str], bool]) -> str:
    """Input after which those chains are gone, and what led to them."""
    text = ""
    for table, chains in current.items():
        going = [chain for chain in chains if doomed(chain)]
        targets = {f"-j {chain}" for chain in going}
        lines = [f":{chain} - [0:0]" for chain in going]
        for chain, rules in chains.items():
            if chain not in going:
                lines += [f"-D {chain} {rule}" for rule in rules if _jump_of(rule) in targets]
        lines += [f"-X {chain}" for chain in going]
        if lines:
            text += "\n".join([f"*{table}", *lines, "COMMIT", ""])
    return text


def _jump_of(rule: str) -> str:
    """The rule's `-j TARGET`, without what may follow."""
    words = rule.split()
    return f"-j {words[words.index('-j') + 1]}" if "-j" in words[:-1] else ""


class Tables(Protocol):
    """What the proxy needs of one family's `net.iptables.IPTables`."""

    async def save(self) -> str:
        """iptables-save's output. ProgramError."""
        ...

    async def restore(self, text: str) -> None:
        """Applies all of a table's changes, or none. ProgramError."""
        ...
