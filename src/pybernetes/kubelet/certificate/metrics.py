"""How long the kubelet's certificates still hold, and how their renewal goes (upstream: pkg/kubelet/certificate/kubelet.go, its metrics)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from pybernetes.component.metrics import Registry
from pybernetes.pki.certificates import Leaf

from .store import FileStore

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
LIVED = (MINUTE, HOUR, 4 * HOUR, DAY, 7 * DAY, 30 * DAY, 90 * DAY, 180 * DAY, 360 * DAY, 1440 * DAY)


class CertificateMetrics:
    """The families of one kubelet; a certificate that the cluster does not sign has none."""

    def __init__(self, registry: Registry, now: Callable[[], datetime]) -> None:
        self._registry, self._now = registry, now

    def client(self, store: FileStore) -> Callable[[], None]:
        """Of the client certificate; what is given is to be called for each renewal that failed."""
        self._ttl("kubelet_certificate_manager_client_ttl_seconds", "Gauge of the TTL", "client", store)
        errors = self._registry.counter(
            "kubelet_certificate_manager_client_expiration_renew_errors", "Counter of certificate renewal errors."
        )
        return errors.inc

    def server(self, store: FileStore) -> tuple[Callable[[], None], Callable[[Leaf | None], None]]:
        """Of the serving certificate; to be called for each renewal that failed, and for each that did not with the certificate before."""
        self._ttl("kubelet_certificate_manager_server_ttl_seconds", "Gauge of the shortest TTL", "serving", store)
        errors = self._registry.counter(
            "kubelet_server_expiration_renew_errors", "Counter of certificate renewal errors."
        )
        lived = self._registry.histogram(
            "kubelet_certificate_manager_server_rotation_seconds",
            "Histogram of the number of seconds the previous certificate lived before being rotated.",
            buckets=LIVED,
        )

        def renewed(before: Leaf | None) -> None:
            if before is not None:
                lived.observe((self._now() - before.begins).total_seconds())

        return errors.inc, renewed

    def _ttl(self, name: str, what: str, whose: str, store: FileStore) -> None:
        def ttl() -> dict[tuple[str, ...], float]:
            leaf = store.leaf()
            return {(): (leaf.ends - self._now()).total_seconds() if leaf is not None else float("inf")}

        help = (
            f"{what} (time-to-live) of the Kubelet's {whose} certificate. The value is in seconds until certificate "
            f"expiry (negative if already expired). If {whose} certificate is invalid or unused, the value will be +INF."
        )
        self._registry.gauge(name, help, function=ttl)
