"""Whether one's rules cover those that he gives, and how the rest is told."""

from typing import Any

import pytest

from pybernetes.apiserver.authorization.rules import compact, covers, described, missing


def rule(verbs: str = "get", resources: str = "pods", groups: str = "", names: str = "") -> dict[str, Any]:
    made = {"verbs": verbs.split(), "resources": resources.split(), "apiGroups": [groups]}
    return {**made, "resourceNames": names.split()} if names else made


def urls(*paths: str) -> dict[str, Any]:
    return {"verbs": ["get"], "nonResourceURLs": list(paths)}


@pytest.mark.parametrize(
    ("owned", "asked", "covered"),
    [
        (rule("get list"), rule("get"), True),
        (rule("get"), rule("get list"), False),
        (rule("*", "*", "*"), rule("get", "pods", "apps"), True),
        (rule(resources="*/scale"), rule(resources="deployments/scale"), True),
        (rule(resources="*/scale"), rule(resources="deployments"), False),
        (rule(), rule(names="x"), True),
        (rule(names="x"), rule(), False),
        (rule(names="x y"), rule(names="x"), True),
        (urls("/a/*"), urls("/a/b"), True),
        (urls("/a"), urls("/b"), False),
    ],
)
def test_covers(owned: dict[str, Any], asked: dict[str, Any], covered: bool) -> None:
    assert covers(owned, asked) is covered


def test_missing_is_told_by_resource_with_its_verbs_together() -> None:
    asked = [rule("get list", "secrets"), rule("get delete", "pods")]
    lacking = compact(missing([rule("get", "pods")], asked))
    assert sorted(described(r) for r in lacking) == [
        '{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}',
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}',
    ]


def test_a_rule_may_be_covered_by_several() -> None:
    assert missing([rule("get"), rule("list")], [rule("get list")]) == []
