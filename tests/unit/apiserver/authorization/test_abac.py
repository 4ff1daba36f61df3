"""ABAC: policies in a file, one a line."""

import json
from pathlib import Path
from typing import Any

import pytest

from pybernetes.apiserver.authentication.user import ANONYMOUS, User
from pybernetes.apiserver.authorization import abac
from pybernetes.apiserver.authorization.abac import ABAC, Policy, PolicyError
from pybernetes.apiserver.types import RequestInfo

from ..fakes import answered, ask, user

JANE = user("jane", "developers")
READ, WRITE = ask("get", "pods", "a"), ask("create", "pods", "a")
HEALTH = RequestInfo("get", "/healthz/etcd")


def policy(**spec: Any) -> str:
    return json.dumps({"apiVersion": abac.API_VERSION, "kind": "Policy", "spec": spec})


@pytest.mark.parametrize(
    ("line", "who", "asked", "allowed"),
    [
        (policy(user="jane", namespace="*", resource="*", apiGroup="*"), JANE, WRITE, True),
        (policy(user="bob", namespace="*", resource="*", apiGroup="*"), JANE, WRITE, False),
        (policy(group="developers", namespace="a", resource="pods"), JANE, WRITE, True),
        (policy(group="developers", namespace="b", resource="pods"), JANE, WRITE, False),
        (policy(user="jane", group="admins", namespace="*", resource="*"), JANE, READ, False),
        (policy(user="jane", readonly=True, namespace="*", resource="pods"), JANE, READ, True),
        (policy(user="jane", readonly=True, namespace="*", resource="pods"), JANE, WRITE, False),
        (policy(user="jane", namespace="*", resource="*", apiGroup="apps"), JANE, READ, False),
        (policy(user="*", namespace="*", resource="*"), JANE, READ, True),
        (policy(user="*", namespace="*", resource="*"), ANONYMOUS, READ, False),
        (policy(namespace="*", resource="*", apiGroup="*"), JANE, READ, False),
        (policy(user="jane", namespace="*", resource="*", apiGroup="*"), JANE, HEALTH, False),
        (policy(user="jane", nonResourcePath="/healthz*"), JANE, HEALTH, True),
        (policy(user="jane", nonResourcePath="/healthz"), JANE, HEALTH, False),
        (policy(user="jane", nonResourcePath="*"), JANE, HEALTH, True),
        (policy(user="jane", nonResourcePath="*"), JANE, READ, False),
        ('{"user": "jane"}', JANE, WRITE, True),  # from before policies had a version: what is left out is all
        ('{"user": "jane"}', JANE, HEALTH, True),
        ('{"user": "jane", "resource": "pods"}', JANE, HEALTH, False),
        ('{"readonly": true}', JANE, WRITE, False),
        ('{"readonly": true}', JANE, READ, True),
        ('{"readonly": true}', ANONYMOUS, READ, False),
    ],
)
def test_policies(line: str, who: User, asked: RequestInfo, allowed: bool) -> None:
    decision = answered(ABAC([abac.parse(line.encode())[0]]).authorize(who, asked))
    assert (decision.allowed, decision.reason) == (allowed, "" if allowed else "No policy matched.")


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "policies.jsonl"
    file.write_text(f"# who may what\n\n  {policy(user='a')}\n{policy(group='b', readonly=True)}\n")
    assert abac.load(str(file)) == [Policy("a"), Policy(group="b", readonly=True)]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "couldn't get version/kind; json parse error: "),
        ("[]", "the line is no object"),
        ('{"apiVersion": "v1", "kind": "Pod"}', 'no kind "Pod" is registered for version "v1"'),
        (policy(user=1), "user must be text: 1"),
        (policy(user="a", readonly="yes"), "readonly must be true or false: 'yes'"),
        ('{"user": []}', "user must be text: []"),
    ],
)
def test_errors_name_the_line(tmp_path: Path, line: str, why: str) -> None:
    file = tmp_path / "policies.jsonl"
    file.write_text(f"{policy(user='a')}\n{line}\n")
    with pytest.raises(PolicyError) as refused:
        abac.load(str(file))
    text = str(refused.value)
    assert text.startswith(f"error reading policy file {file}, line 2: {line}: ") and why in text


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="no such file or directory"):
        abac.load(str(tmp_path / "none"))


def test_rules() -> None:
    lines = [
        policy(user="jane", namespace="a", resource="pods", apiGroup="*", readonly=True),
        policy(group="developers", namespace="*", resource="*", nonResourcePath="/x"),
        policy(user="jane", namespace="b", resource="secrets"),
        policy(user="bob", namespace="*", resource="*"),
    ]
    rules, problems = ABAC([abac.parse(line.encode())[0] for line in lines]).rules_for(JANE, "a")
    assert problems == []
    assert rules == [
        {"verbs": ["get", "list", "watch"], "apiGroups": ["*"], "resources": ["pods"]},
        {"verbs": ["*"], "apiGroups": [""], "resources": ["*"]},
        {"verbs": ["*"], "nonResourceURLs": ["/x"]},
    ]
