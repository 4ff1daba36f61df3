"""What answers of webhooks mean, and how patches that do not fit are told."""

import base64
from typing import Any

import pytest

from pybernetes.api.errors import StatusError
from pybernetes.apiserver.admission.webhook import review
from pybernetes.apiserver.admission.webhook.dispatch import Reinvocation, patched
from pybernetes.apiserver.admission.webhook.review import BadReply

V1 = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
PATCH = base64.b64encode(b"[]").decode()


def answer(**response: Any) -> dict[str, Any]:
    return {**V1, "response": {"uid": "u", "allowed": True, **response}}


@pytest.mark.parametrize(
    ("given", "mutating", "words"),
    [
        (V1, False, "webhook response was absent"),
        (answer(uid="x"), False, 'expected response.uid="u", got "x"'),
        (
            {"response": {"uid": "u"}},
            False,
            "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got /, Kind=",
        ),
        (
            answer() | {"apiVersion": "admission.k8s.io/v1beta1"},
            False,
            "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, "
            "got admission.k8s.io/v1beta1, Kind=AdmissionReview",
        ),
        (answer(patch=PATCH), False, "validating webhook may not return response.patch"),
        (answer(patchType="JSONPatch"), False, "validating webhook may not return response.patchType"),
        (answer(patch=PATCH), True, "webhook returned response.patch but not response.patchType"),
        (answer(patchType="JSONPatch"), True, "webhook returned response.patchType but not response.patch"),
        (answer(patch=PATCH, patchType=""), True, 'webhook returned invalid response.patchType of ""'),
        (answer(patch="?"), True, "webhook returned response.patch that is not base64"),
    ],
)
def test_bad_replies(given: Any, mutating: bool, words: str) -> None:
    with pytest.raises(BadReply) as raised:
        review.reply(given, "u", "v1", mutating)
    assert str(raised.value) == words


def test_v1beta1_lets_much_pass() -> None:
    got = review.reply({"response": {"allowed": True, "patch": PATCH}}, "u", "v1beta1", True)
    assert (got.allowed, got.patch, got.patch_type) == (True, b"[]", "JSONPatch")
    assert review.reply({"response": {"patch": PATCH}}, "u", "v1beta1", False).patch == b""


@pytest.mark.parametrize(
    ("offered", "spoken"), [(["v1", "v1beta1"], "v1"), (["v1beta1", "v1"], "v1beta1"), (["v2", "v1"], "v1")]
)
def test_the_first_known_version_is_spoken(offered: list[str], spoken: str) -> None:
    assert review.version(offered) == spoken


def test_no_known_version() -> None:
    with pytest.raises(BadReply, match="known AdmissionReview versions"):
        review.version(["v2"])


@pytest.mark.parametrize("data", [b"", b"null", b"[]"])
def test_empty_patches(data: bytes) -> None:
    assert review.operations(data) == []


@pytest.mark.parametrize("data", [b"{}", b"["])
def test_undecodable_patches(data: bytes) -> None:
    with pytest.raises(BadReply):
        review.operations(data)


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (
            {"op": "add", "path": "/x/y", "value": 1},
            'add operation does not apply: doc is missing path: "/x/y": missing',
        ),
        (
            {"op": "remove", "path": "/x"},
            "error in remove for path: '/x': Unable to remove nonexistent key: x: missing value",
        ),
        (
            {"op": "replace", "path": "/x/y"},
            "replace operation does not apply: doc is missing path: /x/y: missing value",
        ),
        ({"op": "test", "path": "/a", "value": 2}, "testing value /a failed: test failed"),
    ],
)
def test_patches_that_do_not_fit(operation: Any, words: str) -> None:
    with pytest.raises(StatusError) as raised:
        patched({"a": 1}, [operation])
    assert raised.value.code == 500
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("result", "code", "status"),
    [
        (None, 400, {"message": 'admission webhook "w" denied the request without explanation'}),
        ({"message": "m", "code": 422}, 422, {"message": 'admission webhook "w" denied the request: m'}),
        ({"reason": "R"}, 400, {"message": 'admission webhook "w" denied the request: R', "reason": "R"}),
        ({"status": "Success", "code": 200}, 400, {"status": "Failure"}),
        ({"details": {"name": "n"}, "code": 5000}, 999, {"details": {"name": "n"}}),
    ],
)
def test_denials(result: Any, code: int, status: dict[str, Any]) -> None:
    got = review.denied("w", result)
    assert got.code == code
    assert status.items() <= got.status.items()


def test_only_those_called_before_a_change_are_due() -> None:
    state = Reinvocation()
    state.called.add("a")
    state.require()
    state.called.add("b")
    assert (state.due, state.called) == ({"a"}, {"b"})
