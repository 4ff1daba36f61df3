"""What tokens of issuers count, by upstream's names (upstream: authenticator/token/oidc/metrics.go)."""

from __future__ import annotations

from pybernetes.component.metrics import Registry

from ...configmetrics import digest

SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class OIDCMetrics:
    """Of one API server, `server` being its identity."""

    def __init__(self, registry: Registry, server: str) -> None:
        self._server = digest(server)
        self._seconds = registry.histogram(
            "apiserver_authentication_jwt_authenticator_latency_seconds",
            "Latency of jwt authentication operations in seconds. This is the time spent authenticating a token for "
            "cache miss only (i.e. when the token is not found in the cache).",
            ("result", "jwt_issuer_hash"),
            SECONDS,
        )
        self._fetched = registry.gauge(
            "apiserver_authentication_jwt_authenticator_jwks_fetch_last_timestamp_seconds",
            "Timestamp of the last successful or failed JWKS fetch split by result, api server identity and jwt issuer "
            "for the JWT authenticator.",
            ("result", "jwt_issuer_hash", "apiserver_id_hash"),
        )
        self._key_sets = registry.gauge(
            "apiserver_authentication_jwt_authenticator_jwks_fetch_last_key_set_info",
            "Information about the last JWKS fetched by the JWT authenticator with hash as label, split by api server "
            "identity and jwt issuer.",
            ("jwt_issuer_hash", "apiserver_id_hash", "hash"),
        )

    def authenticated(self, issuer: str, succeeded: bool, seconds: float) -> None:
        """A token of the issuer was looked at."""
        self._seconds.observe(seconds, "success" if succeeded else "failure", digest(issuer))

    def fetched(self, issuer: str, keys: bytes | None, now: float) -> None:
        """A key set, None for a failure."""
        self._fetched.set(now, "failure" if keys is None else "success", digest(issuer), self._server)
        if keys is not None:
            self._forget_keys(issuer)
            self._key_sets.set(1.0, digest(issuer), self._server, digest(keys))

    def forget(self, issuer: str) -> None:
        """It is configured no more."""
        self._forget_keys(issuer)
        for result in ("success", "failure"):
            self._fetched.samples.pop((result, digest(issuer), self._server), None)

    def _forget_keys(self, issuer: str) -> None:
        issuer_hash = digest(issuer)
        for labels in [labels for labels in self._key_sets.samples if labels[0] == issuer_hash]:
            del self._key_sets.samples[labels]
