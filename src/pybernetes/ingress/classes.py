"""Which Ingresses are a controller's, and who comes first (upstream: internal/ingress/controller/store)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pybernetes.api.types import networking_v1 as networking
from pybernetes.api.wellknown import ANNOTATION_INGRESS_CLASS

CONTROLLER = "k8s.io/ingress-nginx"
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Classes:
    """Upstream's flags: --ingress-class (the annotation's value), --controller-class, --watch-ingress-without-class."""

    annotation: str = "nginx"
    controller: str = CONTROLLER
    without: bool = False

    def names(self, classes: Iterable[networking.IngressClass]) -> frozenset[str]:
        """Of the classes that are this controller's."""
        return frozenset(each.metadata.name for each in classes if each.spec.controller == self.controller)

    def has(self, ingress: networking.Ingress, names: frozenset[str]) -> bool:
        """The field is asked first; where it names another's class the annotation does not help."""
        if (name := ingress.spec.ingress_class_name) is not None:
            return name in names
        if (annotation := ingress.metadata.annotations.get(ANNOTATION_INGRESS_CLASS)) is not None:
            return annotation == self.annotation
        return self.without


def in_order(ingresses: Iterable[networking.Ingress]) -> Sequence[networking.Ingress]:
    """The oldest first: of two that ask for one path it has it. Of the same second the last by name, as upstream's."""
    by_name = sorted(ingresses, key=lambda each: f"{each.metadata.namespace}/{each.metadata.name}", reverse=True)
    return sorted(by_name, key=lambda each: each.metadata.creation_timestamp or _EPOCH)
