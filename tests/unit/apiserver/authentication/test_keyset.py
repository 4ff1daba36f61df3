"""When keys of an issuer are fetched, and when not."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.apiserver.authentication.bearer import TokenError
from pybernetes.apiserver.authentication.oidc import jose
from pybernetes.apiserver.authentication.oidc.fetch import Document, FetchError
from pybernetes.apiserver.authentication.oidc.keyset import BURST, FAILED, KeySet, lifetime

from .jwts import jwk, key_set, signed


class Issuer:
    """Its keys at the moment, and how often they were asked for."""

    def __init__(self, *keys: dict[str, Any], control: str = "") -> None:
        self.clock = VirtualClock()
        self.keys, self.control, self.fetches, self.down = list(keys), control, 0, False
        self.told: list[bytes | None] = []
        self.set = KeySet(self.fetch, self.told.append, self.clock)

    async def fetch(self) -> Document:
        self.fetches += 1
        await asyncio.sleep(0)
        if self.down:
            raise FetchError("503: away")
        return Document({"cache-control": self.control} if self.control else {}, key_set(*self.keys))

    async def why_not(self, algorithm: str, **header: Any) -> str:
        try:
            await self.set.verify(jose.read(signed({}, algorithm, **header)))
        except TokenError as error:
            return str(error)
        return ""


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_keys_are_fetched_once_and_again_for_an_unknown_one() -> None:
    async def work() -> None:
        issuer = Issuer(jwk("RS256"))
        assert [await issuer.why_not("RS256") for _ in range(3)] == ["", "", ""]
        assert issuer.fetches == 1
        assert await issuer.why_not("ES256") == FAILED
        issuer.keys.append(jwk("ES256"))
        assert [await issuer.why_not("ES256"), await issuer.why_not("RS256"), issuer.fetches] == ["", "", 3]
        assert issuer.told[-1] == key_set(*issuer.keys)

    run(work())


def test_a_token_without_a_kid_may_be_of_any_key() -> None:
    async def work() -> None:
        issuer = Issuer(jwk("ES256"), jwk("RS256"))
        assert await issuer.why_not("RS256", kid="") == ""
        assert await issuer.why_not("RS256", kid="other") == FAILED

    run(work())


def test_those_who_wait_share_a_fetch() -> None:
    async def work() -> None:
        issuer = Issuer(jwk("RS256"))
        assert await asyncio.gather(*(issuer.why_not("RS256") for _ in range(20))) == [""] * 20
        assert issuer.fetches == 1

    run(work())


def test_strangers_cannot_have_an_issuer_asked_without_end() -> None:
    async def work() -> None:
        issuer = Issuer(jwk("RS256"))
        why = [await issuer.why_not("ES256", kid=f"k{number}") for number in range(50)]
        assert issuer.fetches == BURST
        assert set(why[:BURST]) == {FAILED} and all("too many unknown keys" in text for text in why[BURST:])
        assert await issuer.why_not("RS256") == ""  # what is known goes on
        await issuer.clock.advance(10)
        issuer.keys.append(jwk("ES256"))
        assert [await issuer.why_not("ES256"), issuer.fetches] == ["", BURST + 1]

    run(work())


def test_an_issuer_that_says_how_long_its_keys_hold_is_believed() -> None:
    async def work() -> None:
        issuer = Issuer(jwk("RS256"), control="public, max-age=300")
        assert await issuer.why_not("RS256") == ""
        issuer.keys.append(jwk("ES256"))
        assert [await issuer.why_not("ES256"), issuer.fetches] == [FAILED, 1]
        await issuer.clock.advance(271)
        assert [await issuer.why_not("ES256"), issuer.fetches] == ["", 2]

    run(work())


def test_keys_outlive_an_issuer_that_is_away() -> None:
    async def work() -> None:
        issuer = Issuer(jwk("RS256"))
        assert await issuer.why_not("RS256") == ""
        issuer.down = True
        assert await issuer.why_not("RS256") == ""
        assert await issuer.why_not("ES256") == (
            "failed to verify signature: fetching keys oidc: get keys failed 503: away"
        )
        assert issuer.told[-1] is None
        await issuer.set.close()

    run(work())


@pytest.mark.parametrize(
    ("control", "seconds"),
    [
        ("max-age=60", 60),
        ("public, Max-Age=60, must-revalidate", 60),
        ("no-cache, max-age=60", 0),
        ("s-max-age=60", 0),
        ("", 0),
    ],
)
def test_lifetimes(control: str, seconds: float) -> None:
    assert lifetime({"cache-control": control}) == seconds
