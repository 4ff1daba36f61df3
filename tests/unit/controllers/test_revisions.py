"""Controller revisions: bytes and names as upstream's controllers write them."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybernetes.api import types
from pybernetes.api.gojson import escaped
from pybernetes.api.protobufencode import encode
from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core
from pybernetes.controllers import revisions

from .objects import LABELS, meta, template

# A template with the API server's defaults, and the revision of it that a controller manager of 2022 wrote:
# nginx-sts-6798d68dcd, with Go's null of that time for metadata.creationTimestamp.
DEFAULTED = {
    "metadata": {"labels": {"app": "nginx-sts"}},
    "spec": {
        "containers": [
            {
                "name": "nginx",
                "image": "nginx",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "imagePullPolicy": "Always",
            }
        ],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
    },
}
BYTES = (
    b'{"spec":{"template":{"$patch":"replace","metadata":{"labels":{"app":"nginx-sts"}},"spec":{"containers":'
    b'[{"image":"nginx","imagePullPolicy":"Always","name":"nginx","resources":{},"terminationMessagePath":'
    b'"/dev/termination-log","terminationMessagePolicy":"File"}],"dnsPolicy":"ClusterFirst","restartPolicy":"Always",'
    b'"schedulerName":"default-scheduler","securityContext":{},"terminationGracePeriodSeconds":30}}}}'
)


def defaulted() -> core.PodTemplateSpec:
    return types.decode(json.dumps(DEFAULTED).encode(), core.PodTemplateSpec)


def test_the_bytes_are_those_that_go_writes() -> None:
    assert msgspec.json.encode(revisions.data_of(defaulted())) == BYTES


def test_the_hash_is_the_recorded_one() -> None:
    recorded = json.loads(BYTES.replace(b'"metadata":{', b'"metadata":{"creationTimestamp":null,'))
    assert revisions.revision_hash(recorded, None) == "6798d68dcd"
    assert revisions.revision_hash(recorded, 0) == "6798d68dcd" != revisions.revision_hash(recorded, 1)


def test_a_revision_is_found_by_its_template() -> None:
    owner = apps.StatefulSet(metadata=meta("x" * 300), spec=apps.StatefulSetSpec(template=template()))
    made = revisions.new_revision(owner, "hash", "h", 3)
    assert (made.metadata.name, made.revision) == (f"{'x' * 223}-h", 3)
    assert made.metadata.labels == {**LABELS, "hash": "h"}
    assert revisions.holds(made, template()) and not revisions.holds(made, template("j"))
    # What a server answers, in whatever order of keys, is the same.
    again = types.decode(types.encode(made), apps.ControllerRevision)
    assert revisions.template_in(again) == template()
    assert revisions.template_in(apps.ControllerRevision(data={"a": 1})) is None


@pytest.mark.parametrize(("number", "written"), [(30, 30), (2**53 + 1, 2**53), (2**63 - 1, 9223372036854776000)])
def test_numbers_go_through_floats(number: int, written: int) -> None:
    spec = revisions.data_of(template(active_deadline_seconds=number))["spec"]["template"]["spec"]
    assert spec["activeDeadlineSeconds"] == written


def test_what_html_and_javascript_mind_is_escaped() -> None:
    assert escaped('{"a":"<b>&\u2028\u2029é"}'.encode()) == '{"a":"\\u003cb\\u003e\\u0026\\u2028\\u2029é"}'.encode()
    made = template("a<b")
    revision = apps.ControllerRevision(metadata=meta("r"), data=revisions.data_of(made))
    assert b"a\\u003cb" in encode(json.loads(types.encode(revision)))


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_escaped_json_means_the_same(value: object) -> None:
    assert json.loads(escaped(msgspec.json.encode(value))) == value
