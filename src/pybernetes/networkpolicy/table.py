"""A table of nftables as data: sets, maps and chains, and the text that makes the kernel's one like it.

Every change is remembered until `transaction` is asked for, so that its text is as long as what has changed, however large the table is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

FAMILY, NAME = "inet", "kube-network-policies"
TABLE = f"{FAMILY} {NAME}"
COMMENT_LENGTH = 120  # nftables takes 127 bytes
ELEMENTS_A_LINE = 1000  # only so that lines of an error message stay readable


@dataclass(frozen=True, slots=True)
class SetType:
    """`type` as nft writes it ("ipv4_addr . inet_service"); a verdict map's elements have verdicts."""

    type: str
    is_map: bool = False
    interval: bool = False
    comment: str = ""

    @property
    def word(self) -> str:
        return "map" if self.is_map else "set"

    def body(self) -> str:
        """Between the braces."""
        verdict = " : verdict" if self.is_map else ""
        flags = " flags interval;" if self.interval else ""
        comment = f' comment "{self.comment[:COMMENT_LENGTH]}";' if self.comment else ""
        return f"{{ type {self.type}{verdict};{flags}{comment} }}"


@dataclass(frozen=True, slots=True)
class NamedSet:
    """Elements with their verdicts ("" in what is no map)."""

    type: SetType
    elements: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chain:
    """`hook` is there for a base chain only: its type, hook, priority and policy."""

    rules: tuple[str, ...]
    hook: str = ""

    def body(self) -> str:
        return f"{{ {self.hook} }}" if self.hook else ""


class Table:
    """The table as it should be. Names are kept apart: no chain is called as a set is."""

    def __init__(self) -> None:
        self.sets: dict[str, NamedSet] = {}
        self.chains: dict[str, Chain] = {}
        # What there was at the last transaction, of what has been touched since; None for what was not there.
        self._sets_before: dict[str, SetType | None] = {}
        self._elements_before: dict[str, dict[str, str | None]] = {}
        self._chains_before: dict[str, Chain | None] = {}

    def add_set(self, name: str, type: SetType, elements: Iterable[str] = ()) -> None:
        """A new one."""
        self._sets_before.setdefault(name, None)
        self.sets[name] = NamedSet(type)
        for element in elements:
            self.put(name, element)

    def remove_set(self, name: str) -> None:
        """With its elements; no rule may speak of it any more when the transaction is taken."""
        gone = self.sets[name]
        for element in list(gone.elements):
            self.drop(name, element)
        self._sets_before.setdefault(name, gone.type)
        del self.sets[name]

    def put(self, name: str, element: str, verdict: str = "") -> None:
        """The element is in the set, with this verdict."""
        elements = self.sets[name].elements
        self._elements_before.setdefault(name, {}).setdefault(element, elements.get(element))
        elements[element] = verdict

    def drop(self, name: str, element: str) -> None:
        """The element is not in the set."""
        elements = self.sets[name].elements
        self._elements_before.setdefault(name, {}).setdefault(element, elements.get(element))
        elements.pop(element, None)

    def set_chain(self, name: str, chain: Chain) -> None:
        """Its rules are these, whether it was there or not."""
        before = self.chains.get(name)
        if before != chain:
            self._chains_before.setdefault(name, before)
            self.chains[name] = chain

    def remove_chain(self, name: str) -> None:
        """No rule or verdict may lead to it any more when the transaction is taken."""
        self._chains_before.setdefault(name, self.chains[name])
        del self.chains[name]

    def whole(self) -> str:
        """What puts this table in the place of whatever is there, in one step."""
        self._forget()
        lines = [f"add table {TABLE}", f"delete table {TABLE}", f"add table {TABLE}"]
        lines += [f"add {s.type.word} {TABLE} {name} {s.type.body()}" for name, s in self.sets.items()]
        lines += [f"add chain {TABLE} {name}" for name, chain in self.chains.items() if not chain.hook]
        lines += _rules({name: chain for name, chain in self.chains.items() if not chain.hook})
        for name, each in self.sets.items():
            lines += _elements("add", name, each.elements)
        # Base chains come last: they lead to what is above.
        based = {name: chain for name, chain in self.chains.items() if chain.hook}
        lines += [f"add chain {TABLE} {name} {chain.body()}" for name, chain in based.items()]
        return "\n".join([*lines, *_rules(based), ""])

    def transaction(self) -> str:
        """What brings a kernel that has had all transactions before to this table, in one step; "" where nothing has changed."""
        sets = {n: t for n, t in self._sets_before.items() if (t is None) != (n not in self.sets)}
        chains = {n: c for n, c in self._chains_before.items() if self.chains.get(n) != c}
        fresh_sets = {name for name, type in sets.items() if type is None}
        gone_sets = sets.keys() - fresh_sets
        lines = [
            f"add {self.sets[n].type.word} {TABLE} {n} {self.sets[n].type.body()}" for n in sets if n in fresh_sets
        ]
        lines += [f"add chain {TABLE} {name}" for name, before in chains.items() if before is None]
        stale, fresh = self._changed_elements(gone_sets)
        for name, elements in stale.items():
            lines += _elements("delete", name, elements)
        lines += [f"flush chain {TABLE} {name}" for name, before in chains.items() if before is not None]
        lines += _rules({name: self.chains[name] for name in chains if name in self.chains})
        for name, elements in fresh.items():
            lines += _elements("add", name, elements)
        lines += [f"delete chain {TABLE} {name}" for name in chains if name not in self.chains]
        # A map lets go of its chains with its elements, which are deleted above.
        lines += [f"delete {sets[name].word} {TABLE} {name}" for name in sets if name in gone_sets]  # type: ignore[union-attr]
        self._forget()
        return "\n".join([*lines, ""]) if lines else ""

    def _changed_elements(
        self, gone_sets: Iterable[str]
    ) -> tuple[dict[str, dict[str, str]], dict[str, dict[str, str]]]:
        """What is to be deleted, and added, by set; elements of plain sets that go as a whole are not named."""
        stale: dict[str, dict[str, str]] = {}
        fresh: dict[str, dict[str, str]] = {}
        gone = set(gone_sets)
        for name, before in self._elements_before.items():
            now = self.sets[name].elements if name in self.sets else {}
            for element, verdict in before.items():
                current = now.get(element)
                if current == verdict:
                    continue
                if verdict is not None and name not in gone:
                    stale.setdefault(name, {})[element] = verdict
                if current is not None:
                    fresh.setdefault(name, {})[element] = current
        return stale, fresh

    def _forget(self) -> None:
        self._sets_before, self._elements_before, self._chains_before = {}, {}, {}


def _rules(chains: Mapping[str, Chain]) -> list[str]:
    return [f"add rule {TABLE} {name} {rule}" for name, chain in chains.items() for rule in chain.rules]


def _elements(verb: str, name: str, elements: Mapping[str, str]) -> list[str]:
    words = [f"{element} : {verdict}" if verdict else element for element, verdict in elements.items()]
    pieces = [words[start : start + ELEMENTS_A_LINE] for start in range(0, len(words), ELEMENTS_A_LINE)]
    return [f"{verb} element {TABLE} {name} {{ {', '.join(piece)} }}" for piece in pieces]
