"""Limits and defaults of a namespace."""

from typing import Any

import pytest

from pybernetes.api.errors import StatusError
from pybernetes.apiserver.admission.limitranger import ANNOTATION, LimitRanger
from pybernetes.apiserver.authentication.user import LOOPBACK
from pybernetes.apiserver.kinds.core import persistentvolumeclaim, pod
from pybernetes.apiserver.types import Attributes

from ..fakes import Objects, meta

Object = dict[str, Any]


def plugin(*limits: Object) -> LimitRanger:
    return LimitRanger(Objects(("", "limitranges", {"metadata": meta("lr", "a"), "spec": {"limits": list(limits)}})))


def container(name: str = "c", **resources: Any) -> Object:
    return {"name": name, "resources": resources}


def attributes(*containers: Object, **spec: Any) -> Attributes:
    made = {"metadata": meta("p", "a"), "spec": {"containers": list(containers), **spec}}
    return Attributes(LOOPBACK, "CREATE", pod.RESOURCE, "", "a", "p", made, None)


def claim(storage: str) -> Attributes:
    made = {"metadata": meta("c", "a"), "spec": {"resources": {"requests": {"storage": storage}}}}
    return Attributes(LOOPBACK, "CREATE", persistentvolumeclaim.RESOURCE, "", "a", "c", made, None)


def test_defaults_and_the_annotation_that_tells_of_them() -> None:
    asked = attributes(container(limits={"cpu": "1"}), initContainers=[container("i")])
    plugin({"type": "Container", "default": {"cpu": "2"}, "defaultRequest": {"cpu": "1", "memory": "1Mi"}}).admit(asked)
    assert asked.object is not None
    spec = asked.object["spec"]
    assert spec["containers"][0]["resources"] == {"requests": {"cpu": "1", "memory": "1Mi"}, "limits": {"cpu": "1"}}
    assert spec["initContainers"][0]["resources"]["limits"] == {"cpu": "2"}
    assert asked.object["metadata"]["annotations"][ANNOTATION] == (
        "LimitRanger plugin set: cpu, memory request for container c; "
        "cpu, memory request for init container i; cpu limit for init container i"
    )


CPU_MAX = {"type": "Container", "max": {"cpu": "1"}}
POD_MAX = {"type": "Pod", "max": {"cpu": "2"}}


@pytest.mark.parametrize(
    ("limit", "asked", "message"),
    [
        (CPU_MAX, attributes(container(limits={"cpu": "2"})), "maximum cpu usage per Container is 1, but limit is 2"),
        (CPU_MAX, attributes(container()), "maximum cpu usage per Container is 1.  No limit is specified"),
        (CPU_MAX, attributes(container(limits={"cpu": "1"})), ""),
        (
            {"type": "Container", "min": {"cpu": "100m"}},
            attributes(container(requests={"cpu": "50m"})),
            "minimum cpu usage per Container is 100m, but request is 50m",
        ),
        (
            {"type": "Container", "maxLimitRequestRatio": {"cpu": "2"}},
            attributes(container(requests={"cpu": "100m"}, limits={"cpu": "1"})),
            "cpu max limit to request ratio per Container is 2, but provided ratio is 10.000000",
        ),
        (
            POD_MAX,
            attributes(container(limits={"cpu": "1500m"}), container("d", limits={"cpu": "1"})),
            "maximum cpu usage per Pod is 2, but limit is 2500m",
        ),
        (
            POD_MAX,
            attributes(container(limits={"cpu": "1"}), initContainers=[container("i", limits={"cpu": "3"})]),
            "maximum cpu usage per Pod is 2, but limit is 3",
        ),
        (
            {"type": "PersistentVolumeClaim", "max": {"storage": "5Gi"}},
            claim("6Gi"),
            "maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 6Gi",
        ),
        ({"type": "PersistentVolumeClaim", "min": {"storage": "5Gi"}}, claim("5Gi"), ""),
    ],
)
def test_limits(limit: Object, asked: Attributes, message: str) -> None:
    if not message:
        plugin(limit).validate(asked)
        return
    with pytest.raises(StatusError) as refused:
        plugin(limit).validate(asked)
    assert str(refused.value).endswith(f"is forbidden: {message}")
