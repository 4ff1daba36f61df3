"""What is counted of configurations that follow their files, by upstream's names (upstream: server/options/authenticationconfig/metrics,
authorizationconfig/metrics)."""

from __future__ import annotations

import hashlib

from pybernetes.component.metrics import Registry


def digest(text: str | bytes) -> str:
    """As files, issuers and servers are told: they are nobody's business."""
    data = text.encode() if isinstance(text, str) else text
    return f"sha256:{hashlib.sha256(data).hexdigest()}" if data else ""


class ReloadMetrics:
    """`what` is authentication or authorization, `server` the identity of the API server."""

    def __init__(self, registry: Registry, what: str, server: str) -> None:
        self._server = digest(server)
        prefix, labels = f"apiserver_{what}_config_controller", ("status", "apiserver_id_hash")
        split = "split by status and apiserver identity."
        self._reloads = registry.counter(
            f"{prefix}_automatic_reloads_total",
            f"Total number of automatic reloads of {what} configuration {split}",
            labels,
        )
        self._times = registry.gauge(
            f"{prefix}_automatic_reload_last_timestamp_seconds",
            f"Timestamp of the last automatic reload of {what} configuration {split}",
            labels,
        )
        self._applied = registry.gauge(
            f"{prefix}_last_config_info",
            f"Information about the last applied {what} configuration with hash as label, split by apiserver identity.",
            ("apiserver_id_hash", "hash"),
        )

    def reloaded(self, succeeded: bool, now: float) -> None:
        """The file was read anew; `now` in seconds since 1970."""
        labels = ("success" if succeeded else "failure", self._server)
        self._reloads.inc(*labels)
        self._times.set(now, *labels)

    def applied(self, data: bytes) -> None:
        """The configuration with these bytes is in use."""
        self._applied.samples.clear()
        self._applied.set(1.0, self._server, digest(data))
