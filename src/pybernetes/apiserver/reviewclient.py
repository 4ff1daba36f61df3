"""Asks a server outside for reviews of tokens and of access, as its kubeconfig says (upstream: apiserver/pkg/util/webhook)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from pybernetes.aio.clock import Clock
from pybernetes.client.configerror import ConfigError
from pybernetes.client.http import Answer, HTTPClient
from pybernetes.client.kubeconfig import Config

from .admission.webhook.caller import explained, told
from .admission.webhook.endpoint import Endpoint
from .resource import Object

SECONDS = 30.0  # of one try (defaultRequestTimeout)
INITIAL_DELAY, FACTOR, JITTER, STEPS = 0.5, 1.5, 0.2, 5  # DefaultRetryBackoff
RETRIED = frozenset({429, 500, 504})  # and whatever names a time to come again
MAX_BYTES = 3 << 20  # of an answer

Result = Literal["success", "timeout", "error", "canceled"]


class ReviewFailed(Exception):
    """No review came back. `result` is how the last try ended."""

    def __init__(self, why: str, result: Result = "error") -> None:
        super().__init__(why)
        self.result: Result = result


class _Failed(ReviewFailed):
    """One try. `again`: another may do better."""

    def __init__(self, why: str, result: Result = "error", again: bool = False) -> None:
        super().__init__(why, result)
        self.again = again


class ReviewClient:
    """Keeps connections. `close` when done. `seconds` is the time of one try; `measured` hears how each ended, and how long it took."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        seconds: float = SECONDS,
        measured: Callable[[Result, float], object] = lambda result, elapsed: None,
        chooser: random.Random | None = None,
    ) -> None:
        """ConfigError, ValueError for what cannot be used."""
        self._config, self._clock, self._seconds, self._measured = config, clock, seconds, measured
        self._random = chooser or random.Random()
        url = urlsplit(config.server)
        self._base = f"{url.scheme}://{url.netloc}"
        self._path = url.path.rstrip("/") or "/"
        self._http = HTTPClient(self._base, config.ssl_context(), config.tls_server_name)

    async def create(self, review: Object) -> Object:
        """The review with its status, of the kind that was sent. ReviewFailed."""
        body, delay = msgspec.json.encode(review), INITIAL_DELAY
        for step in range(STEPS):
            begun = self._clock.monotonic()
            try:
                answered = await self._tried(body, review)
            except _Failed as error:
                self._measured(error.result, self._clock.monotonic() - begun)
                if not error.again or step == STEPS - 1:
                    raise ReviewFailed(str(error), error.result) from None
            except asyncio.CancelledError:
                self._measured("canceled", self._clock.monotonic() - begun)
                raise
            else:
                self._measured("success", self._clock.monotonic() - begun)
                return answered
            await self._clock.sleep(delay * (1 + self._random.random() * JITTER))
            delay *= FACTOR
        raise AssertionError("the last step returns or raises")

    async def close(self) -> None:
        """Ends all connections."""
        await self._http.close()

    async def _tried(self, body: bytes, review: Object) -> Object:
        where = f'Post "{self._base}{self._path}"'
        headers = [("Content-Type", "application/json"), ("Accept", "application/json, */*")]
        try:
            authorization = await self._config.authorization(self._clock.now())
            if authorization:
                headers.append(("Authorization", authorization))
            async with self._clock.timeout(self._seconds):
                answer = await self._posted(headers, body)
        except TimeoutError:
            raise _Failed(f"{where}: context deadline exceeded", "timeout") from None
        except ConnectionResetError as error:
            raise _Failed(f"{where}: {error}", again=True) from None
        except ConfigError as error:
            raise _Failed(f"{where}: {error}") from None
        except (OSError, ValueError) as error:
            why = explained(error, self._base, Endpoint(self._base, self._path))
            raise _Failed(f"{where}: {why}") from None
        if not 200 <= answer.status < 300:
            if answer.status == 401:
                self._config.rejected(authorization)
            again = answer.status in RETRIED or "retry-after" in answer.headers
            raise _Failed(told(answer.status, answer.body), "timeout" if answer.status == 504 else "error", again)
        return _decoded(answer.body, review)

    async def _posted(self, headers: list[tuple[str, str]], body: bytes) -> Answer:
        async with self._http.stream("POST", self._path, headers, body) as stream:
            content = bytearray()
            async for piece in stream:
                content += piece
                if len(content) > MAX_BYTES:
                    raise ValueError(f"the answer is larger than {MAX_BYTES} bytes")
            return Answer(stream.status, stream.headers, bytes(content))


def _decoded(body: bytes, sent: Object) -> Object:
    try:
        review: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _Failed(f"couldn't get version/kind; json parse error: {error}") from None
    kind = (review.get("apiVersion"), review.get("kind")) if isinstance(review, dict) else (None, None)
    if kind != (sent["apiVersion"], sent["kind"]):
        raise _Failed(f"the answer is no {sent['kind']} of {sent['apiVersion']}: {kind[1]!r} of {kind[0]!r}")
    if not isinstance(review.get("status", {}), dict):
        raise _Failed(f"the status of the {sent['kind']} is no object")
    answered: Object = review
    return answered
