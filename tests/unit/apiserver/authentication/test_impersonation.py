"""Acting as somebody else: who is asked for, what that takes, who one is then."""

import time

import pytest

from pybernetes.api.errors import StatusError
from pybernetes.apiserver.authentication import impersonation
from pybernetes.apiserver.authentication.user import User
from pybernetes.wire.http import Request


def request(**headers: str) -> Request:
    return Request("GET", b"/", b"", tuple((name.replace("_", "-"), value) for name, value in headers.items()))


def test_no_headers_no_impersonation() -> None:
    assert impersonation.requested(request(accept="*/*").headers) is None


@pytest.mark.parametrize("header", ["impersonate_group", "impersonate_uid", "impersonate_extra_scope"])
def test_the_rest_without_a_user_is_refused(header: str) -> None:
    with pytest.raises(StatusError, match="without impersonating a user"):
        impersonation.requested(request(**{header: "x"}).headers)


@pytest.mark.parametrize(
    ("wanted", "groups"),
    [
        (User("jane"), ("system:authenticated",)),
        (User("jane", ("dev",)), ("dev", "system:authenticated")),
        (User("system:anonymous"), ("system:unauthenticated",)),
        (
            User("system:serviceaccount:a:b"),
            ("system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated"),
        ),
    ],
)
def test_groups_that_come_by_themselves(wanted: User, groups: tuple[str, ...]) -> None:
    assert impersonation.resolved(wanted).groups == groups


def test_each_part_is_a_question() -> None:
    headers = {
        "impersonate_user": "system:serviceaccount:a:b",
        "impersonate_group": "g",
        "impersonate_extra_scope": "s",
    }
    wanted = impersonation.requested(request(**headers).headers)
    assert wanted is not None
    asked = [(q.verb, q.group, q.resource, q.subresource, q.namespace, q.name) for q in impersonation.questions(wanted)]
    assert asked == [
        ("impersonate", "", "serviceaccounts", "", "a", "b"),
        ("impersonate", "", "groups", "", "", "g"),
        ("impersonate", "authentication.k8s.io", "userextras", "scope", "", "s"),
    ]


def test_of_several_the_first_counts() -> None:
    headers = (("impersonate-user", "jane"), ("impersonate-user", "root"), ("impersonate-extra-a", "1"))
    assert impersonation.requested((*headers, ("impersonate-extra-a", "2"))) == User("jane", extra={"a": ("1", "2")})


def test_as_many_headers_as_fit_cost_no_more_than_reading_them() -> None:
    headers = (("impersonate-user", "jane"), *[("impersonate-extra-a", "x")] * 60_000)
    begin = time.process_time()
    wanted = impersonation.requested(headers)
    assert time.process_time() - begin < 1.0  # a tuple grown by one each time takes ten
    assert wanted is not None
    assert len(wanted.extra["a"]) == 60_000
