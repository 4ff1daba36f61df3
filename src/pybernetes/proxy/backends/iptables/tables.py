"""Brings the kernel's iptables to what is desired by changing only the chains that differ (upstream: pkg/util/iptables).

All of it is pure; `net.iptables` runs the binaries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from .rules import CANARY, EXTERNAL, FORWARD, JUMPS, MARK_MASQ, NODEPORTS, POSTROUTING, SERVICES, Chains, Jump

State = dict[str, Chains]  # chains of each table

OWN_PREFIXES = ("KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-", "KUBE-FW-", "KUBE-XLB-", "KUBE-EXT-")
# Chains that only the proxy fills; KUBE-FIREWALL and KUBE-MARK-DROP are the kubelet's too and stay at clean-up.
OWN_CHAINS = frozenset({SERVICES, EXTERNAL, NODEPORTS, POSTROUTING, FORWARD, MARK_MASQ, CANARY, "KUBE-PROXY-FIREWALL"})
SHARED_CHAINS = frozenset({"KUBE-FIREWALL", "KUBE-MARK-DROP"})


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


def plan(current: State, desired: Mapping[str, Chains], jumps: Sequence[Jump] = JUMPS) -> str:
    """Input for iptables-restore --noflush that makes `current` what is desired; "" where nothing differs.

    Chains of services that are desired no longer are deleted; chains of others are left alone.
    """
    return "".join(
        _table(name, current.get(name, {}), chains, [(c, r) for t, c, r in jumps if t == name])
        for name, chains in desired.items()
    )


def _table(name: str, current: Chains, desired: Chains, jumps: list[tuple[str, str]]) -> str:
    changed = [chain for chain, rules in desired.items() if current.get(chain) != rules]
    stale = [chain for chain in current if chain.startswith(OWN_PREFIXES) and chain not in desired]
    # Each is put at the top, so the last one goes first.
    missing = [f"-I {chain} 1 {rule}" for chain, rule in reversed(jumps) if rule not in current.get(chain, ())]
    lines = [f":{chain} - [0:0]" for chain in (*changed, *stale)]
    lines += [f"-A {chain} {rule}" for chain in changed for rule in desired[chain]]
    lines += missing
    lines += [f"-X {chain}" for chain in stale]
    return "\n".join([f"*{name}", *lines, "COMMIT", ""]) if lines else ""


def outcome(current: State, desired: Mapping[str, Chains], jumps: Sequence[Jump] = JUMPS) -> State:
    """What iptables-save would print after `plan` was applied, so that it need not be asked."""
    state = {table: dict(chains) for table, chains in current.items()}
    for table, chains in desired.items():
        mine = state.setdefault(table, {})
        for chain in [c for c in mine if c.startswith(OWN_PREFIXES) and c not in chains]:
            del mine[chain]
        mine.update(chains)
    for table, chain, rule in reversed(jumps):
        rules = state[table].get(chain, [])
        if rule not in rules:
            state[table][chain] = [rule, *rules]
    return state


def has_own(state: State) -> bool:
    """Whether a proxy has been here."""
    return any(chain in OWN_CHAINS for chains in state.values() for chain in chains)


def removal(current: State, shared: bool = True) -> str:
    """Input for iptables-restore --noflush after which nothing of the proxy is left; with `shared` also what it shares with the kubelet."""
    goners = OWN_CHAINS | SHARED_CHAINS if shared else OWN_CHAINS
    text = ""
    for table, chains in current.items():
        doomed = [c for c in chains if c in goners or c.startswith(OWN_PREFIXES)]
        targets = {f"-j {chain}" for chain in doomed}
        lines = [f":{chain} - [0:0]" for chain in doomed]
        for chain, rules in chains.items():
            if chain not in doomed:
                lines += [f"-D {chain} {rule}" for rule in rules if _jump_of(rule) in targets]
        lines += [f"-X {chain}" for chain in doomed]
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
