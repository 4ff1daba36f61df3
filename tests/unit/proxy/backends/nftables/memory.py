"""A table in memory that takes the commands that the proxy writes, and refuses what the kernel would."""

from __future__ import annotations

import re
from collections.abc import Iterable
from io import StringIO
from typing import IO

from pybernetes.net.nftmessages import messages
from pybernetes.net.programs import ProgramError

_COMMAND = re.compile(
    r"(?P<verb>add|delete|flush|list) (?P<kind>table|set|map|chain|rule|element) ip6? kube-proxy ?(?P<rest>.*)",
    re.DOTALL,
)


class MemoryTable:
    """See `net.nftables.NFTables`."""

    def __init__(self) -> None:
        self.exists, self.generation, self.broken = False, 1, False
        self.sets: dict[str, str] = {}  # -> its declaration
        self.elements: dict[str, dict[str, tuple[str, str]]] = {}  # key -> verdict, comment
        self.chains: dict[str, list[str]] = {}
        self.applied: list[list[str]] = []

    async def listing(self, containers: object) -> IO[str] | None:
        return StringIO(self.text()) if self.exists else None

    async def apply(self, lines: Iterable[str]) -> None:
        commands = list(lines)
        if self.broken:
            raise ProgramError("nft -f - failed (1)", 1)
        for command in commands:
            self._apply(command)
        self.applied.append(commands)
        self.generation += 1

    def send(self, commands: Iterable[str]) -> None:
        """As the kernel takes it: what is no message is refused."""
        commands = list(commands)
        if self.broken:
            raise OSError(22, "nftables: Invalid argument")
        list(messages(commands, "ip kube-proxy" if "ip kube-proxy" in commands[0] else "ip6 kube-proxy"))
        for command in commands:
            self._apply(command)
        self.applied.append(commands)
        self.generation += 1

    def text(self) -> str:
        """As nft prints it."""
        lines = ["table ip kube-proxy {"]
        for name, declaration in self.sets.items():
            kind = "map" if "verdict" in declaration else "set"
            timeout = re.search(r"timeout (\d+)s", declaration)
            inner = [f"timeout {timeout[1]}s"] if timeout else []
            words = [
                f"{key}{f' comment {comment}' if comment else ''}{f' : {verdict}' if verdict else ''}"
                for key, (verdict, comment) in self.elements[name].items()
            ]
            if words:
                inner.append(f"elements = {{ {', '.join(words)} }}")
            lines += [f"\t{kind} {name} {{", *(f"\t\t{line}" for line in inner), "\t}"]
        for chain, rules in self.chains.items():
            lines += [f"\tchain {chain} {{", *(f"\t\t{rule}" for rule in rules), "\t}"]
        return "\n".join([*lines, "}"])

    def _apply(self, command: str) -> None:
        match = _COMMAND.fullmatch(command)
        assert match is not None, command
        verb, kind, rest = match["verb"], match["kind"], match["rest"]
        name, _, more = rest.partition(" ")
        if verb == "add" and kind == "table":
            self.exists = True
            return
        assert self.exists, "there is no table"
        match verb, kind:
            case "add", "set" | "map":
                assert self.sets.setdefault(name, more) == more, f"{name} is there otherwise"
                self.elements.setdefault(name, {})
            case "delete", "set":
                assert not any(f"@{name} " in rule for rules in self.chains.values() for rule in rules), (
                    f"{name} is in use"
                )
                del self.sets[name], self.elements[name]
            case "add", "chain":
                self.chains.setdefault(name, [])
            case "flush", "chain":
                self.chains[name].clear()
            case "delete", "chain":
                assert name not in self._targets(), f"something leads to {name}"
                del self.chains[name]
            case "add", "rule":
                self.chains[name].append(more)
                assert self._of_rule(more) <= self.chains.keys() | self.sets.keys(), more
            case _, "element":
                for word in more.removeprefix("{ ").removesuffix(" }").split(", "):
                    key, _, value = word.partition(" : ")
                    key, _, comment = key.partition(" comment ")
                    if verb == "delete":
                        del self.elements[name][key]
                    else:
                        assert key not in self.elements[name] or not value, f"{name} has {key}"
                        self.elements[name][key] = (value, comment)
                        assert not value.startswith("goto ") or value.removeprefix("goto ") in self.chains, word
            case _:
                raise AssertionError(command)

    def _of_rule(self, rule: str) -> set[str]:
        return set(re.findall(r"(?:goto |jump |@)([^ ,]+)", rule))

    def _targets(self) -> set[str]:
        values = {
            verdict.removeprefix("goto ") for elements in self.elements.values() for verdict, _ in elements.values()
        }
        return values.union(*(self._of_rule(rule) for rules in self.chains.values() for rule in rules))
