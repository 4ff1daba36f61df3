"""A kernel in memory that takes what the mode ipvs does to it, and refuses what the real one would."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from pybernetes.net import ipvsmessages as ipvs
from pybernetes.net.ipvsmessages import Command, RealServer, Service, Use, VirtualServer
from pybernetes.net.netlinkmessages import attributes
from pybernetes.net.programs import ProgramError
from pybernetes.proxy.backends.iptables.tables import parse


@dataclass
class MemoryServers:
    """See `net.ipvs.IPVS`; commands are read as the kernel reads them."""

    held: dict[VirtualServer, Service] = field(default_factory=dict)
    real: dict[VirtualServer, dict[RealServer, Use]] = field(default_factory=dict)
    connections: dict[RealServer, int] = field(default_factory=dict)  # that are open, by where they lead
    listings: int = 0
    commands: list[str] = field(default_factory=list)
    timeouts: tuple[int, ...] = ()
    closed: bool = False

    def close(self) -> None:
        self.closed = True

    def services(self) -> dict[VirtualServer, Service]:
        self.listings += 1
        return dict(self.held)

    def destinations(self, server: VirtualServer) -> dict[RealServer, Use]:
        uses = self.real.get(server, {})
        return {real: replace(use, active=self.connections.get(real, 0)) for real, use in uses.items()}

    def apply(self, commands: Sequence[Command]) -> None:
        for command in commands:
            self.commands.append(command.about)
            number = self._one(command)
            if number and number not in command.harmless:
                raise OSError(number, command.about)

    def _one(self, command: Command) -> int:
        if command.number == ipvs.SET_CONFIG:
            values = attributes(command.body)
            self.timeouts = tuple(struct.unpack("=I", values[kind])[0] for kind in (4, 5, 6))
            return 0
        parsed = ipvs.parse_service(command.body)
        assert parsed is not None
        server, service = parsed
        known = server in self.held
        match command.number:
            case ipvs.NEW_SERVICE:
                if known:
                    return errno.EEXIST
                self.held[server], self.real[server] = service, {}
            case ipvs.SET_SERVICE if known:
                self.held[server] = service
            case ipvs.DEL_SERVICE if known:
                del self.held[server], self.real[server]
            case ipvs.NEW_DEST | ipvs.SET_DEST | ipvs.DEL_DEST if known:
                dest = ipvs.parse_dest(command.body, server)
                assert dest is not None
                real, use = dest
                present = real in self.real[server]
                if present == (command.number == ipvs.NEW_DEST):
                    return errno.EEXIST if present else errno.ENOENT
                if command.number == ipvs.DEL_DEST:
                    del self.real[server][real]
                else:
                    self.real[server][real] = use
            case _:
                return errno.ESRCH
        return 0


@dataclass
class MemoryDevice:
    """See `net.dummy.DummyDevice`."""

    there: bool = False
    own: set[str] = field(default_factory=set)
    others: set[str] = field(default_factory=lambda: {"192.0.2.2", "2001:db8:ffff::2"})

    closed: bool = False

    def ensure(self) -> None:
        self.there = True

    def close(self) -> None:
        self.closed = True

    def addresses(self) -> tuple[set[str], set[str]]:
        return set(self.own), set(self.others)

    def bind(self, addresses: Iterable[str]) -> None:
        assert self.there
        self.own |= set(addresses)

    def unbind(self, addresses: Iterable[str]) -> None:
        assert self.there
        self.own -= set(addresses)


@dataclass
class MemorySets:
    """See the module `net.ipset`."""

    held: dict[str, dict[str, None]] = field(default_factory=dict)
    declared: dict[str, str] = field(default_factory=dict)
    restores: int = 0

    async def save(self) -> str:
        lines = [f"create {name} {self.declared[name]} bucketsize 12" for name in self.held]
        return "\n".join([*lines, *(f"add {name} {text}" for name, texts in self.held.items() for text in texts)])

    async def restore(self, lines: Iterable[str]) -> None:
        self.restores += 1
        for line in lines:
            verb, name, text = line.split(" ", 2)
            if verb == "create":
                assert len(name) <= 31
                self.held.setdefault(name, {})
                self.declared[name] = text
            elif name not in self.held:
                raise ProgramError(f"ipset: {name} does not exist", 1)
            elif verb == "add":
                self.held[name][text] = None
            else:
                self.held[name].pop(text, None)


@dataclass
class MemoryTables:
    """See `net.iptables.IPTables`: keeps rules, and refuses one that asks a set, or jumps to a chain, that is not there."""

    sets: MemorySets
    chains: dict[str, dict[str, list[str]]] = field(
        default_factory=lambda: {
            "nat": {"PREROUTING": [], "OUTPUT": [], "POSTROUTING": []},
            "filter": {"INPUT": [], "FORWARD": [], "OUTPUT": []},
        }
    )
    restores: list[str] = field(default_factory=list)
    broken: bool = False

    async def save(self) -> str:
        text = ""
        for table, chains in self.chains.items():
            lines = [f":{chain} - [0:0]" for chain in chains]
            lines += [f"-A {chain} {rule}" for chain, rules in chains.items() for rule in rules]
            text += "\n".join([f"*{table}", *lines, "COMMIT", ""])
        assert parse(text) == self.chains
        return text

    async def restore(self, text: str) -> None:
        if self.broken:
            raise ProgramError("iptables-restore failed", 4)
        self.restores.append(text)
        chains: dict[str, list[str]] = {}
        for line in text.splitlines():
            if line.startswith("*"):
                chains = self.chains.setdefault(line[1:], {})
            elif line.startswith(":"):
                chains[line[1:].split(" ")[0]] = []
            elif line.startswith("-A "):
                _, chain, rule = line.split(" ", 2)
                chains[chain].append(rule)
            elif line.startswith("-I "):
                _, chain, _, rule = line.split(" ", 3)
                chains[chain].insert(0, rule)
            elif line.startswith("-D "):
                _, chain, rule = line.split(" ", 2)
                chains[chain].remove(rule)
            elif line.startswith("-X "):
                del chains[line.split(" ")[1]]
            elif line == "COMMIT":
                self._check(chains)

    def _check(self, chains: dict[str, list[str]]) -> None:
        for rule in (rule for rules in chains.values() for rule in rules):
            words = rule.split()
            target = words[words.index("-j") + 1] if "-j" in words else ""  # some only comment
            assert not target.startswith("KUBE-") or target in chains, rule
            for name in (words[n + 1] for n, word in enumerate(words) if word == "--match-set"):
                assert name in self.sets.held, rule
