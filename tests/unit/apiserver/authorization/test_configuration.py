"""AuthorizationConfiguration: what is wrong with a file, in upstream's words."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from pybernetes.apiserver.authorization import configuration
from pybernetes.apiserver.authorization.configuration import AuthorizerConfiguration, of_modes
from pybernetes.apiserver.configdocument import DocumentError

Object = dict[str, Any]
NODE, RBAC = {"type": "Node", "name": "node"}, {"type": "RBAC", "name": "rbac"}


@pytest.fixture
def kubeconfig(tmp_path: Path) -> str:
    (tmp_path / "kubeconfig").touch()
    return str(tmp_path / "kubeconfig")


def hook(kubeconfig: str, **more: Any) -> Object:
    return {
        "timeout": "3s",
        "subjectAccessReviewVersion": "v1",
        "matchConditionSubjectAccessReviewVersion": "v1",
        "failurePolicy": "Deny",
        "connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": kubeconfig},
        **more,
    }


def data(*authorizers: Object, version: str = "v1") -> bytes:
    document = {"apiVersion": f"apiserver.config.k8s.io/{version}", "kind": "AuthorizationConfiguration"}
    return yaml.safe_dump({**document, "authorizers": list(authorizers)}).encode()


def problem(*authorizers: Object, needed: tuple[str, ...] = ()) -> str:
    with pytest.raises(DocumentError) as refused:
        configuration.parse(data(*authorizers), needed)
    return str(refused.value)


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha1"])
def test_a_file(kubeconfig: str, version: str) -> None:
    conditions = [{"expression": "request.user != 'a'"}, {"expression": "has(request.resourceAttributes)"}]
    settings = hook(
        kubeconfig,
        matchConditions=conditions,
        authorizedTTL="1m",
        cacheUnauthorizedRequests=False,
        failurePolicy="NoOpinion",
    )
    named = {"type": "Webhook", "name": "a.example", "webhook": settings}
    given = configuration.parse(
        data(NODE, named, {"type": "Webhook", "name": "b", "webhook": hook(kubeconfig)}, version=version)
    )
    assert [(one.type, one.name) for one in given] == [("Node", "node"), ("Webhook", "a.example"), ("Webhook", "b")]
    first, second = given[1].webhook, given[2].webhook
    assert first is not None and second is not None
    assert (first.seconds, first.authorized_ttl, first.unauthorized_ttl, first.denies) == (3, 60, 0, False)
    assert (second.authorized_ttl, second.unauthorized_ttl, second.denies, len(first.conditions)) == (300, 30, True, 2)


@pytest.mark.parametrize(
    ("authorizers", "why"),
    [
        ([], "authorizers: Required value: at least one authorization mode must be defined"),
        ([{"name": "x"}], "authorizers[0].type: Required value"),
        (
            [{"type": "Foo", "name": "x"}],
            'authorizers[0].type: Unsupported value: "Foo": supported values: "ABAC", "AlwaysAllow", "AlwaysDeny", '
            '"Node", "RBAC", "Webhook"',
        ),
        ([RBAC, {"type": "RBAC", "name": "r"}], 'authorizers[1].type: Duplicate value: "RBAC"'),
        ([{"type": "RBAC"}], "authorizers[0].name: Required value"),
        ([{"type": "RBAC", "name": "r"}], "expected name rbac for authorizer RBAC instead of r"),
        ([{**RBAC, "webhook": {}}], 'authorizers[0].webhook: Invalid value: "non-null": may only be specified when type=Webhook'),
        ([{"type": "Webhook", "name": "w"}], "authorizers[0].webhook: Required value: required when type=Webhook"),
    ],
)  # fmt: skip
def test_authorizers(authorizers: list[Object], why: str) -> None:
    assert problem(*authorizers) == why


FOO = "compilation failed: ERROR: <input>:1:1: undeclared reference to 'foo' (in container '')\n | foo.bar\n | ^"


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"timeout": "0s"}, "timeout: Required value"),
        ({"timeout": "31s"}, 'timeout: Invalid value: "31s": must be > 0s and <= 30s'),
        ({"timeout": "-1s"}, 'timeout: Invalid value: "-1s": must be > 0s and <= 30s'),
        ({"authorizedTTL": "-1s"}, 'authorizedTTL: Invalid value: "-1s": must be > 0s'),
        ({"unauthorizedTTL": "soon"}, 'unauthorizedTTL: Invalid value: "soon": time: invalid duration "soon"'),
        ({"subjectAccessReviewVersion": ""}, "subjectAccessReviewVersion: Required value"),
        (
            {"subjectAccessReviewVersion": "v2"},
            'subjectAccessReviewVersion: Unsupported value: "v2": supported values: "v1", "v1beta1"',
        ),
        (
            {"matchConditionSubjectAccessReviewVersion": "v1beta1"},
            'matchConditionSubjectAccessReviewVersion: Unsupported value: "v1beta1": supported values: "v1"',
        ),
        (
            {"matchConditionSubjectAccessReviewVersion": "", "matchConditions": [{"expression": "true"}]},
            "matchConditionSubjectAccessReviewVersion: Required value: required if match conditions are specified",
        ),
        ({"failurePolicy": "Fail"}, 'failurePolicy: Unsupported value: "Fail": supported values: "NoOpinion", "Deny"'),
        ({"connectionInfo": {}}, "connectionInfo.type: Required value"),
        ({"connectionInfo": {"type": "KubeConfigFile"}}, "connectionInfo.kubeConfigFile: Required value"),
        (
            {"connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": "a"}},
            'connectionInfo.kubeConfigFile: Invalid value: "a": must be an absolute path',
        ),
        (
            {"connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": "/none/a"}},
            'connectionInfo.kubeConfigFile: Invalid value: "/none/a": error loading file: stat /none/a: no such file or directory',
        ),
        (
            {"connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": "/"}},
            'connectionInfo.kubeConfigFile: Invalid value: "/": must be a regular file',
        ),
        (
            {"connectionInfo": {"type": "InClusterConfig"}},
            'connectionInfo.type: Invalid value: "InClusterConfig": kube-apiserver would ask itself: use KubeConfigFile',
        ),
        ({"matchConditions": [{"expression": " "}]}, "matchConditions[0].expression: Required value"),
        ({"matchConditions": [{"expression": "true"}] * 2}, 'matchConditions[1].expression: Duplicate value: "true"'),
        ({"matchConditions": [{"expression": "true"}] * 65}, "matchConditions: Too many: 65: must have at most 64 items"),
        ({"matchConditions": [{"expression": "foo.bar"}]}, f'matchConditions[0].expression: Invalid value: "foo.bar": {FOO}'),
        (
            {"matchConditions": [{"expression": "request.user"}]},
            'matchConditions[0].expression: Invalid value: "request.user": must evaluate to bool but got string',
        ),
    ],
)  # fmt: skip
def test_webhooks(kubeconfig: str, settings: Object, why: str) -> None:
    assert problem({"type": "Webhook", "name": "w", "webhook": hook(kubeconfig, **settings)}) == f"authorizers[0].{why}"


def test_names_of_webhooks(kubeconfig: str) -> None:
    one = {"type": "Webhook", "name": "w", "webhook": hook(kubeconfig)}
    assert problem(one, one) == 'authorizers[1].name: Duplicate value: "w"'
    assert problem({**one, "name": "W"}).startswith(
        'authorizers[0].name: Invalid value: "W": authorizer name is invalid: '
    )


def test_what_was_there_must_stay() -> None:
    assert problem(RBAC, needed=("Node", "RBAC")) == "missing required types: [Node]"


def test_modes() -> None:
    assert of_modes(("Node", "RBAC")) == (
        AuthorizerConfiguration("Node", "node"),
        AuthorizerConfiguration("RBAC", "rbac"),
    )
    assert of_modes(("Webhook",))[0].name == "default"
