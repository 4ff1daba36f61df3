"""Who is asked of what: plug-ins in their order, each of the resources that it names alone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from pybernetes.apiserver import kinds
from pybernetes.apiserver.admission.chain import AdmissionChain
from pybernetes.apiserver.authentication.user import LOOPBACK
from pybernetes.apiserver.types import EVERYTHING, PODS, Attributes, GroupResources


@dataclass
class Plugin:
    name: str
    resources: GroupResources | None
    asked: list[str] = field(default_factory=list)

    def admit(self, attributes: Attributes) -> None:
        self.asked.append(f"{self.name} may change {attributes.resource.name}")

    def validate(self, attributes: Attributes) -> None:
        self.asked.append(f"{self.name} may refuse {attributes.resource.name}")


RESOURCES = {(one.group, one.name): one for one in kinds.RESOURCES}


@pytest.mark.parametrize(
    ("key", "asked"),
    [
        (("", "pods"), ["all", "pods", "last"]),
        (("", "configmaps"), ["all", "last"]),
        (("apps", "deployments"), ["all", "other", "last"]),
    ],
)
def test_who_is_asked(key: tuple[str, str], asked: list[str]) -> None:
    told: list[str] = []
    deployments = frozenset({("apps", "deployments")})
    plugins = [("all", EVERYTHING), ("pods", PODS), ("other", deployments), ("last", EVERYTHING)]
    chain = AdmissionChain([Plugin(name, resources, told) for name, resources in plugins])
    attributes = Attributes(LOOPBACK, "CREATE", RESOURCES[key], "", "default", "a", {"metadata": {}}, None)
    asyncio.run(chain.admit(attributes))
    changing = [f"{name} may change {key[1]}" for name in asked]
    assert told == [*changing, *(f"{name} may refuse {key[1]}" for name in asked)]
