"""Policies: which rule is a request's, and upstream's words for what is no policy."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from pybernetes.apiserver.audit import Decision, Level
from pybernetes.apiserver.auditing import policy
from pybernetes.apiserver.authentication.user import User
from pybernetes.apiserver.configdocument import DocumentError
from pybernetes.apiserver.types import RequestInfo

HEAD = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy"}
TIM = User("tim", ("humans", "system:authenticated"))


def resource(verb: str = "get", **more: Any) -> RequestInfo:
    fields = {"namespace": "default", "resource": "pods", "name": "busybox", "version": "v1", **more}
    return RequestInfo(verb, "/api/v1/...", is_resource=True, prefix="api", **fields)


def path(text: str) -> RequestInfo:
    return RequestInfo("get", text)


GET_POD, LOG = resource(), resource(subresource="log")
ALL = {"resources": ["*"]}


def decided(info: RequestInfo, *rules: dict[str, Any], user: User | None = TIM) -> str:
    read = policy.parse(json.dumps({**HEAD, "rules": rules}).encode())
    return read.decide(user, info).level.word


@pytest.mark.parametrize(
    ("rule", "info", "matches"),
    [
        ({}, GET_POD, True),
        ({"users": ["tim"]}, GET_POD, True),
        ({"users": ["tom"]}, GET_POD, False),
        ({"userGroups": ["nobody", "humans"]}, GET_POD, True),
        ({"userGroups": ["robots"]}, GET_POD, False),
        ({"verbs": ["get"]}, GET_POD, True),
        ({"verbs": ["create"]}, GET_POD, False),
        ({"verbs": ["get"]}, path("/healthz"), True),
        ({"namespaces": ["default"]}, GET_POD, True),
        ({"namespaces": [""]}, GET_POD, False),
        ({"namespaces": [""]}, resource(namespace="", resource="nodes"), True),
        ({"namespaces": ["default"]}, path("/healthz"), False),
        ({"resources": [{"resources": ["pods"]}]}, GET_POD, True),
        ({"resources": [{"resources": ["pods"]}]}, LOG, False),
        ({"resources": [{"resources": ["pods/log"]}]}, LOG, True),
        ({"resources": [{"resources": ["pods/*"]}]}, LOG, True),
        ({"resources": [{"resources": ["pods/*"]}]}, GET_POD, True),
        ({"resources": [{"resources": ["*/log"]}]}, LOG, True),
        ({"resources": [{"resources": ["*/log"]}]}, GET_POD, False),
        ({"resources": [ALL]}, LOG, True),
        ({"resources": [{}]}, GET_POD, True),
        ({"resources": [{"group": "apps"}]}, GET_POD, False),
        ({"resources": [{"group": "apps"}]}, resource(group="apps", resource="deployments"), True),
        ({"resources": [{"group": "*", "resources": ["pods"]}]}, GET_POD, True),
        ({"resources": [{"resources": ["pods"], "resourceNames": ["busybox"]}]}, GET_POD, True),
        ({"resources": [{"resources": ["pods"], "resourceNames": ["other"]}]}, GET_POD, False),
        ({"resources": [ALL]}, path("/healthz"), False),
        ({"nonResourceURLs": ["/healthz"]}, path("/healthz"), True),
        ({"nonResourceURLs": ["/healthz*"]}, path("/healthz/etcd"), True),
        ({"nonResourceURLs": ["/healthz"]}, path("/healthz/etcd"), False),
        ({"nonResourceURLs": ["*"]}, path("/metrics"), True),
        ({"nonResourceURLs": ["*"]}, GET_POD, False),
    ],
)
def test_rules(rule: dict[str, Any], info: RequestInfo, matches: bool) -> None:
    assert decided(info, {"level": "Request", **rule}) == ("Request" if matches else "None")


def test_the_first_that_matches() -> None:
    rules = ({"level": "None", "users": ["tom"]}, {"level": "Metadata"}, {"level": "RequestResponse"})
    assert decided(GET_POD, *rules) == "Metadata"
    assert decided(GET_POD, *rules, user=User("tom")) == "None"


def test_who_is_not_known() -> None:
    """Authentication has failed: rules of users are nobody's."""
    assert decided(GET_POD, {"level": "Request", "users": ["tim"]}, {"level": "Metadata"}, user=None) == "Metadata"
    assert decided(GET_POD, {"level": "Request", "userGroups": ["a"]}, {"level": "Metadata"}, user=None) == "Metadata"


def test_what_is_left_out() -> None:
    rules = [
        {"level": "Request", "omitStages": ["Panic"], "verbs": ["get"]},
        {"level": "Request", "omitManagedFields": False},
    ]
    document = {**HEAD, "omitStages": ["RequestReceived"], "omitManagedFields": True, "rules": rules}
    read = policy.parse(json.dumps(document).encode())
    assert read.decide(TIM, GET_POD) == Decision(Level.REQUEST, frozenset({"RequestReceived", "Panic"}), True)
    assert read.decide(TIM, resource("list")) == Decision(Level.REQUEST, frozenset({"RequestReceived"}), False)


def refusal(document: dict[str, Any]) -> str:
    with pytest.raises(DocumentError) as refused:
        policy.parse(json.dumps({**HEAD, **document}).encode())
    return str(refused.value)


BOTH = "rules cannot apply to both regular resources and non-resource URLs"


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"level": ""}, "rules[0].level: Required value"),
        (
            {"level": "Everything"},
            'rules[0].level: Unsupported value: "Everything": supported values: "None", "Metadata", "Request", "RequestResponse"',
        ),
        (
            {"level": "None", "nonResourceURLs": ["healthz"]},
            "rules[0].nonResourceURLs[0]: Invalid value: \"healthz\": non-resource URL rules must begin with a '/' character",
        ),
        (
            {"level": "None", "nonResourceURLs": ["/a/*/b"]},
            'rules[0].nonResourceURLs[0]: Invalid value: "/a/*/b": '
            "non-resource URL wildcards '*' must be the final character of the rule",
        ),
        (
            {"level": "None", "nonResourceURLs": ["/a"], "namespaces": ["a"]},
            f'rules[0].nonResourceURLs: Invalid value: ["/a"]: {BOTH}',
        ),
        (
            {"level": "None", "resources": [{"resourceNames": ["a"]}]},
            'rules[0].resources.resourceNames: Invalid value: ["a"]: using resourceNames requires at least one resource',
        ),
        (
            {"level": "None", "omitStages": ["Late"]},
            'rules[0].omitStages[0]: Invalid value: "Late": '
            "allowed stages are RequestReceived,ResponseStarted,ResponseComplete,Panic",
        ),
    ],
)
def test_refusals(rule: dict[str, Any], words: str) -> None:
    assert refusal({"rules": [rule]}) == words


def test_groups_are_no_versions() -> None:
    words = refusal({"rules": [{"level": "None", "resources": [{"group": "rbac.authorization.k8s.io/v1"}]}]})
    assert words.startswith(
        'rules[0].resources.group: Invalid value: "rbac.authorization.k8s.io/v1": a lowercase RFC 1123'
    )


def test_no_rules() -> None:
    assert refusal({}) == "loaded illegal policy with 0 rules"


def test_unknown_fields_are_passed_over_with_a_word(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        read = policy.parse(json.dumps({**HEAD, "rules": [{"level": "Metadata", "verb": "get"}]}).encode())
    assert read.decide(TIM, GET_POD).level is Level.METADATA
    assert 'strict decoding error: unknown field "rules[0].verb"' in caplog.text
