"""Objects that a real API server took, out of the recorded cases: where they were posted, and what."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Any

import yaml

from .golden import GOLDEN

NAMESPACE = "fuzz"
# Written as a dry run only: what is stored of these is asked about, or answers, every later request.
DRY = ("webhookconfigurations", "apiservices", "admissionpolic")


@dataclass(frozen=True)
class Seed:
    """A body that was answered with 201; `path` is the collection."""

    path: str
    body: dict[str, Any]

    @property
    def dry(self) -> bool:
        """Whether it must not be stored."""
        return any(word in self.path for word in DRY)


@functools.cache
def seeds() -> tuple[Seed, ...]:
    """The fullest object of each collection and case, those of a run with names that vary left out."""
    found: dict[str, Seed] = {}
    for path in sorted((*GOLDEN.glob("kinds/**/*.yaml"), *GOLDEN.glob("semantics/**/*.yaml"))):
        for number, step in enumerate(yaml.load(path.read_text(), Loader=yaml.CSafeLoader)["steps"]):
            method, _, target = step.get("do", "").partition(" ")
            body = step.get("body")
            created = (step.get("expect") or {}).get("code") == 201
            if method != "POST" or not created or step.get("type", "json") != "json" or not isinstance(body, dict):
                continue
            text = json.dumps(body).replace("{ns}", NAMESPACE).replace("{run}", "run")
            target = target.partition("?")[0].replace("{ns}", NAMESPACE).replace("{run}", "run")
            if "{" in target or target.count("/") > 6 or "/namespaces/default" in target:
                continue
            found[f"{path}{number}"] = Seed(target, json.loads(text))
    return tuple(found.values())


def fullest() -> tuple[Seed, ...]:
    """One of each collection: the longest."""
    best: dict[str, Seed] = {}
    for seed in seeds():
        known = best.get(seed.path)
        if known is None or len(json.dumps(seed.body)) > len(json.dumps(known.body)):
            best[seed.path] = seed
    return tuple(best.values())
