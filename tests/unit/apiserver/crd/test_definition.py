"""Which definitions are valid, what names they get, and how a webhook's answer is read."""

from typing import Any

import pytest

from pybernetes.api.errors import StatusError
from pybernetes.apiserver.crd import conditions, definition, names
from pybernetes.apiserver.crd.props import DefinitionSchema
from pybernetes.apiserver.kinds.apiextensions import customresourcedefinition as kind

from ....api.customresources import definition as made
from ....api.customresources import version

NOW = "2026-01-01T00:00:00Z"


def valid(crd: dict[str, Any]) -> list[str]:
    kind.default(crd)
    kind.prepare_create(crd)
    return [str(e) for e in definition.validate(crd)]


def test_the_usual_one_is_valid() -> None:
    assert valid(made()) == []


AT = "spec.validation.openAPIV3Schema.properties[spec].properties[a]"


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        (
            {"type": "string", "default": 1},
            ['.default: Invalid value: "integer":  in body must be of type string: "integer"'],
        ),
        ({}, [".type: Required value: must not be empty for specified object fields"]),
        ({"type": "array"}, [".items: Required value: must be specified"]),
        ({"type": "null"}, [".type: Forbidden: type cannot be set to null, use nullable as an alternative"]),
        ({"type": "string", "$ref": "x"}, [".$ref: Forbidden: $ref is not supported"]),
        ({"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}, []),
        (
            {"type": "string", "anyOf": [{"type": "string"}]},
            [".anyOf[0].type: Forbidden: must be empty to be structural"],
        ),
        (
            {"type": "object", "x-kubernetes-preserve-unknown-fields": False},
            [".x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined"],
        ),
        (
            {"type": "object", "anyOf": [{"properties": {"x": {"minimum": 1}}}]},
            [],
        ),
        (
            {"type": "object", "default": {"x": 1}, "properties": {"y": {"type": "string"}}},
            ['.default: Invalid value: {"x":1}: must not have unknown fields'],
        ),
        (
            {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["k"],
                "items": {"type": "object", "properties": {"k": {"type": "string"}}},
            },
            [
                ".items.properties[k].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default "
                "or be a required property"
            ],
        ),
    ],
)
def test_schemas(schema: Any, found: list[str]) -> None:
    texts = valid(made(version(properties={"a": schema})))
    assert [text.removeprefix(AT).replace(AT, "AT") for text in texts] == found


@pytest.mark.parametrize(
    ("branches", "missing"),
    [
        ({"anyOf": [{"required": ["spec"]}, {"properties": {"spec": {"minProperties": 1}}}]}, {}),
        (
            {"oneOf": [{"properties": {"spec": {"properties": {"b": {"minimum": 1}}}}}]},
            {"properties[spec].properties[b]": "oneOf[0].properties[spec].properties[b]"},
        ),
        (
            {"not": {"allOf": [{"properties": {"x": {}}}]}, "x-kubernetes-preserve-unknown-fields": True},
            {"properties[x]": "not.allOf[0].properties[x]"},
        ),
        (
            {"anyOf": [{"properties": {"extra": {"properties": {"y": {"enum": ["a"]}}}}}]},
            {"properties[extra].properties[y]": "anyOf[0].properties[extra].properties[y]"},
        ),
        (
            {"anyOf": [{"properties": {"list": {"items": {"minimum": 1}}, "spec": {"items": {"minimum": 1}}}}]},
            {"properties[spec].items": "anyOf[0].properties[spec].items"},
        ),
    ],
)
def test_only_branches_of_the_root_need_what_they_restrict_declared(branches: Any, missing: dict[str, str]) -> None:
    """Kind: no definition is refused that upstream takes."""
    properties = {
        "spec": {"type": "object", "properties": {"a": {"type": "string"}}},
        "extra": {"type": "object", "additionalProperties": {"type": "string"}},
        "list": {"type": "array", "items": {"type": "integer"}},
    }
    root = {"type": "object", "properties": properties, **branches}
    one = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": root}}
    at = "spec.validation.openAPIV3Schema."
    texts = [f"{at}{name}: Required value: because it is defined in {at}{why}" for name, why in missing.items()]
    assert valid(made(one)) == texts


def test_what_versions_do_not_share_is_blamed_where_it_is() -> None:
    column = {"name": "", "type": "string", "jsonPath": ".a"}
    found = valid(made(version("v1"), version("v2", storage=False, additionalPrinterColumns=[column])))
    assert found == ["spec.versions[1].additionalPrinterColumns[0].name: Required value"]


@pytest.mark.parametrize(
    ("marked", "stored", "found"),
    [
        ((True,), ["v1"], []),
        ((False,), None, ["spec.versions", "status.storedVersions"]),
        ((False, False, False), None, ["spec.versions", "status.storedVersions"]),
        ((True, True), ["v1"], ["spec.versions", "status.storedVersions"]),
        ((False, True, True, True), ["v2"], ["spec.versions", "status.storedVersions", "status.storedVersions"]),
        ((False, True), ["v2"], []),
    ],
)
def test_one_version_is_stored(marked: tuple[bool, ...], stored: Any, found: list[str]) -> None:
    """None, two, three, or not the first: the first that is marked counts as stored, each further one lacks there."""
    crd = made(*(version(f"v{place}", storage=one) for place, one in enumerate(marked, 1)))
    assert [text.partition(":")[0] for text in valid(crd)] == found
    assert crd["status"]["storedVersions"] == stored
    if not stored:
        assert definition.validate(crd)[-1].body == "Invalid value: null: must have at least one stored version"


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        ({"$ref": "x"}, [".$ref: Forbidden: $ref is not supported"]),
        ({"id": "x", "properties": {"y": {}}}, [".id: Forbidden: id is not supported"]),
        ({"items": [{"type": "string"}]}, [".items: Forbidden: items must be a schema object and not an array"]),
        ({"definitions": {"x": {}}}, [".definitions: Forbidden: definitions is not supported"]),
        ({"patternProperties": {"x": {}}}, [".patternProperties: Forbidden: patternProperties is not supported"]),
        ({"additionalItems": False}, [".additionalItems: Forbidden: additionalItems is not supported"]),
        ({"dependencies": {"x": ["y"]}}, [".dependencies: Forbidden: dependencies is not supported"]),
        (
            {"$schema": "x"},
            ["spec.validation.openAPIV3Schema: Invalid value: \"\": OpenAPIV3Schema 'schema' is not supported"],
        ),
        ({"not": {"$ref": "x"}}, [".not.$ref: Forbidden: $ref is not supported"]),
    ],
)
def test_keywords_that_are_not_read_are_one_cause(schema: Any, found: list[str]) -> None:
    """They have no type either, of which nothing is said: where a keyword is not read the structure is not looked at."""
    spec = {"type": "object", "properties": {"a": schema}}
    crd = made(version(schema={"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}))
    assert valid(crd) == [text if text.startswith("spec.") else AT + text for text in found]


@pytest.mark.parametrize(
    ("warning", "deprecated", "found"),
    [
        ("soon gone", True, []),
        ("soon gone", False, ["can only be set for deprecated versions"]),
        ("", True, ["must not be an empty string"]),
        ("x" * 257, True, ["must be <= 256 characters long"]),
        ("é\n", True, ["must only contain printable UTF-8 characters; non-printable character found at index 2"]),
        ("x" * 256 + "\0", True, ["must be <= 256 characters long", "must only contain printable UTF-8 characters; "]),
    ],
)
def test_deprecations(warning: str, deprecated: bool, found: list[str]) -> None:
    crd = made(version(deprecated=deprecated, deprecationWarning=warning))
    told = valid(crd)
    assert len(told) == len(found)
    for text, part in zip(told, found, strict=True):
        assert text.startswith("spec.versions[0].deprecationWarning: Invalid value: ")
        assert part in text


def test_what_a_root_may_have_beside_a_status() -> None:
    base = {"type": "object", "properties": {"spec": {"type": "object"}}}
    for schema, where, part in (
        ({**base, "maxProperties": 5}, "openAPIV3Schema", "only [Description Type Format Title Maximum "),
        ({**base, "type": "array"}, "openAPIV3Schema.type", 'only "object" is allowed as the type at the root'),
        ({**base, "title": "t", "required": ["spec"]}, "", ""),
    ):
        told = valid(made(version(schema={"openAPIV3Schema": schema}, subresources={"status": {}})))
        assert (told[:1] == []) == (not where)
        assert not where or (told[0].startswith(f"spec.validation.{where}: ") and part in told[0])


def test_nothing_is_preserved_any_more() -> None:
    crd = made(version(), preserveUnknownFields=True)
    why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
    assert valid(crd) == [f"spec.preserveUnknownFields: Invalid value: true: {why}"]
    assert definition.validate_update(crd, crd) == []


def test_selectable_fields_lead_somewhere() -> None:
    fields = [{"jsonPath": path} for path in (".spec.x", ".spec.y", ".metadata.name", ".spec")]
    found = valid(made(version(selectableFields=fields)))
    assert [text.partition(":")[0] for text in found] == [f"spec.selectableFields[{i}].jsonPath" for i in (1, 2, 3)]


def test_updates_keep_names_and_stored_versions() -> None:
    old = made(version("v1"))
    kind.default(old)
    kind.prepare_create(old)
    conditions.put(old, "Established", "True", "", "", NOW)
    new = made(version("v2"), scope="Cluster")
    kind.default(new)
    new["status"] = old["status"]
    kind.prepare_update(new, old)
    assert new["status"]["storedVersions"] == ["v1", "v2"]
    found = [str(e) for e in definition.validate_update(new, old)]
    assert found[0] == 'spec.scope: Invalid value: "Cluster": field is immutable'
    assert found[1].startswith('status.storedVersions[0]: Invalid value: "v1": missing from spec.versions; v1 was')


@pytest.mark.parametrize(
    ("annotation", "reasons"),
    [
        (None, ["FieldValueRequired"]),
        ("x", ["FieldValueInvalid"]),
        ("unapproved, a test", []),
        ("https://github.com/kubernetes/kubernetes/pull/1", []),
    ],
)
def test_groups_of_the_community_need_approval(annotation: str | None, reasons: list[str]) -> None:
    crd = made()
    crd["spec"]["group"], crd["metadata"]["name"] = "test.k8s.io", "things.test.k8s.io"
    if annotation is not None:
        crd["metadata"]["annotations"] = {names.APPROVAL: annotation}
    kind.default(crd)
    kind.prepare_create(crd)
    assert [e.reason for e in definition.validate(crd)] == reasons


def test_schemas_that_are_too_deep_are_refused_and_others_are_served() -> None:
    def nested(levels: int, word: str) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "string"}
        for _ in range(levels):
            below = {"a": schema} if word == "properties" else [schema] if word == "allOf" else schema
            schema = {"type": "array" if word == "items" else "object", word: below}
        return schema

    for word, levels in (
        ("properties", 300),
        ("items", 500),
        ("additionalProperties", 500),
        ("allOf", 300),
        ("not", 500),
    ):
        crd = made(version(properties={"a": nested(levels, word)}))
        kind.default(crd)
        assert [(e.reason, "levels" in e.body) for e in definition.validate(crd)] == [("FieldValueForbidden", True)]
    for word in ("properties", "items", "additionalProperties"):
        crd = made(version(properties={"a": nested(150, word)}))
        kind.default(crd)
        assert [e.field for e in definition.validate(crd)] == ["status.storedVersions"]
        definition.warnings(crd)


def test_warnings_tell_what_is_not_enforced() -> None:
    odd = {"type": "string", "format": "odd", "pattern": r"\p{L}"}
    found = definition.warnings(made(version(properties={"a": odd})))
    assert found == ['unrecognized format "odd"']


# --- reading -----------------------------------------------------------------------------------


def test_schemas_are_read_at_any_depth() -> None:
    deep = {
        "type": "array",
        "items": {"type": "object", "nullable": False, "odd": 1, "minItems": 1, "description": ""},
    }
    obj, warnings = DefinitionSchema.made().normalize(made(version(properties={"a": deep})), "Warn")
    at = "spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.a.items"
    assert warnings == [f'unknown field "{at}.odd"']
    schema = obj["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert schema["properties"]["spec"]["properties"]["a"]["items"] == {"type": "object", "minItems": 1}


def test_a_mistyped_keyword_is_400() -> None:
    with pytest.raises(StatusError) as caught:
        DefinitionSchema.made().normalize(made(version(properties={"a": {"type": "integer", "minimum": "1"}})))
    assert caught.value.code == 400 and "of type float64" in str(caught.value)


# --- names -------------------------------------------------------------------------------------


def named(plural: str, name: str, others: list[dict[str, Any]]) -> dict[str, Any]:
    crd = made(plural=plural, kind=name)
    kind.default(crd)
    kind.prepare_create(crd)
    return names.decided(crd, others, NOW)


def conditions_of(crd: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(c["type"], c["status"], c["reason"]) for c in crd["status"]["conditions"]]


def test_free_names_are_accepted() -> None:
    crd = named("things", "Thing", [])
    assert crd["status"]["acceptedNames"] == {
        "plural": "things",
        "singular": "thing",
        "kind": "Thing",
        "listKind": "ThingList",
    }
    assert conditions_of(crd) == [
        ("NamesAccepted", "True", "NoConflicts"),
        ("Established", "True", "InitialNamesAccepted"),
    ]
    assert names.decided(crd, [crd], "2027-01-01T00:00:00Z")["status"] == crd["status"]


def test_a_name_that_is_taken_waits_until_it_is_free() -> None:
    first = named("things", "Thing", [])
    second = named("others", "Thing", [first])
    assert second["status"]["acceptedNames"] == {"plural": "others", "kind": ""}
    assert conditions_of(second) == [
        ("NamesAccepted", "False", "ListKindConflict"),
        ("Established", "False", "NotAccepted"),
    ]
    free = names.decided(second, [second], NOW)
    assert conditions_of(free)[1] == ("Established", "True", "InitialNamesAccepted")


def test_a_served_definition_stays_so_when_a_new_name_is_refused() -> None:
    first, second = named("things", "Thing", []), named("others", "Other", [])
    second["spec"]["names"]["shortNames"] = ["thing"]
    now = names.decided(second, [first, second], NOW)
    assert conditions_of(now) == [
        ("NamesAccepted", "False", "ShortNamesConflict"),
        ("Established", "True", "InitialNamesAccepted"),
    ]
    assert now["status"]["acceptedNames"] == second["status"]["acceptedNames"]
