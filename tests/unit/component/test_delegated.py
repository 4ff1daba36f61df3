import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from pybernetes.api import errors
from pybernetes.api.types import authentication_v1 as authentication
from pybernetes.api.types import authorization_v1 as authorization
from pybernetes.client.memory import MemoryClient
from pybernetes.client.types import Object
from pybernetes.component.delegated import (
    ALLOWED_SECONDS,
    DENIED_SECONDS,
    Ask,
    DelegatedGuard,
    UserInfo,
    certificate_user,
)
from pybernetes.wire.http import Request

T = TypeVar("T", bound=Object)
READ = Ask("get", "/metrics")


class Reviews(MemoryClient):
    """An API server that knows one token and one permission; counts what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.down = False

    async def create(self, obj: T) -> T:
        review: Any = await super().create(obj)
        if self.down:
            raise errors.service_unavailable("not now")
        if isinstance(review, authentication.TokenReview):
            known = review.spec.token == "good"
            user = authentication.UserInfo(username="u", groups=["g"])
            review.status = authentication.TokenReviewStatus(authenticated=known, user=user if known else None)
        else:
            allowed = review.spec.non_resource_attributes is not None
            review.status = authorization.SubjectAccessReviewStatus(
                allowed=allowed, reason="" if allowed else "no rule"
            )
        return review


def bearer(token: str) -> Request:
    return Request("GET", b"/metrics", b"", [("authorization", f"Bearer {token}")])


def guard_at(time: list[float]) -> tuple[DelegatedGuard, Reviews]:
    reviews = Reviews()
    return DelegatedGuard(reviews, lambda: time[0]), reviews


def test_a_token_is_reviewed_once_while_it_is_fresh() -> None:
    time = [0.0]
    guard, reviews = guard_at(time)

    async def main() -> None:
        assert await guard.authenticate(bearer("good")) == UserInfo("u", ("g",))
        assert await guard.authenticate(bearer("good")) == UserInfo("u", ("g",))
        assert len(reviews.asked("create")) == 1
        assert await guard.authenticate(bearer("bad")) is None
        assert await guard.authenticate(Request("GET", b"/", b"", [])) is None
        assert len(reviews.asked("create")) == 2

    asyncio.run(main())


@pytest.mark.parametrize(
    ("ask", "refusal", "lifetime"),
    [(READ, None, ALLOWED_SECONDS), (Ask("get", resource="nodes", subresource="log"), "no rule", DENIED_SECONDS)],
)
def test_answers_are_kept_for_their_time(ask: Ask, refusal: str | None, lifetime: float) -> None:
    time = [0.0]
    guard, reviews = guard_at(time)

    async def main() -> None:
        for moment, asked in ((0.0, 1), (lifetime - 1, 1), (lifetime, 2)):
            time[0] = moment
            assert await guard.authorize(UserInfo("u"), ask) == refusal
            assert len(reviews.asked("create")) == asked

    asyncio.run(main())


def test_an_api_server_that_refuses_is_no_answer() -> None:
    guard, reviews = guard_at([0.0])
    reviews.down = True

    async def main() -> None:
        with pytest.raises(ConnectionError, match="not now"):
            await guard.authenticate(bearer("good"))
        with pytest.raises(ConnectionError, match="not now"):
            await guard.authorize(UserInfo("u"), READ)

    asyncio.run(main())


def test_a_certificate_is_its_common_name_until_it_ends() -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    from pybernetes.pki.certificates import Authority, Subject

    now = datetime(2026, 1, 1, tzinfo=UTC)
    pair = Authority.create("ca", now).issue(Subject("u", ("g",)), now, timedelta(days=1))
    data = x509.load_pem_x509_certificate(pair.certificate).public_bytes(Encoding.DER)
    assert certificate_user(lambda: now)(data, ()) == UserInfo("u", ("g", "system:authenticated"))
    assert certificate_user(lambda: now + timedelta(days=2))(data, ()) is None
    trusted = [True]
    known = certificate_user(lambda: now, lambda certificate, intermediates: trusted[0])
    assert known(data, ()) is not None
    trusted[0] = False  # its authority has left the file, while a connection stood
    assert known(data, ()) is None
