"""What of some rules others do not cover (upstream: component-helpers/auth/rbac/validation, Covers). Pure.

Upstream breaks rules down into one verb on one resource of one group, and compares each with each: a rule of a thousand groups, resources and
verbs is a thousand million. Here values that the same owned rules have are one class, and classes are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice, product
from typing import Final

from .rules import ALL, Rule

MAX_COMPARED: Final = 100_000  # combinations of classes; what is not compared is not covered
MAX_OWNED: Final = 8192  # rules that are looked at; of those that share no verb with what is asked any number
MAX_MISSING: Final = 10_000  # broken-down rules that a refusal can name

Owners = int  # the owned rules that have a value: bit N for the Nth


class _Index:
    """Which owned rules have a value of one field."""

    def __init__(self, owned: Sequence[Rule], name: str) -> None:
        self._owners: dict[str, Owners] = {}
        self.without: Owners = 0  # the rules that say nothing in this field
        for number, rule in enumerate(owned):
            bit = 1 << number
            values = rule.get(name) or ()
            self.without |= 0 if values else bit
            for value in values:
                self._owners[value] = self._owners.get(value, 0) | bit
        self.everything: Owners = self._owners.get(ALL, 0)
        self._prefixes = sorted({len(value) - 1 for value in self._owners if value.endswith(ALL)})

    def of(self, value: str) -> Owners:
        return self.everything | self._owners.get(value, 0)

    def named(self, name: str) -> Owners:
        """Of resourceNames, where `*` is a name as any other, and none are all."""
        return self.without | self._owners.get(name, 0)

    def of_resource(self, value: str) -> Owners:
        """`pods/log` is in `*/log`, too."""
        _, slash, subresource = value.partition("/")
        return self.of(value) | (self._owners.get(f"{ALL}/{subresource}", 0) if slash else 0)

    def of_path(self, path: str) -> Owners:
        """`/api/v1` is in `/api/*`, too."""
        owners = self.of(path)
        for length in self._prefixes:
            if length > len(path):
                break
            owners |= self._owners.get(path[:length] + ALL, 0)
        return owners


def _classes(values: Iterable[str], owners: Callable[[str], Owners]) -> list[tuple[Owners, list[str]]]:
    """Values by the rules that have them."""
    classes: dict[Owners, list[str]] = {}
    for value in dict.fromkeys(values):
        classes.setdefault(owners(value), []).append(value)
    return list(classes.items())


def missing(owned: Sequence[Rule], asked: Sequence[Rule]) -> list[Rule]:
    """What of the asked rules none of the owned ones covers, broken down; of very many MAX_MISSING."""
    owned = _relevant(owned, asked)
    verbs, groups, resources, names, paths = (
        _Index(owned, name) for name in ("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs")
    )
    budget, lacking = MAX_COMPARED, list[Rule]()
    for rule in asked:
        verb_classes = _classes(rule.get("verbs") or (), verbs.of)
        group_classes = _classes(rule.get("apiGroups") or (), groups.of)
        resource_classes = _classes(rule.get("resources") or (), resources.of_resource)
        name_classes = _classes(rule.get("resourceNames") or (), names.named)
        if not name_classes:
            name_classes = [(names.without, [])]
        for combination in product(group_classes, resource_classes, verb_classes, name_classes):
            budget -= 1
            group, resource, verb, name = combination
            if budget < 0 or not group[0] & resource[0] & verb[0] & name[0]:
                parts = product(group[1], resource[1], verb[1], name[1] or [""])
                lacking += islice(map(_resource_rule, parts), MAX_MISSING - len(lacking))
            if len(lacking) >= MAX_MISSING:
                return lacking
        path_classes = _classes(rule.get("nonResourceURLs") or (), paths.of_path)
        for (of_path, some_paths), (of_verb, some_verbs) in product(path_classes, verb_classes):
            budget -= 1
            if budget < 0 or not of_path & of_verb & names.without:
                pairs = product(some_paths, some_verbs)
                lacking += islice(map(_path_rule, pairs), MAX_MISSING - len(lacking))
            if len(lacking) >= MAX_MISSING:
                return lacking
    return lacking


def _relevant(owned: Sequence[Rule], asked: Sequence[Rule]) -> list[Rule]:
    verbs = {verb for rule in asked for verb in rule.get("verbs") or ()} | {ALL}
    return list(islice((rule for rule in owned if not verbs.isdisjoint(rule.get("verbs") or ())), MAX_OWNED))


def _resource_rule(combination: tuple[str, str, str, str]) -> Rule:
    group, resource, verb, name = combination
    plain: Rule = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
    return {**plain, "resourceNames": [name]} if name else plain


def _path_rule(combination: tuple[str, str]) -> Rule:
    path, verb = combination
    return {"nonResourceURLs": [path], "verbs": [verb]}
