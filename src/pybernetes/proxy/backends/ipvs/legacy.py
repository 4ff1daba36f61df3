"""What the mode leaves in iptables, and what the mode iptables would leave beside it: chains of both have the same names. Pure."""

from __future__ import annotations

from collections.abc import Collection

from ..iptables import rules as iptables
from ..iptables.tables import State
from . import rules, sets
from .sets import kernel_name

_COMMON = {("nat", chain) for chain in (rules.SERVICES, rules.POSTROUTING, rules.MARK_MASQ)} | {
    ("filter", chain) for chain in (rules.FORWARD, rules.PROXY_FIREWALL)
}
_OF_IPVS = {("nat", chain) for chain in (rules.NODE_PORT, rules.LOAD_BALANCER)} | {
    ("filter", chain) for chain in (rules.NODE_PORT, rules.SOURCE_RANGES, rules.IPVS_FILTER, rules.IPVS_OUT_FILTER)
}
_OF_IPTABLES = {("nat", iptables.NODEPORTS)} | {
    ("filter", chain) for chain in (iptables.SERVICES, iptables.EXTERNAL, iptables.NODEPORTS)
}
_OF_IPTABLES |= {(table, iptables.CANARY) for table in ("nat", "filter", "mangle")}


def of_iptables(current: State) -> str:
    """Input for iptables-restore --noflush after which chains and jumps that only the mode iptables has are gone."""
    return _removal(current, _OF_IPTABLES, set(iptables.JUMPS) - set(rules.JUMPS), ())


def of_ipvs(current: State, family: str) -> str:
    """Input for iptables-restore --noflush after which nothing leads to this mode's own chains, or asks its sets."""
    names = [kernel_name(name, family) for name in sets.SETS]
    return _removal(current, _OF_IPVS, set(rules.JUMPS) - set(iptables.JUMPS), names)


def _removal(
    current: State, doomed: Collection[tuple[str, str]], jumps: Collection[rules.Jump], asked: Collection[str]
) -> str:
    text = ""
    matches = [f"--match-set {name} " for name in asked]
    for table, chains in current.items():
        own = [chain for chain in chains if (table, chain) in doomed]
        lines = [f":{chain} - [0:0]" for chain in own]
        for chain, held in chains.items():
            if chain not in own:
                lines += [
                    f"-D {chain} {rule}"
                    for rule in held
                    if (table, chain, rule) in jumps
                    or any(rule.endswith(f"-j {target}") for target in own)
                    or any(match in rule for match in matches)
                ]
        lines += [f"-X {chain}" for chain in own]
        if lines:
            text += "\n".join([f"*{table}", *lines, "COMMIT", ""])
    return text
