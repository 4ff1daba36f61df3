"""What becomes of a packet under rules as iptables-save prints them: every way that chance may choose (upstream's tests have such a tracer).

It knows the matches and targets that a kube-proxy of any version writes, and fails at any other.
"""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

Tables = Mapping[str, Mapping[str, Sequence[str]]]  # table -> chain -> rules


@dataclass(frozen=True)
class Packet:
    """The first one of a connection."""

    source: str
    destination: str
    port: int
    protocol: str = "tcp"
    interface: str = ""  # where it comes in; "" from this node itself
    mark: int = 0
    translated: str = ""  # the endpoint it was sent on to


@dataclass(frozen=True)
class Outcome:
    """Where the packet goes, and with whose address."""

    verdict: str  # ACCEPT, DROP, REJECT
    endpoint: str = ""
    masqueraded: bool = False


def outcomes(tables: Tables, packet: Packet, local: frozenset[str]) -> set[Outcome]:
    """`local` are this node's addresses; loopback is, too."""
    tracer = _Tracer(tables, local)
    entrance = "PREROUTING" if packet.interface else "OUTPUT"
    results = set()
    for verdict, routed in tracer.run("nat", entrance, packet):
        assert verdict == "ACCEPT", f"nat says {verdict}"
        hook = "INPUT" if tracer.is_local(routed.destination) else "FORWARD"
        for passed, filtered in tracer.run("filter", hook if packet.interface else "OUTPUT", routed):
            if passed != "ACCEPT":
                results.add(Outcome(passed))
                continue
            for leaving, _ in tracer.run("nat", "POSTROUTING", filtered):
                results.add(Outcome("ACCEPT", filtered.translated, leaving == "MASQUERADE"))
    return results


class _Tracer:
    def __init__(self, tables: Tables, local: frozenset[str]) -> None:
        self._tables, self._local = tables, local

    def is_local(self, address: str) -> bool:
        return address in self._local or ipaddress.ip_address(address).is_loopback

    def run(self, table: str, chain: str, packet: Packet) -> Iterator[tuple[str, Packet]]:
        """Verdicts of a built-in chain; at its end everything is accepted."""
        for verdict, after in self._chain(table, chain, packet, 0):
            yield verdict or "ACCEPT", after

    def _chain(self, table: str, chain: str, packet: Packet, start: int) -> Iterator[tuple[str, Packet]]:
        """ "" where the chain has ended or returned."""
        rules = self._tables[table].get(chain, ())
        for number in range(start, len(rules)):
            words = shlex.split(rules[number])
            target, arguments = self._target(words)
            matched = self._matches(words, packet)
            if matched is None:  # chance: the other way, too
                yield from self._chain(table, chain, packet, number + 1)
            elif not matched:
                continue
            if target == "MARK":
                value, mask = (int(text, 16) for text in arguments[1].split("/"))
                packet = replace(packet, mark=packet.mark & ~mask ^ value)
            elif target == "DNAT":
                address, _, port = arguments[1].rpartition(":")
                packet = replace(packet, destination=address, port=int(port), translated=arguments[1])
                yield "ACCEPT", packet
                return
            elif target in ("ACCEPT", "DROP", "REJECT", "MASQUERADE"):
                yield target, packet
                return
            elif target == "RETURN":
                yield "", packet
                return
            elif target:
                branches = list(self._chain(table, target, packet, 0))
                for verdict, after in branches:
                    if verdict:
                        yield verdict, after
                    else:
                        yield from self._chain(table, chain, after, number + 1)
                return
            if matched is None:
                return
        yield "", packet

    def _target(self, words: list[str]) -> tuple[str, list[str]]:
        if "-j" not in words:
            return "", []
        at = words.index("-j")
        return words[at + 1], words[at + 2 :]

    def _matches(self, words: list[str], packet: Packet) -> bool | None:
        """None: by chance."""
        chance = False
        position = 0
        negated = False
        while position < len(words) and words[position] != "-j":
            word = words[position]
            position += 1
            if word == "!":
                negated = True
                continue
            value = words[position]
            position += 1
            if word == "-m":
                if value == "statistic":
                    chance = True
                    position += 4
                elif value == "recent":
                    rest = words[position:]
                    if "--rcheck" in rest:
                        return False  # the first packet of its sender
                    position = words.index("-j")
                elif value == "physdev":
                    position += 2  # nothing comes over a bridge here
                continue
            if self._one(word, value, packet) == negated:
                return False
            negated = False
        return None if chance else True

    def _one(self, word: str, value: str, packet: Packet) -> bool:
        match word:
            case "-s" | "-d":
                address = packet.source if word == "-s" else packet.destination
                return ipaddress.ip_address(address) in ipaddress.ip_network(value)
            case "-p":
                return packet.protocol == value
            case "-i":
                return packet.interface == value
            case "--dport":
                return packet.port == int(value)
            case "--comment":
                return True
            case "--dst-type" | "--src-type":
                assert value == "LOCAL", value
                return self.is_local(packet.destination if word == "--dst-type" else packet.source)
            case "--ctstate":
                return bool({"NEW", *(["DNAT"] if packet.translated else [])} & set(value.split(",")))
            case "--mark":
                mark, mask = (int(text, 16) for text in value.split("/"))
                return packet.mark & mask == mark
        raise AssertionError(f"a match that is not known: {word} {value}")
