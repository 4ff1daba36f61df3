"""The type check of a ValidatingAdmissionPolicy; pure (upstream: apiserver/pkg/admission/plugin/policy/validating/typechecking.go)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pybernetes.api.types import admissionregistration_v1 as admissionregistration
from pybernetes.cel import admission, schematypes
from pybernetes.cel.errors import CompileError
from pybernetes.cel.types import DYN, Type

Schema = Mapping[str, Any]

MAX_TYPES = 10  # of one rule (upstream's maxTypesToCheck)
_ANYTHING: Schema = {"x-kubernetes-int-or-string": True}  # what expressions may do anything with


@dataclass(frozen=True, slots=True, order=True)
class Kind:
    """A GroupVersionKind."""

    group: str
    version: str
    kind: str

    @property
    def group_version(self) -> tuple[str, str]:
        """Where it is served."""
        return self.group, self.version

    def __str__(self) -> str:
        """As Go prints it."""
        return f"{self.group}/{self.version}, Kind={self.kind}"


@dataclass(frozen=True, slots=True)
class Place:
    """A resource of a group-version that a rule names; no wildcard."""

    group: str
    version: str
    resource: str


def places(policy: admissionregistration.ValidatingAdmissionPolicy) -> list[list[Place]]:
    """What each rule looks at, as far as it says so by name: a rule with a wildcard for groups or versions has no types to check."""
    match = policy.spec.match_constraints
    targets = []
    for rule in match.resource_rules if match is not None else ():
        named = not any("*" in text for text in (*rule.api_groups, *rule.api_versions))
        resources = sorted(text for text in rule.resources if "*" not in text and "/" not in text)
        targets.append(
            [
                Place(group, version, resource)
                for group in sorted(rule.api_groups)
                for version in sorted(rule.api_versions)
                for resource in resources
            ]
            if named
            else []
        )
    return targets


def kinds(by_rule: Iterable[Sequence[Place]], served: Mapping[Place, str]) -> list[Kind]:
    """The kinds to check, sorted; `served` are the kinds of resources that there are."""
    matched: set[Kind] = set()
    for each in by_rule:
        present = [place for place in each if place in served][:MAX_TYPES]
        matched |= {Kind(place.group, place.version, served[place]) for place in present}
        if len(present) == MAX_TYPES:
            break
    return sorted(matched)


def param_kind(policy: admissionregistration.ValidatingAdmissionPolicy) -> Kind | None:
    """Of the policy's parameters."""
    given = policy.spec.param_kind
    if given is None:
        return None
    group, _, version = given.api_version.rpartition("/")
    return Kind(group, version, given.kind)


def schema_of(document: Mapping[str, Any], kind: Kind) -> Schema | None:
    """A kind's schema in an OpenAPI v3 document of its group-version, without references; None if it is not there."""
    schemas = (document.get("components") or {}).get("schemas") or {}
    for schema in schemas.values():
        for named in schema.get("x-kubernetes-group-version-kind") or ():
            if (named.get("group"), named.get("version"), named.get("kind")) == (kind.group, kind.version, kind.kind):
                return _resolved(schema, schemas, ())
    return None


def _resolved(schema: Schema, schemas: Mapping[str, Schema], above: tuple[str, ...]) -> Schema:
    """With what is referred to in place of the reference. What has itself as a part is anything there."""
    if "allOf" in schema and len(schema["allOf"]) == 1:  # a reference with a default or description beside it
        schema = {**schema["allOf"][0], **{name: value for name, value in schema.items() if name != "allOf"}}
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name in above or name not in schemas:
            return _ANYTHING
        return _resolved(schemas[name], schemas, (*above, name))
    if schema.get("format") == "int-or-string" or ("oneOf" in schema and "type" not in schema):
        return _ANYTHING
    resolved = dict(schema)
    if isinstance(schema.get("properties"), Mapping):
        resolved["properties"] = {key: _resolved(each, schemas, above) for key, each in schema["properties"].items()}
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), Mapping):
            resolved[name] = _resolved(schema[name], schemas, above)
    return resolved


def checked(
    policy: admissionregistration.ValidatingAdmissionPolicy, types: Sequence[tuple[Kind, Schema]], params: Schema | None
) -> list[admissionregistration.ExpressionWarning]:
    """Warnings of rules and of their messages that do not fit one of the types; `params` is None where nobody knows its schema."""
    declared = [(kind, _type(schema, f"{kind.kind}{index}")) for index, (kind, schema) in enumerate(types)]
    parameters = _type(params, "params") if params is not None else DYN
    environments = [(kind, _Environment(policy, given, parameters)) for kind, given in declared]
    warnings = []
    for index, validation in enumerate(policy.spec.validations):
        for name, expression in (
            ("expression", validation.expression),
            ("messageExpression", validation.message_expression),
        ):
            problems = [(kind, environment.problem(expression)) for kind, environment in environments if expression]
            text = "\n".join(f"{kind}: {problem}\n" for kind, problem in problems if problem)
            if text:
                place = f"spec.validations[{index}].{name}"
                warnings.append(admissionregistration.ExpressionWarning(field_ref=place, warning=text))
    return warnings


def _type(schema: Schema, name: str) -> Type:
    declared = schematypes.declaration(schema, True, name)
    return declared.type if declared is not None else DYN


class _Environment:
    """Of one policy, for objects of one type."""

    def __init__(self, policy: admissionregistration.ValidatingAdmissionPolicy, given: Type, parameters: Type) -> None:
        composed: dict[str, Type] = {}
        has_params = policy.spec.param_kind is not None
        variables = admission.variables(parameters=has_params, composed=composed)
        del variables[admission.REQUEST_RESOURCE]  # as upstream's environment for this
        variables |= {admission.OBJECT: given, admission.OLD_OBJECT: given}
        if has_params:
            variables[admission.PARAMS] = parameters
        self._environment = admission.declared(variables)
        for variable in policy.spec.variables:
            composed[variable.name] = self._variable(variable.expression)

    def _variable(self, expression: str) -> Type:
        try:
            type_ = self._environment.check(expression).type
        except CompileError:
            return DYN
        return admission.as_variable(type_) if type_ is not None else DYN

    def problem(self, expression: str) -> str:
        """Why an expression does not fit, "" if it does."""
        try:
            self._environment.check(expression)
        except CompileError as error:
            return str(error)
        return ""
