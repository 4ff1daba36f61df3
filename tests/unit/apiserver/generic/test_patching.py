"""What patches may not make of an object: another kind, another version, no object; and patches that are none.

The fault was that apiVersion and kind of a patched object were stored as the patch left them, so that an object lay among those
of another kind and no reader of them understood the whole. Each way in is asked here: every type of patch, whole objects and parts.
"""

import asyncio
import json
from typing import Any

import pytest

from pybernetes.api.errors import StatusError
from pybernetes.api.mediatypes import PatchKind
from pybernetes.apiserver.generic import patching, typemeta
from pybernetes.apiserver.generic.cache import WatchCache
from pybernetes.apiserver.generic.options import WriteOptions
from pybernetes.apiserver.generic.store import GenericStore
from pybernetes.apiserver.generic.typemeta import Kind
from pybernetes.apiserver.kinds.core import configmap, namespace
from pybernetes.apiserver.resource import Object, Resource
from pybernetes.apiserver.schema import compiled
from pybernetes.store.sqlite import SQLiteStore

CONFIG_MAP = Kind("", "v1", "ConfigMap")
SCHEME = 'in scheme "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"'
UNNAMED = "the name of the object (a based on URL) was undeterminable: name must be provided"


def replaced(**fields: Any) -> list[Object]:
    """A JSON patch."""
    return [{"op": "replace", "path": f"/{name}", "value": value} for name, value in fields.items()]


async def patched(kind: PatchKind, body: Any, resource: Resource = configmap.RESOURCE, subresource: str = "") -> Object:
    """Object `a` of the resource after the patch, as a later read has it."""
    backend = await SQLiteStore.open(":memory:")
    cache = WatchCache(backend)
    await cache.start()
    store, where = GenericStore(resource, cache), "default" if resource.namespaced else ""
    try:
        await store.create({"metadata": {"name": "a"}}, where, WriteOptions(manager="test"))
        await store.patch(where, "a", kind, body, WriteOptions(manager="test"), subresource)
        return store.get(where, "a").copy()
    finally:
        await cache.stop()
        await backend.close()


def refusal(
    kind: PatchKind, body: Any, resource: Resource = configmap.RESOURCE, subresource: str = ""
) -> tuple[int, str]:
    """(code, why)."""
    with pytest.raises(StatusError) as error:
        asyncio.run(patched(kind, body, resource, subresource))
    text = str(error.value)
    return error.value.code, text.rpartition('": ')[2] if text.startswith(' "" is invalid: patch') else text


@pytest.mark.parametrize(
    ("fields", "code", "why"),
    [
        ({"kind": "Secret"}, 422, "converting (v1.Secret) to (core.ConfigMap): unknown conversion"),
        ({"kind": "ConfigMapList"}, 422, ""),
        ({"kind": "configmap"}, 422, f'no kind "configmap" is registered for version "v1" {SCHEME}'),
        ({"apiVersion": "v2"}, 422, f'no kind "ConfigMap" is registered for version "v2" {SCHEME}'),
        (
            {"apiVersion": "apps/v1", "kind": "ReplicaSet"},
            422,
            "converting (v1.ReplicaSet) to (core.ConfigMap): unknown conversion",
        ),
        ({"apiVersion": "a/b/c"}, 422, "unexpected GroupVersion string: a/b/c"),
        (
            {"kind": 5},
            422,
            "couldn't get version/kind; json parse error: json: cannot unmarshal number into Go struct field .kind of type string",
        ),
        ({"apiVersion": ""}, 400, UNNAMED),
    ],
)
@pytest.mark.parametrize("kind", ["json", "merge"])
def test_a_patch_makes_no_other_kind(kind: PatchKind, fields: dict[str, Any], code: int, why: str) -> None:
    status, text = refusal(kind, replaced(**fields) if kind == "json" else fields)
    assert status == code
    assert text.endswith(why) if why else text


def test_what_a_patch_leaves_out_is_what_it_was() -> None:
    made = asyncio.run(patched("merge", {"kind": None, "data": {"k": "v"}}))
    assert (made["kind"], made["data"]) == ("ConfigMap", {"k": "v"})
    assert refusal("merge", {"apiVersion": None}) == (400, UNNAMED)
    assert refusal("json", [{"op": "remove", "path": "/metadata/name"}]) == (400, UNNAMED)


@pytest.mark.parametrize("fields", [{"kind": "Secret"}, {"apiVersion": "v2"}, {"kind": None, "apiVersion": None}])
def test_a_strategic_patch_is_not_asked_for_its_kind(fields: Object) -> None:
    made = asyncio.run(patched("strategic", {**fields, "data": {"k": "v"}}))
    assert (made["apiVersion"], made["kind"], made["data"]) == ("v1", "ConfigMap", {"k": "v"})


def test_parts_are_asked_too() -> None:
    code, why = refusal("merge", {"kind": "Node"}, namespace.RESOURCE, "status")
    assert (code, why) == (422, "converting (v1.Node) to (core.Namespace): unknown conversion")


def test_an_object_that_was_stored_as_another_kind_is_served_as_its_own() -> None:
    async def main() -> None:
        backend = await SQLiteStore.open(":memory:")
        wrong = {"apiVersion": "v9", "kind": "Secret", "metadata": {"name": "a", "namespace": "default", "uid": "u"}}
        await backend.put("/registry/core/configmaps/default/a", json.dumps(wrong, separators=(",", ":")).encode(), 0)
        cache = WatchCache(backend)
        await cache.start()
        store = GenericStore(configmap.RESOURCE, cache)
        try:
            read = store.get("default", "a").obj
            assert (read["apiVersion"], read["kind"], read["metadata"]["resourceVersion"]) == ("v1", "ConfigMap", "1")
            made = await store.patch("default", "a", "merge", {"data": {"k": "v"}}, WriteOptions(manager="test"))
            assert (made["kind"], made["data"]) == ("ConfigMap", {"k": "v"})
        finally:
            await cache.stop()
            await backend.close()

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["json", "merge", "strategic"])
def test_a_patch_makes_no_other_identity(kind: PatchKind) -> None:
    """The fault: another uid was answered as a conflict of preconditions, which a patch has none of; another namespace as invalid."""

    def body(value: Object) -> Any:
        if kind != "json":
            return {"metadata": value}
        return [{"op": "add", "path": f"/metadata/{name}", "value": one} for name, one in value.items()]

    code, text = refusal(kind, body({"uid": "x"}))
    assert code == 422 and 'metadata.uid: Invalid value: "x": field is immutable' in text
    code, text = refusal(kind, body({"uid": "x"}), namespace.RESOURCE, "status")
    assert code == 422 and 'metadata.uid: Invalid value: "x": field is immutable' in text
    mismatch = "the namespace of the provided object does not match the namespace sent on the request"
    assert refusal(kind, body({"namespace": "other"})) == (400, mismatch)
    made = asyncio.run(patched(kind, body({"namespace": "other", "labels": {"k": "v"}}), namespace.RESOURCE))
    assert "namespace" not in made["metadata"] and made["metadata"]["labels"]["k"] == "v"
    made = asyncio.run(patched(kind, body({"uid": "", "namespace": "", "labels": {"k": "v"}})))
    assert made["metadata"]["namespace"] == "default" and made["metadata"]["uid"]


OPERATION = "error decoding patch: json: cannot unmarshal"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"op": "add"}, f"{OPERATION} object into Go value of type []handlers.jsonPatchOp"),
        ("x", f"{OPERATION} string into Go value of type []handlers.jsonPatchOp"),
        (True, f"{OPERATION} bool into Go value of type []handlers.jsonPatchOp"),
        ([1], f"{OPERATION} number into Go value of type handlers.jsonPatchOp"),
        ([[]], f"{OPERATION} array into Go value of type handlers.jsonPatchOp"),
        ([{"op": 1.5}], f"{OPERATION} number into Go struct field jsonPatchOp.op of type string"),
        ([{"op": "add", "path": {}}], f"{OPERATION} object into Go struct field jsonPatchOp.path of type string"),
    ],
)
def test_json_patches_that_are_none_are_told_in_the_words_of_go(body: Any, text: str) -> None:
    """The fault: they were invalid objects (422), where upstream cannot even read them (400)."""
    assert refusal("json", body) == (400, text)


def test_no_patch_changes_nothing_but_a_merge_patch_must_be_an_object() -> None:
    before = asyncio.run(patched("json", []))
    for kind in ("json", "strategic"):
        after = asyncio.run(patched(kind, None))
        assert (after["metadata"]["name"], after["metadata"]["resourceVersion"]) == ("a", "1")
    assert before["metadata"]["resourceVersion"] == "1"
    assert refusal("merge", None) == (400, "Invalid JSON Patch")
    text = "json: cannot unmarshal array into Go value of type map[string]interface {}"
    assert refusal("merge", []) == (400, f"error decoding patch: {text}")
    assert refusal("strategic", []) == (400, text)


def test_without_warnings_the_patch_is_read_once_only() -> None:
    with pytest.raises(StatusError, match=r"^json: cannot unmarshal number into Go value of type jsonpatch.Operation$"):
        patching.patched("json", {}, [1], None, "Ignore")  # type: ignore[arg-type]  # the schema is not reached


@pytest.mark.parametrize(
    ("own", "package"),
    [
        (Kind("rbac.authorization.k8s.io", "v1", "Role"), "rbac"),
        (Kind("events.k8s.io", "v1", "Event"), "core"),
        (Kind("apps", "v1", "Deployment"), "apps"),
        (Kind("flowcontrol.apiserver.k8s.io", "v1", "FlowSchema"), "flowcontrol"),
    ],
)
def test_types_in_memory_have_the_packages_of_upstream(own: Kind, package: str) -> None:
    with pytest.raises(typemeta.TypeMismatch, match=rf"^converting \(v1.Pod\) to \({package}.{own.kind}\): unknown"):
        typemeta.check(own, "v1", "Pod")


def test_the_kind_in_another_version_is_told_so() -> None:
    scaler = Kind("autoscaling", "v1", "HorizontalPodAutoscaler")
    with pytest.raises(typemeta.OtherVersion, match=r"the API version in the data \(autoscaling/v2\)"):
        typemeta.check(scaler, "autoscaling/v2", "HorizontalPodAutoscaler")


def test_custom_resources_are_refused_by_group_and_version() -> None:
    own = Kind("example.com", "v1", "Thing")
    for api_version, kind, text in (
        ("v1", "Thing", '/v1, Kind=Thing is unstructured and is not suitable for converting to "example.com/v1"'),
        ("", "Thing", '/, Kind=Thing is unstructured and is not suitable for converting to "example.com/v1"'),
        ("example.com/v9", "Thing", "request to convert CR from an invalid group/version: example.com/v9"),
        ("example.com/v1", "", "Object 'Kind' is missing in '{}'"),
    ):
        with pytest.raises(typemeta.TypeMismatch) as error:
            typemeta.check_custom(own, api_version, kind, "{}", ("example.com/v1", "example.com/v2"))
        assert str(error.value) == text
    typemeta.check_custom(own, "example.com/v2", "Thing", "{}", ("example.com/v1", "example.com/v2"))
    typemeta.check_custom(own, "example.com/v1", "Other", "{}", ("example.com/v1",))


@pytest.mark.parametrize("kind", ["strategic", "merge", "json"])
def test_what_is_too_deep_is_a_bad_request(kind: PatchKind) -> None:
    """A patch of many levels, within what a body may have, ends in the interpreter's stack: never in a failure of the server."""
    deep: Any = 1
    for _ in range(900):
        deep = {"a": deep}
    body = [{"op": "add", "path": "/data", "value": deep}] if kind == "json" else {"data": deep}
    try:
        patching.patched(kind, {"data": deep}, body, compiled(configmap.RESOURCE), "Ignore")
    except StatusError as refused:
        assert (refused.code, str(refused)) == (400, "error decoding patch: exceeded max depth")
