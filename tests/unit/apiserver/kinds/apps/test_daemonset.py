"""DaemonSets: the generation of the template, as an annotation."""

from __future__ import annotations

from typing import Any

import pytest

from pybernetes.apiserver.kinds.apps import daemonset


def daemons(image: str = "i", generation: str | None = None) -> dict[str, Any]:
    annotations = {} if generation is None else {daemonset.GENERATION: generation}
    template = {"spec": {"containers": [{"name": "c", "image": image}]}}
    return {"metadata": {"name": "d", "annotations": annotations}, "spec": {"template": template}}


@pytest.mark.parametrize(("given", "expected"), [(None, "1"), ("x", "1"), ("7", "7")])
def test_the_first_template(given: str | None, expected: str) -> None:
    made = daemons(generation=given)
    daemonset.prepare_create(made)
    assert made["metadata"]["annotations"] == {daemonset.GENERATION: expected}


@pytest.mark.parametrize(("image", "expected"), [("i", "3"), ("j", "4")])
def test_another_template(image: str, expected: str) -> None:
    new = daemons(image, "99")
    daemonset.prepare_update(new, daemons("i", "3"))
    assert new["metadata"]["annotations"] == {daemonset.GENERATION: expected}
