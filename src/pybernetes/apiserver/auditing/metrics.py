"""What auditing counts, by upstream's names (upstream: apiserver/pkg/audit/metrics.go)."""

from __future__ import annotations

import logging

from pybernetes.aio.clock import Clock
from pybernetes.component.metrics import Registry

_log = logging.getLogger(__name__)

QUIET_SECONDS = 1.0  # between words about the same plug-in: a full disk has something to say of each request


class AuditMetrics:
    """Of one API server; `registry` is to be shown with the server's own."""

    def __init__(self, clock: Clock) -> None:
        self.registry = registry = Registry()
        self._monotonic = clock.monotonic
        self.events = registry.counter(
            "apiserver_audit_event_total", "Counter of audit events generated and sent to the audit backend."
        )
        self._errors = registry.counter(
            "apiserver_audit_error_total",
            "Counter of audit events that failed to be audited properly. Plugin identifies the plugin affected by the error.",
            ("plugin",),
        )
        self.levels = registry.counter(
            "apiserver_audit_level_total", "Counter of policy levels for audit events (1 per request).", ("level",)
        )
        self.rejected = registry.counter(
            "apiserver_audit_requests_rejected_total",
            "Counter of apiserver requests rejected due to an error in audit logging backend.",
        )
        for counter in (self.events, self.rejected):
            counter.inc(by=0)
        self._told: dict[str, tuple[float, int]] = {}  # by plug-in: when something was said, and what was not since

    def failed(self, plugin: str, why: str, count: int) -> None:
        """So many events are lost."""
        self._errors.inc(plugin, by=count)
        now = self._monotonic()
        last, unsaid = self._told.get(plugin, (float("-inf"), 0))
        if now - last < QUIET_SECONDS:
            self._told[plugin] = last, unsaid + count
            return
        self._told[plugin] = now, 0
        _log.error("Error in audit plugin '%s' affecting %d audit events: %s", plugin, count + unsaid, why)
