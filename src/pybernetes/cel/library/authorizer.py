"""Questions to the authorizer (upstream: apiserver/pkg/cel/library/authz.go). Who asks gives an `Authorizer`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from pybernetes.api import names

from .. import functions, types
from ..errors import EvaluationError
from ..functions import LIST_COST, OBJECT_COST, TRAVERSAL, Overload
from ..types import BOOL, STRING
from ..values import Opaque, size_of
from .declare import method

_PREFIX = "kubernetes.authorization"
AUTHORIZER, PATH_CHECK, GROUP_CHECK, RESOURCE_CHECK, DECISION = (
    types.object_type(f"{_PREFIX}.{name}", {})
    for name in ("Authorizer", "PathCheck", "GroupCheck", "ResourceCheck", "Decision")
)
CHECK_COST = 350_000  # so that an expression may ask twice


@dataclass(frozen=True, slots=True)
class Attributes:
    """What may somebody do? Without `path` it is about a resource. `service_account` is (namespace, name), if not the user's own."""

    verb: str = ""
    path: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    field_selector: str = ""
    label_selector: str = ""
    service_account: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Decision(Opaque):
    """The answer; `error` tells why there is none."""

    type_name = f"{_PREFIX}.Decision"
    allowed: bool
    reason: str = ""
    error: str = ""


class Authorizer(Protocol):
    """Answers for the user whose request it is."""

    def authorize(self, attributes: Attributes) -> Decision:
        """Never raises: what goes wrong is in the decision."""


@dataclass(frozen=True, slots=True)
class Check(Opaque):
    """A question in the making; `kind` says which methods it has."""

    kind: str
    authorizer: Authorizer = field(repr=False)
    attributes: Attributes = Attributes()

    @property
    def type_name(self) -> str:  # type: ignore[override]  # of each value
        """As its kind is called."""
        return f"{_PREFIX}.{self.kind}"

    def with_(self, kind: str, **attributes: Any) -> Check:
        """The next part of the question."""
        return Check(kind, self.authorizer, replace(self.attributes, **attributes))


def value_of(authorizer: Authorizer) -> Check:
    """The variable `authorizer`."""
    return Check("Authorizer", authorizer)


def resource_value_of(authorizer: Authorizer, attributes: Attributes) -> Check:
    """The variable `authorizer.requestResource`."""
    return Check("ResourceCheck", authorizer, attributes)


def overloads() -> Iterator[Overload]:
    """All of them."""
    yield method("path", "authorizer_path", (AUTHORIZER, STRING), PATH_CHECK, _filled("path", "PathCheck"))
    yield method(
        "group",
        "authorizer_group",
        (AUTHORIZER, STRING),
        GROUP_CHECK,
        lambda check, name: check.with_("GroupCheck", group=name),
    )
    yield method(
        "serviceAccount", "authorizer_serviceaccount", (AUTHORIZER, STRING, STRING), AUTHORIZER, _service_account
    )
    yield method(
        "resource", "groupcheck_resource", (GROUP_CHECK, STRING), RESOURCE_CHECK, _filled("resource", "ResourceCheck")
    )
    for name in ("subresource", "namespace", "name"):
        yield method(name, f"resourcecheck_{name}", (RESOURCE_CHECK, STRING), RESOURCE_CHECK, _part(name))
    for name, attribute in (("fieldSelector", "field_selector"), ("labelSelector", "label_selector")):
        yield method(
            name,
            f"authorizer_{name.lower()}",
            (RESOURCE_CHECK, STRING),
            RESOURCE_CHECK,
            _part(attribute),
            _selector_cost,
        )
    fixed = functions.fixed(CHECK_COST)
    yield method("check", "pathcheck_check", (PATH_CHECK, STRING), DECISION, _ask, fixed)
    yield method("check", "resourcecheck_check", (RESOURCE_CHECK, STRING), DECISION, _ask, fixed)
    yield method("errored", "decision_errored", (DECISION,), BOOL, lambda decision: bool(decision.error))
    yield method("error", "decision_error", (DECISION,), STRING, lambda decision: decision.error)
    yield method("allowed", "decision_allowed", (DECISION,), BOOL, lambda decision: decision.allowed)
    yield method("reason", "decision_reason", (DECISION,), STRING, lambda decision: decision.reason)


def _filled(attribute: str, kind: str) -> Callable[[Check, str], Check]:
    def call(check: Check, text: str) -> Check:
        if not text.strip():
            raise EvaluationError(f"{attribute} must not be empty")
        return check.with_(kind, **{attribute: text})

    return call


def _part(attribute: str) -> Callable[[Check, str], Check]:
    return lambda check, text: check.with_("ResourceCheck", **{attribute: text})


def _service_account(check: Check, namespace: str, name: str) -> Check:
    if names.dns1123_subdomain_errors(name):
        raise EvaluationError("Invalid service account name")
    if names.dns1123_label_errors(namespace):
        raise EvaluationError("Invalid service account namespace")
    return check.with_("Authorizer", service_account=(namespace, name))


def _ask(check: Check, verb: str) -> Decision:
    return check.authorizer.authorize(replace(check.attributes, verb=verb))


def _selector_cost(arguments: Sequence[Any], _: Any) -> int:
    size = size_of(arguments[1])
    return LIST_COST + math.ceil(size * TRAVERSAL) + math.ceil(math.ceil(size * 0.5) * (LIST_COST + OBJECT_COST))
