"""One field at a time of definitions of resources: see `test_refusals`."""

from __future__ import annotations

from typing import Any

from .test_refusals import DEFINITIONS, Object, causes, created


def crd(spec: Object) -> Object:
    names = {"plural": "things", "kind": "Thing", "singular": "thing", "listKind": "ThingList"}
    given = {"group": "ex.io", "scope": "Namespaced", "names": names, **spec}
    return {"metadata": {"name": "things.ex.io"}, "spec": given}


def beta(**spec: Any) -> Object:
    versions = [{"name": "v1", "served": True, "storage": True}]
    return crd({"versions": versions, "preserveUnknownFields": False, **spec})


WHOLE = {"openAPIV3Schema": {"type": "object"}}
BETAS: list[tuple[Object, list[str]]] = [
    (beta(validation=WHOLE), []),
    (beta(version="v1", validation=WHOLE), []),
    (beta(version="v2", validation=WHOLE), ["spec.version Invalid"]),
    (beta(version="V_2", validation=WHOLE), ["spec.version Invalid"] * 2),
    (beta(), ["spec.versions[0].schema.openAPIV3Schema Required"]),
    (beta(preserveUnknownFields=True), []),
    (beta(validation={"openAPIV3Schema": {}}), ["spec.validation.openAPIV3Schema.type Required"]),
]


def test_definitions_of_v1beta1() -> None:
    answers = created(DEFINITIONS.format("v1beta1"), *(body for body, _ in BETAS))
    assert [causes(answer) for answer in answers] == [refused for _, refused in BETAS]


def now(schema: Any, **more: Any) -> Object:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, **more}
    return crd({"versions": [version]})


def of(**properties: Any) -> Object:
    return {"type": "object", "properties": properties}


P = "spec.validation.openAPIV3Schema"
LIST = {"type": "array", "items": {"type": "string"}}
SCHEMAS: list[tuple[Any, list[str]]] = [
    ({}, [f"{P}.type Required"]),
    (of(a=None), [f"{P}.properties[a].type Required"]),
    ({"type": "object", "required": [None]}, []),
    (of(a={**LIST, "x-kubernetes-list-type": ""}), [f"{P}.properties[a].x-kubernetes-list-type NotSupported"]),
    (of(a={**LIST, "x-kubernetes-list-type": "atomic"}), []),
]


def test_schemas_whose_parts_are_null_or_empty() -> None:
    answers = created(DEFINITIONS.format("v1"), *(now(schema) for schema, _ in SCHEMAS))
    assert [causes(answer) for answer in answers] == [refused for _, refused in SCHEMAS]


def test_numbers_of_schemas_are_written_as_go_writes_them() -> None:
    for given, written in ((2**63, 9223372036854776000), (1e3, 1000), (0.5, 0.5), (10**22, 1e22)):
        number = {"type": "number", "maximum": given}
        ((code, answer),) = created(DEFINITIONS.format("v1"), now(of(a=number)))
        assert code == 201
        schema = answer["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        assert schema["properties"]["a"]["maximum"] == written


def test_the_subresource_status_has_no_fields() -> None:
    body = now({"type": "object"}, subresources={"status": {"x": "y"}})
    ((code, answer),) = created(DEFINITIONS.format("v1"), body)
    assert (code, answer["spec"]["versions"][0]["subresources"]) == (201, {"status": {}})
