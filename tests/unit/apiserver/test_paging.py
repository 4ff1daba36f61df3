"""Continue tokens."""

import base64
import json
from typing import Any

import pytest

from pybernetes.api.errors import StatusError
from pybernetes.apiserver.generic import paging
from pybernetes.apiserver.generic.options import ListOptions

GOOD = {"v": "meta.k8s.io/v1", "rv": 5, "start": "ns/a"}


def packed(content: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def test_a_token_comes_back() -> None:
    assert paging.continued(ListOptions(continue_=paging.token(5, "ns/a\0")), "/pods/") == (5, "/pods/ns/a")
    assert paging.continued(ListOptions(), "/pods/") == (0, "")


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("a b", "illegal base64 data at input byte 1"),
        ("x", "illegal base64 data at input byte 0"),
        ("abc", "invalid character 'i' looking for beginning of value"),
        (packed({**GOOD, "v": "v9"}), "server does not recognize this encoded version v9"),
        (packed({**GOOD, "rv": 0}), "incorrect encoded start resourceVersion (version meta.k8s.io/v1)"),
        (packed({**GOOD, "start": ""}), "encoded start key empty (version meta.k8s.io/v1)"),
        ("eyJ", "unexpected end of JSON input"),
        (packed({**GOOD, "start": "../secrets/a"}), "../secrets/a"),
        (packed({**GOOD, "start": "//secrets/a"}), "//secrets/a"),
        (packed({**GOOD, "start": "a/./b"}), "a/./b"),
        (packed({**GOOD, "start": "a/"}), "a/"),
    ],
)
def test_what_is_no_token_is_refused(token: str, why: str) -> None:
    with pytest.raises(StatusError) as refused:
        paging.continued(ListOptions(continue_=token, resource_version="5"), "/pods/")
    assert refused.value.status["message"] == f"invalid continue token: continue key is not valid: {why}"


def test_a_token_holds_its_own_resource_version() -> None:
    with pytest.raises(StatusError, match="specifying resource version is not allowed when using continue"):
        paging.continued(ListOptions(continue_=packed(GOOD), resource_version="5"), "/pods/")
