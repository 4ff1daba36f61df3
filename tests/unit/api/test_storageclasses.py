"""Which class a claim names: every part reads it alike, whichever form the object has."""

from __future__ import annotations

from typing import Any

import pytest

from pybernetes.api.storageclasses import storage_class, storage_class_of_json
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import from_json

OLD = "volume.beta.kubernetes.io/storage-class"


@pytest.mark.parametrize(
    ("annotations", "spec", "expected"),
    [
        ({}, {}, ""),
        ({}, {"storageClassName": "a"}, "a"),
        ({}, {"storageClassName": ""}, ""),
        ({OLD: "b"}, {"storageClassName": "a"}, "b"),
        ({OLD: ""}, {"storageClassName": "a"}, ""),  # empty, but said
        ({OLD: "b"}, {}, "b"),
    ],
)
def test_the_old_annotation_goes_first_also_where_it_is_empty(
    annotations: dict[str, str], spec: dict[str, Any], expected: str
) -> None:
    claim = {"metadata": {"name": "c", "annotations": annotations}, "spec": spec}
    assert storage_class_of_json(claim) == expected
    assert storage_class(from_json(claim, core.PersistentVolumeClaim)) == expected
    assert storage_class(from_json(claim, core.PersistentVolume)) == expected
