"""Whether one's rules cover those that he gives, and how the rest is told."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybernetes.apiserver.authorization.escalation import MAX_MISSING, missing
from pybernetes.apiserver.authorization.rules import compact, described


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
    assert (not missing([owned], [asked])) is covered


def test_missing_is_told_by_resource_with_its_verbs_together() -> None:
    asked = [rule("get list", "secrets"), rule("get delete", "pods")]
    lacking = compact(missing([rule("get", "pods")], asked))
    assert sorted(described(r) for r in lacking) == [
        '{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}',
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}',
    ]


def test_a_rule_may_be_covered_by_several() -> None:
    assert missing([rule("get"), rule("list")], [rule("get list")]) == []


_VALUES = st.lists(st.sampled_from(["*", "a", "b", "a/x", "*/x"]), max_size=2)
_RULES = st.lists(
    st.fixed_dictionaries(
        {
            "apiGroups": _VALUES,
            "resources": _VALUES,
            "verbs": _VALUES,
            "resourceNames": st.lists(st.sampled_from(["n", "m", "*"]), max_size=2),
            "nonResourceURLs": st.lists(st.sampled_from(["*", "/a", "/a/*", "/a/b", "/b"]), max_size=2),
        }
    ),
    max_size=3,
)


def naively_covers(owned: dict[str, Any], part: dict[str, Any]) -> bool:
    """Upstream's ruleCovers of what is broken down already."""

    def has(name: str) -> bool:
        return "*" in owned[name] or set(part.get(name, ())) <= set(owned[name])

    def resource(one: str) -> bool:
        return one in owned["resources"] or ("/" in one and "*/" + one.split("/", 1)[1] in owned["resources"])

    def path(one: str) -> bool:
        return any(h in ("*", one) or (h.endswith("*") and one.startswith(h[:-1])) for h in owned["nonResourceURLs"])

    names = set(part.get("resourceNames", ()))
    return (
        has("verbs")
        and has("apiGroups")
        and ("*" in owned["resources"] or all(map(resource, part.get("resources", ()))))
        and all(map(path, part.get("nonResourceURLs", ())))
        and (not owned["resourceNames"] or (bool(names) and names <= set(owned["resourceNames"])))
    )


@given(_RULES, _RULES)
def test_missing_is_what_comparing_each_with_each_finds(
    owned: list[dict[str, Any]], asked: list[dict[str, Any]]
) -> None:
    parts = []
    for one in asked:
        for group, resource, verb in itertools.product(one["apiGroups"], one["resources"], one["verbs"]):
            plain = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
            parts += [{**plain, "resourceNames": [name]} for name in one["resourceNames"]] or [plain]
        parts += [{"nonResourceURLs": [u], "verbs": [v]} for u in one["nonResourceURLs"] for v in one["verbs"]]
    expected = {described(part) for part in parts if not any(naively_covers(have, part) for have in owned)}
    assert {described(part) for part in missing(owned, asked)} == expected


def test_a_cube_of_rights_is_no_thousand_million_rules() -> None:
    many = [f"n{number}" for number in range(1000)]
    cube = {"apiGroups": many, "resources": many, "verbs": many, "resourceNames": many}
    assert len(missing([rule()], [cube])) == MAX_MISSING
    assert missing([{**cube, "resourceNames": []}], [cube]) == []
    each = [{"apiGroups": [one], "resources": ["*"], "verbs": ["*"]} for one in many]
    assert missing(each, [cube]) == []
    twisted = [{"apiGroups": [one], "resources": [one], "verbs": [one]} for one in many]
    assert len(missing(twisted, [cube])) == MAX_MISSING
