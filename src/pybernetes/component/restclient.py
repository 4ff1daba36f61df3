"""The client of a part: rest_client_* metrics and --kube-api-qps (component-base/metrics/prometheus/restclient, client-go flowcontrol)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from pybernetes.aio.clock import Clock, RealClock
from pybernetes.api.errors import StatusError
from pybernetes.client.kubeconfig import Config
from pybernetes.client.rest import RESTClient

from .metrics import Registry

BUCKETS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)  # seconds, upstream's


class RequestMetrics:
    """The families of one registry; shared by all clients of a part."""

    def __init__(self, registry: Registry) -> None:
        self.requests = registry.counter(
            "rest_client_requests_total",
            "Number of HTTP requests, partitioned by status code, method, and host.",
            ("code", "method", "host"),
        )
        self.durations = registry.histogram(
            "rest_client_request_duration_seconds",
            "Request latency in seconds. Broken down by verb, and host.",
            ("verb", "host"),
            BUCKETS,
        )


class TokenBucket:
    """So many a second, with bursts; waits its turn (flowcontrol.NewTokenBucketRateLimiter)."""

    def __init__(self, qps: float, burst: int, clock: Clock | None = None) -> None:
        self._qps, self._burst, self._clock = qps, burst, clock or RealClock()
        self._tokens = float(burst)
        self._at = self._clock.monotonic()

    async def wait(self) -> None:
        """Returns when a token is there; takes it. Waiters are served in order."""
        now = self._clock.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._qps) - 1
        self._at = now
        if self._tokens < 0:
            await self._clock.sleep(-self._tokens / self._qps)


class PartClient(RESTClient):
    """A client that counts, and holds itself back where a bucket is given."""

    def __init__(
        self, config: Config, user_agent: str, metrics: RequestMetrics, bucket: TokenBucket | None = None
    ) -> None:
        super().__init__(config, user_agent)
        self._metrics, self._bucket = metrics, bucket
        self._host = urlsplit(config.server).netloc

    async def raw(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        if self._bucket is not None:
            await self._bucket.wait()
        start = time.perf_counter()
        code = "<error>"
        try:
            answer = await super().raw(method, path, body, headers)
            code = "201" if method == "POST" else "200"
        except StatusError as error:
            code = str(error.code)
            raise
        finally:
            self._metrics.requests.inc(code, method, self._host)
            self._metrics.durations.observe(time.perf_counter() - start, method, self._host)
        return answer
