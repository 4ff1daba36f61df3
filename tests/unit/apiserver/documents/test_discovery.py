"""Which resources there are. The kind of this: documents in which scripts look for text have their members in upstream's order."""

import pytest

from pybernetes.apiserver.documents.discovery import Discovery
from pybernetes.apiserver.kinds import RESOURCES

MEMBERS = (
    *("name", "singularName", "namespaced", "group", "version", "kind"),
    *("verbs", "shortNames", "categories", "storageVersionHash"),
)


@pytest.mark.parametrize(
    "group, version", [("", "v1"), ("apps", "v1"), ("policy", "v1"), ("certificates.k8s.io", "v1")]
)
def test_members_of_resources_stand_as_upstream_writes_them(group: str, version: str) -> None:
    listed = Discovery(RESOURCES).resource_list(group, version)
    assert listed is not None
    assert list(listed) == ["kind", "apiVersion", "groupVersion", "resources"]
    for entry in listed["resources"]:
        assert list(entry) == [member for member in MEMBERS if member in entry]


@pytest.mark.parametrize(
    "name, members",
    [
        (
            "pods",
            ["name", "singularName", "namespaced", "kind", "verbs", "shortNames", "categories", "storageVersionHash"],
        ),
        ("pods/eviction", ["name", "singularName", "namespaced", "group", "version", "kind", "verbs"]),
        ("replicationcontrollers/scale", ["name", "singularName", "namespaced", "group", "version", "kind", "verbs"]),
        ("pods/log", ["name", "singularName", "namespaced", "kind", "verbs"]),
    ],
)
def test_which_members_there_are(name: str, members: list[str]) -> None:
    listed = Discovery(RESOURCES).resource_list("", "v1")
    assert listed is not None
    assert [list(entry) for entry in listed["resources"] if entry["name"] == name] == [members]
