"""Records for a server elsewhere: an EventList a request, sent again while it fails (upstream: apiserver/plugin/pkg/audit/webhook)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from urllib.parse import urlsplit

from pybernetes.aio.clock import Clock
from pybernetes.client.configerror import ConfigError
from pybernetes.client.http import HTTPClient
from pybernetes.client.kubeconfig import Config

from .metrics import AuditMetrics
from .record import Record, event_list

STEPS, FACTOR, JITTER = (
    5,
    1.5,
    0.2,
)  # tries, and what the wait between them grows by (webhook.DefaultRetryBackoffWithInitialDelay)
REQUEST_SECONDS = 30.0


class WebhookSink:
    """See `Sink`. `config` is the kubeconfig's: its server's URL, with its path, is where events are posted."""

    def __init__(self, config: Config, backoff: float, metrics: AuditMetrics, clock: Clock) -> None:
        """ConfigError, ValueError for what cannot be used."""
        self._config, self._backoff, self._metrics, self._clock = config, backoff, metrics, clock
        self._target = "" if urlsplit(config.server).path.strip("/") else "/"  # behind the URL's own path
        self._http = HTTPClient(config.server, config.ssl_context(), config.tls_server_name)

    async def start(self) -> None:
        """See `Sink`."""

    async def process(self, records: Sequence[Record]) -> bool:
        """See `Sink`."""
        body, delay, problem = event_list(list(records)), self._backoff, ""
        for step in range(STEPS):
            if step:
                await self._clock.sleep(delay * (1 + random.random() * JITTER))
                delay *= FACTOR
            problem = await self._sent(body)
            if not problem:
                return True
        self._metrics.failed("webhook", problem, len(records))
        return False

    async def _sent(self, body: bytes) -> str:
        """Why it was not; "" where it was."""
        headers = [("Content-Type", "application/json"), ("Accept", "application/json, */*")]
        try:
            authorization = await self._config.authorization(self._clock.now())
            if authorization:
                headers.append(("Authorization", authorization))
            answer = await self._http.request("POST", self._target, headers, body, timeout=REQUEST_SECONDS)
        except (TimeoutError, OSError, ConfigError) as error:
            return f"{self._config.server}: {error or type(error).__name__}"
        if 200 <= answer.status < 300:
            return ""
        text = answer.body[:200].decode(errors="replace").strip()
        return f"{self._config.server} answered {answer.status}: {text}"

    async def close(self) -> None:
        """See `Sink`."""
        await self._http.close()
