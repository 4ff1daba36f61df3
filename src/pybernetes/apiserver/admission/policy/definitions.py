"""A policy and its bindings, read once (upstream: policy/{validating,mutating}/{accessor,plugin,compilation}.go). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pybernetes.api.labels import Selector, selector_from_dict

from ...cel import expressions
from ...cel.expressions import Compiler, Expression
from ...resource import Object
from .matching import Constraints

APPLY_CONFIGURATION, JSON_PATCH = "ApplyConfiguration", "JSONPatch"


@dataclass(frozen=True, slots=True)
class ParamKind:
    """What a policy's parameters are."""

    api_version: str
    kind: str

    def __str__(self) -> str:
        """As Go prints a GroupVersionKind."""
        group, _, version = self.api_version.rpartition("/")
        return f"{group}/{version}, Kind={self.kind}"


@dataclass(frozen=True, slots=True)
class ParamRef:
    """Which objects of that kind a binding takes: one by `name`, or all that `selector` takes."""

    name: str
    namespace: str
    selector: Selector | None
    deny: bool  # parameterNotFoundAction


@dataclass(frozen=True, slots=True)
class Binding:
    """Where a policy holds. `actions` are a validating policy's."""

    name: str
    policy: str
    constraints: Constraints | None
    params: ParamRef | None
    actions: tuple[str, ...] = ()

    @classmethod
    def read(cls, binding: Object) -> Binding:
        """Of its JSON. ValueError as `Constraints.read`."""
        spec = binding.get("spec") or {}
        match, reference = spec.get("matchResources"), spec.get("paramRef")
        return cls(
            name=binding["metadata"]["name"],
            policy=spec.get("policyName") or "",
            constraints=Constraints.read(match) if match is not None else None,
            params=_reference(reference) if reference is not None else None,
            actions=tuple(spec.get("validationActions") or ()),
        )


def _reference(reference: Mapping[str, Any]) -> ParamRef:
    selector = reference.get("selector")
    return ParamRef(
        name=reference.get("name") or "",
        namespace=reference.get("namespace") or "",
        selector=selector_from_dict(selector) if selector is not None else None,
        deny=reference.get("parameterNotFoundAction") == "Deny",
    )


@dataclass(frozen=True, slots=True)
class Policy:
    """What of a policy says whether it looks at a request. `spec` is what `validating` and `mutating` compile: `size` characters."""

    name: str
    revision: tuple[str, int]  # uid and generation: another one has to be compiled again
    constraints: Constraints
    params: ParamKind | None
    ignore: bool  # failurePolicy
    spec: Mapping[str, Any]
    size: int

    @classmethod
    def read(cls, policy: Object) -> Policy:
        """Of its JSON. ValueError as `Constraints.read`."""
        metadata, spec = policy["metadata"], policy.get("spec") or {}
        kind = spec.get("paramKind")
        return cls(
            name=metadata["name"],
            revision=(metadata.get("uid", ""), metadata.get("generation", 0)),
            constraints=Constraints.read(spec.get("matchConstraints") or {}),
            params=ParamKind(kind.get("apiVersion", ""), kind.get("kind", "")) if kind is not None else None,
            ignore=spec.get("failurePolicy") == "Ignore",
            spec=spec,
            size=_size(spec),
        )


_LISTS = ("matchConditions", "variables", "validations", "auditAnnotations", "mutations")


def _size(spec: Mapping[str, Any]) -> int:
    texts = 0
    for name in _LISTS:
        for item in spec.get(name) or ():
            for value in item.values():
                texts += len(value) if isinstance(value, str) else len((value or {}).get("expression") or "")
    return texts


@dataclass(frozen=True, slots=True)
class Validation:
    """One rule of a validating policy."""

    expression: Expression
    message: str
    message_expression: Expression | None
    reason: str


@dataclass(frozen=True, slots=True)
class Mutation:
    """One change of a mutating policy."""

    patch_type: str
    expression: Expression


@dataclass(frozen=True, slots=True)
class Compiled:
    """The expressions of a policy, each with what it is for. Variables are by name, in the order in which they were declared."""

    conditions: tuple[Expression, ...]
    variables: Mapping[str, Expression]
    validations: tuple[Validation, ...] = ()
    annotations: tuple[tuple[str, Expression], ...] = ()  # key and value
    mutations: tuple[Mutation, ...] = ()


def compiled(spec: Mapping[str, Any]) -> Compiled:
    """Of either kind of policy. What does not compile is an Expression with an error: its evaluation fails."""
    compiler = Compiler("paramKind" in spec and spec["paramKind"] is not None)
    variables = {
        item["name"]: compiler.variable(item["name"], item["expression"]) for item in _items(spec, "variables")
    }
    return Compiled(
        conditions=tuple(
            compiler.compile(item["expression"], expressions.CONDITION) for item in _items(spec, "matchConditions")
        ),
        variables=variables,
        validations=tuple(_validation(compiler, item) for item in _items(spec, "validations")),
        annotations=tuple(
            (item["key"], compiler.compile(item["valueExpression"], expressions.ANNOTATION))
            for item in _items(spec, "auditAnnotations")
        ),
        mutations=tuple(_mutation(compiler, item) for item in _items(spec, "mutations")),
    )


def _items(spec: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return spec.get(name) or []


def _validation(compiler: Compiler, item: Mapping[str, Any]) -> Validation:
    message = item.get("messageExpression") or ""
    return Validation(
        expression=compiler.compile(item["expression"], expressions.CONDITION),
        message=item.get("message") or "",
        message_expression=compiler.compile(message, expressions.MESSAGE, authorizer=False) if message else None,
        reason=item.get("reason") or "Invalid",
    )


def _mutation(compiler: Compiler, item: Mapping[str, Any]) -> Mutation:
    if item["patchType"] == JSON_PATCH:
        source, expected = item["jsonPatch"]["expression"], expressions.JSON_PATCH
    else:
        source, expected = item["applyConfiguration"]["expression"], expressions.APPLY_CONFIGURATION
    return Mutation(item["patchType"], compiler.compile(source, expected, patches=True))
