"""Which deletions are answered with the object: generated clients raise where they get the other form.

The fault was a list of names of the core group beside the records, that forgot Services and two whole groups.
"""

import pytest

from pybernetes.apiserver.kinds import RESOURCES


@pytest.mark.parametrize(
    ("group", "names"),
    [
        ("", ["persistentvolumeclaims", "persistentvolumes", "pods", "podtemplates", "resourcequotas"]),
        ("", ["serviceaccounts", "services"]),
        ("storage.k8s.io", ["csidrivers", "csinodes", "csistoragecapacities", "storageclasses", "volumeattachments"]),
        ("resource.k8s.io", ["deviceclasses", "resourceclaims", "resourceclaimtemplates", "resourceslices"]),
    ],
)
def test_returned(group: str, names: list[str]) -> None:
    returned = {(r.group, r.name) for r in RESOURCES if r.returns_deleted}
    assert {(group, name) for name in names} <= returned


def test_the_others_are_answered_with_a_status() -> None:
    returned = {(r.group, r.name) for r in RESOURCES if r.returns_deleted}
    assert not returned & {
        ("", "configmaps"),
        ("", "nodes"),
        ("apps", "deployments"),
        ("node.k8s.io", "runtimeclasses"),
    }
