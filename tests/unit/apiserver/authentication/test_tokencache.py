"""What is remembered of tokens, and for how long."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from pybernetes.aio.clock import VirtualClock
from pybernetes.apiserver.authentication import tokencache
from pybernetes.apiserver.authentication.bearer import TokenError
from pybernetes.apiserver.authentication.tokencache import TokenCache, TokenCacheMetrics
from pybernetes.apiserver.authentication.user import User
from pybernetes.component.metrics import Registry


class Asked:
    """Knows tokens that begin with "good"; `bad` ones are wrong for good, `down` for the moment."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    async def token(self, token: str, audiences: tuple[str, ...]) -> User | None:
        self.asked.append((token, audiences))
        await asyncio.sleep(0)
        if token in ("bad", "down"):
            raise TokenError(token, lasting=token == "bad")
        return User(token) if token.startswith("good") else None


def cache(success: float = 10, failure: float = 5) -> tuple[Asked, TokenCache, VirtualClock, Registry]:
    asked, clock, registry = Asked(), VirtualClock(), Registry()
    return asked, TokenCache(asked, success, failure, TokenCacheMetrics(registry), clock), clock, registry


async def answer(cached: TokenCache, token: str, *audiences: str) -> Any:
    try:
        return await cached.token(token, audiences)
    except TokenError as error:
        return str(error)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_answers_hold_for_their_time() -> None:
    async def work() -> None:
        asked, cached, clock, registry = cache()
        for seconds, questions in ((0, 3), (4, 3), (2, 5), (5, 8)):  # at 0, 4, 6 and 11 s
            await clock.advance(seconds)
            answers = [await answer(cached, token) for token in ("good", "unknown", "bad")]
            assert answers == [User("good"), None, "bad"]
            assert len(asked.asked) == questions, seconds
        text = registry.text()
        assert 'authentication_token_cache_request_total{status="hit"}' in text
        assert 'authentication_token_cache_fetch_total{status="error"} 3' in text
        assert 'authentication_token_cache_active_fetch_count{status="in_flight"} 0' in text

    run(work())


def test_who_could_not_be_asked_is_asked_again() -> None:
    async def work() -> None:
        asked, cached, _, _ = cache()
        assert [await answer(cached, "down"), await answer(cached, "down")] == ["down", "down"]
        assert len(asked.asked) == 2

    run(work())


def test_audiences_are_part_of_the_question() -> None:
    async def work() -> None:
        asked, cached, _, _ = cache()
        for audiences in ((), ("a",), ("a", "b"), ("ab",), ("a",)):
            await answer(cached, "good", *audiences)
        assert [audiences for _, audiences in asked.asked] == [(), ("a",), ("a", "b"), ("ab",)]

    run(work())


def test_one_question_for_all_who_wait() -> None:
    async def work() -> None:
        asked, cached, _, _ = cache(success=0, failure=0)
        tasks = [asyncio.ensure_future(answer(cached, "good")) for _ in range(10)]
        await asyncio.sleep(0)
        tasks[0].cancel()  # who asked first goes away
        assert await asyncio.gather(*tasks[1:]) == [User("good")] * 9
        assert len(asked.asked) == 1
        assert await answer(cached, "good") == User("good")
        assert len(asked.asked) == 2  # with a time of 0 nothing is kept
        await cached.close()

    run(work())


def test_guesses_push_no_good_token_out() -> None:
    async def work() -> None:
        asked, cached, _, _ = cache()
        await answer(cached, "good")
        for number in range(tokencache.FAILURES + 100):
            await answer(cached, f"guess-{number}")
        assert len(cached._failures) == tokencache.FAILURES
        before = len(asked.asked)
        await answer(cached, "good")
        assert len(asked.asked) == before

    run(work())
