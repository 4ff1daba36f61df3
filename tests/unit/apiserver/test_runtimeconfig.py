"""--runtime-config: which group-versions are there, which are hidden, and what is refused in upstream's words."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pybernetes.apiserver.resource import Resource
from pybernetes.apiserver.runtimeconfig import Enabled, RuntimeConfigError, enabled, key_of


def record(group: str, version: str, name: str) -> Resource:
    return Resource(group=group, version=version, name=name, kind=name.title())


PODS, DEPLOYMENTS = record("", "v1", "pods"), record("apps", "v1", "deployments")
BETA2, EXTENSIONS = record("apps", "v1beta2", "deployments"), record("extensions", "v1beta1", "deployments")
INGRESSES, ALPHA = (
    record("extensions", "v1beta1", "ingresses"),
    record("rbac.authorization.k8s.io", "v1alpha1", "roles"),
)
LEGACY = (DEPLOYMENTS, BETA2, EXTENSIONS, INGRESSES, ALPHA)


def of(text: str) -> Enabled:
    pairs = [item.partition("=") for item in text.split(",")]
    return enabled((PODS, DEPLOYMENTS), lambda: LEGACY, {key: value for key, _, value in pairs})


def names(found: Enabled) -> set[str]:
    return {"/".join(key_of(one)) for one in found.resources}


TODAY = {"/v1/pods", "apps/v1/deployments"}
OLD = {"apps/v1beta2/deployments", "extensions/v1beta1/deployments", "extensions/v1beta1/ingresses"}
ROLES = {"rbac.authorization.k8s.io/v1alpha1/roles"}


def test_without_a_word_nothing_old_is_read() -> None:
    def never() -> tuple[Resource, ...]:
        raise AssertionError("asked for old group-versions")

    assert enabled((PODS,), never, {}) == Enabled((PODS,), frozenset())


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("api/legacy=true", OLD | ROLES),
        ("api/legacy=false", set()),
        ("api/all=true", OLD | ROLES),
        ("api/beta=true", OLD),
        ("api/alpha=true", ROLES),
        ("api/all=true,api/alpha=false", OLD),
        ("api/legacy=true,api/alpha=false", OLD | ROLES),
        ("extensions/v1beta1=true", {one for one in OLD if one.startswith("extensions")}),
        ("extensions/v1beta1", {one for one in OLD if one.startswith("extensions")}),
        ("extensions/v1beta1/ingresses=true", {"extensions/v1beta1/ingresses"}),
        ("api/legacy=true,extensions/v1beta1/ingresses=false", (OLD | ROLES) - {"extensions/v1beta1/ingresses"}),
        ("api/legacy=true,apps/v1beta2=false", (OLD | ROLES) - {"apps/v1beta2/deployments"}),
    ],
)
def test_what_is_served(text: str, more: set[str]) -> None:
    found = of(text)
    assert names(found) == TODAY | more
    assert found.hidden == frozenset()


def test_what_is_switched_off_is_there_for_the_server_itself() -> None:
    found = of("apps/v1=false")
    assert names(found) == TODAY
    assert found.hidden == {("apps", "v1", "deployments")}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("api/all=false", "invalid runtime-config with only api/all=false"),
        ("api/all=maybe", "invalid value api/all=maybe"),
        ("api/legacy=1", "invalid value api/legacy=1"),
        ("nothing/v1=true", "unknown api groups nothing/v1"),
        ("apps/v9=true", "group version apps/v9 that has not been registered"),
        ("apps=true", "runtime-config invalid key apps"),
        ("a/b/c/d=true", "runtime-config invalid key a/b/c/d"),
        ("apps/v1=yes", 'invalid value of apps/v1: yes, err: strconv.ParseBool: parsing "yes": invalid syntax'),
        (
            "apps/v1/Deployments=true",
            "invalid key apps/v1/Deployments: group/version/resource and resource is always lowercase plural, "
            'not "Deployments"',
        ),
    ],
)
def test_refusals(text: str, why: str) -> None:
    with pytest.raises(RuntimeConfigError) as caught:
        of(text)
    assert str(caught.value) == why


def test_a_server_without_it_imports_nothing_old() -> None:
    code = "import sys, pybernetes.apiserver.server; print(*(m for m in sys.modules if m.startswith('pybernetes')))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [m for m in found.stdout.split() if "legacy" in m or "podsecuritypolicy" in m] == []


def test_groups_that_left_altogether_are_known() -> None:
    assert names(of("settings.k8s.io/v1alpha1=true")) == TODAY
