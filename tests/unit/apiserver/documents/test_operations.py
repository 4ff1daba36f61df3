"""Operations as generators of clients need them: an id of its own for each, every name in braces declared, no reference that leads nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from pybernetes.apiserver.documents import parameters
from pybernetes.apiserver.documents.openapi import OpenAPI
from pybernetes.apiserver.kinds import RESOURCES
from pybernetes.apiserver.kinds.legacy import resources
from pybernetes.wire.http import Request

Document = dict[str, Any]


def document(path: str, served: Any = RESOURCES) -> Document:
    answer = OpenAPI(served).answer(path, Request("GET", path.encode(), b"", ()))
    assert answer is not None
    decoded: Document = msgspec.json.decode(answer.body)
    return decoded


def operations_of(whole: Document) -> Iterator[tuple[str, Document, Document]]:
    """(path, operation, its path's item)."""
    for path, item in whole["paths"].items():
        yield from ((path, one, item) for key, one in item.items() if key != "parameters")


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from references(one)


def resolved(whole: Document, path: str) -> Any:
    for name in path.removeprefix("#/").split("/"):
        whole = whole[name]
    return whole


V2, CORE = document("/openapi/v2"), document("/openapi/v3/api/v1")


@pytest.mark.parametrize("whole", [V2, CORE, document("/openapi/v3/apis/apps/v1")], ids=["v2", "core", "apps"])
def test_what_a_generator_needs(whole: Document) -> None:
    ids = [operation["operationId"] for _, operation, _ in operations_of(whole)]
    assert len(ids) == len(set(ids)) > 50
    for reference in set(references(whole)):
        assert resolved(whole, reference), reference
    for path, operation, item in operations_of(whole):
        given = [*item.get("parameters", ()), *operation.get("parameters", ())]
        given = [resolved(whole, one["$ref"]) if "$ref" in one else one for one in given]
        names = [(one["in"], one["name"]) for one in given]
        assert len(names) == len(set(names)), path
        assert {name for place, name in names if place == "path"} == set(re.findall(r"{(\w+)}", path)), path
        assert "200" in operation["responses"]


@pytest.mark.parametrize(
    ("path", "method", "operation_id", "action"),
    [
        ("/api/v1/namespaces/{namespace}/configmaps", "get", "listCoreV1NamespacedConfigMap", "list"),
        ("/api/v1/namespaces/{namespace}/configmaps", "delete", "deleteCoreV1CollectionNamespacedConfigMap", "deletecollection"),
        ("/api/v1/configmaps", "get", "listCoreV1ConfigMapForAllNamespaces", "list"),
        ("/api/v1/watch/configmaps", "get", "watchCoreV1ConfigMapListForAllNamespaces", "watchlist"),
        ("/api/v1/namespaces/{name}/finalize", "put", "replaceCoreV1NamespaceFinalize", "put"),
        ("/api/v1/namespaces/{namespace}/pods/{name}/log", "get", "readCoreV1NamespacedPodLog", "get"),
        ("/api/v1/namespaces/{namespace}/pods/{name}/exec", "post", "connectCoreV1PostNamespacedPodExec", "connect"),
        ("/api/v1/namespaces/{namespace}/pods/{name}/proxy/{path}", "put", "connectCoreV1PutNamespacedPodProxyWithPath", "connect"),
        ("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", "post", "createCoreV1NamespacedServiceAccountToken", "post"),
        ("/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale", "get", "readAppsV1NamespacedDeploymentScale", "get"),
        ("/apis/rbac.authorization.k8s.io/v1/clusterroles", "post", "createRbacAuthorizationV1ClusterRole", "post"),
        ("/apis/apps/v1/", "get", "getAppsV1APIResources", None),
        ("/apis/apps/", "get", "getAppsAPIGroup", None),
        ("/version/", "get", "getCodeVersion", None),
    ],
)  # fmt: skip
def test_names_are_upstreams(path: str, method: str, operation_id: str, action: str | None) -> None:
    operation = V2["paths"][path][method]
    assert (operation["operationId"], operation.get("x-kubernetes-action")) == (operation_id, action)


def test_what_goes_in_and_out() -> None:
    scale = V2["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"]["put"]
    assert scale["x-kubernetes-group-version-kind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    assert scale["responses"]["200"]["schema"] == {"$ref": "#/definitions/io.k8s.api.autoscaling.v1.Scale"}
    pods = CORE["paths"]["/api/v1/namespaces/{namespace}/pods"]
    pod = {"schema": {"$ref": "#/components/schemas/io.k8s.api.core.v1.Pod"}}
    assert pods["post"]["requestBody"] == {"content": {"*/*": pod}, "required": True}
    assert list(pods["post"]["responses"]) == ["200", "201", "202", "401"]
    assert pods["get"]["responses"]["200"]["content"]["application/json;stream=watch"]
    assert list(CORE["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"]["requestBody"]["content"]) == [
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
        "application/apply-patch+yaml",
    ]


def test_parameters_that_all_share_have_upstreams_names() -> None:
    """The hash is of the parameter, so where that is upstream's the name is."""
    assert {"namespace-vgWSWtn3", "path-z6Ciiujn", "body-2Y1dVQaQ", "body-78PwaGsr"} <= V2["parameters"].keys()
    paths, shared = parameters.deduplicated({"/a/{name}": {"parameters": parameters.in_path("/a/{name}")}})
    assert [list(one) for one in paths["/a/{name}"]["parameters"]][1] == ["$ref"]
    assert [one["name"] for one in shared.values()] == ["pretty"], "each kind describes its name itself"


def test_group_versions_that_left_refer_to_what_there_is() -> None:
    whole = document("/openapi/v2", (*RESOURCES, *resources()))
    for reference in set(references(whole)):
        assert resolved(whole, reference), reference


def test_a_path_tells_once_what_all_its_operations_take() -> None:
    def operation(*names: str) -> Document:
        return {"parameters": [parameters.body({}), *(known[name] for name in names)]}

    known = {name: {"name": name, "in": "query"} for name in "abc"}
    item = parameters.common({"get": operation("a", "b"), "put": operation("b", "c")}, [{"name": "n", "in": "path"}])
    assert [one["name"] for one in item["parameters"]] == ["b", "n"]
    assert [[one["name"] for one in item[method]["parameters"]] for method in ("get", "put")] == [
        ["body", "a"],
        ["body", "c"],
    ]


def test_old_suites_find_the_words_that_they_look_for() -> None:
    """kubectl's own test suite looks into the document for some of upstream's words."""
    text = OpenAPI(RESOURCES).answer("/openapi/v2", Request("GET", b"/openapi/v2", b"", ()))
    assert text is not None
    for words in (b"list of returned", b"List of services", b"Watch for changes to the described resources"):
        assert words in text.body
