"""What encryption counts, by upstream's names (upstream: apiserver/pkg/storage/value/metrics.go, encrypt/envelope/metrics,
server/options/encryptionconfig/metrics)."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from pybernetes.component.metrics import Gauge, Registry
from pybernetes.store.transformed import TransformError

MAX_KEY_IDS = 100  # whose samples are kept; the plug-in chooses them


def _powers(first: float, count: int) -> tuple[float, ...]:
    return tuple(first * 2**power for power in range(count))


def digest(text: str | bytes) -> str:
    """As key ids and files are told: they are nobody's business."""
    data = text.encode() if isinstance(text, str) else text
    return f"sha256:{hashlib.sha256(data).hexdigest()}" if data else ""


class EncryptionMetrics:
    """Of one API server, `server` being its identity. `registry` is to be shown with the server's own."""

    def __init__(self, server: str = "") -> None:
        self._server = digest(server)
        self.registry = registry = Registry()
        self._seconds = registry.histogram(
            "apiserver_storage_transformation_duration_seconds",
            "Latencies in seconds of value transformation operations.",
            ("transformation_type", "transformer_prefix"),
            _powers(5e-6, 25),
        )
        self._total = registry.counter(
            "apiserver_storage_transformation_operations_total",
            "Total number of transformations. Successful transformation will have a status 'OK' and a varied status string when the "
            "transformation fails.",
            ("resource", "transformation_type", "transformer_prefix", "status"),
        )
        self.cache_misses = registry.counter(
            "apiserver_storage_envelope_transformation_cache_misses_total",
            "Total number of cache misses while accessing key decryption key(KEK).",
        )
        self.key_seconds = registry.histogram(
            "apiserver_storage_data_key_generation_duration_seconds",
            "Latencies in seconds of data encryption key(DEK) generation operations.",
            (),
            _powers(5e-6, 14),
        )
        self._kms_seconds = registry.histogram(
            "apiserver_envelope_encryption_kms_operations_latency_seconds",
            "KMS operation duration with gRPC error code status total.",
            ("provider_name", "method_name", "grpc_status_code"),
            _powers(0.0001, 20),
        )
        self.invalid_key_ids = registry.counter(
            "apiserver_envelope_encryption_invalid_key_id_from_status_total",
            "Number of times an invalid keyID is returned by the Status RPC call split by error.",
            ("provider_name", "error"),
        )
        self.cached_keys: Gauge = registry.gauge(
            "apiserver_envelope_encryption_dek_source_cache_size",
            "Number of records in data encryption key (DEK) source cache.",
            ("provider_name",),
        )
        used = ("transformation_type", "provider_name", "key_id_hash", "apiserver_id_hash")
        self._key_ids = registry.counter(
            "apiserver_envelope_encryption_key_id_hash_total",
            "Number of times a keyID is used split by transformation type, provider, and apiserver identity.",
            used,
        )
        self._key_times: Gauge = registry.gauge(
            "apiserver_envelope_encryption_key_id_hash_last_timestamp_seconds",
            "The last time in seconds when a keyID was used.",
            used,
        )
        self._status_times: Gauge = registry.gauge(
            "apiserver_envelope_encryption_key_id_hash_status_last_timestamp_seconds",
            "The last time in seconds when a keyID was returned by the Status RPC call.",
            used[1:],
        )
        self._reloads = registry.counter(
            "apiserver_encryption_config_controller_automatic_reloads_total",
            "Total number of reload successes and failures of encryption configuration split by apiserver identity.",
            ("status", "apiserver_id_hash"),
        )
        self._reload_times: Gauge = registry.gauge(
            "apiserver_encryption_config_controller_automatic_reload_last_timestamp_seconds",
            "Timestamp of the last successful or failed automatic reload of encryption configuration split by apiserver identity.",
            ("status", "apiserver_id_hash"),
        )
        self._applied: Gauge = registry.gauge(
            "apiserver_encryption_config_controller_last_config_info",
            "Information about the last applied encryption configuration with hash as label, split by apiserver identity.",
            ("apiserver_id_hash", "hash"),
        )
        self._recent: OrderedDict[tuple[str, ...], None] = OrderedDict()

    def transformed(self, resource: str, kind: str, prefix: str, seconds: float, error: TransformError | None) -> None:
        """A value went to the store (`to_storage`) or came from it."""
        self._total.inc(resource, kind, prefix, "OK" if error is None else error.status)
        if error is None:
            self._seconds.observe(seconds, kind, prefix)

    def called(self, provider: str, method: str, status: str, seconds: float) -> None:
        """A KMS plug-in has answered, or not."""
        self._kms_seconds.observe(seconds, provider, method, status)

    def key_used(self, kind: str, provider: str, key_id: str, now: float) -> None:
        """A value was sealed or opened with a data key that this key of the plug-in's protects."""
        labels = (kind, provider, digest(key_id), self._server)
        self._key_ids.inc(*labels)
        self._key_times.set(now, *labels)
        self._keep(labels)

    def key_told(self, provider: str, key_id: str, now: float) -> None:
        """By the plug-in's Status."""
        labels = (provider, digest(key_id), self._server)
        self._status_times.set(now, *labels)
        self._keep(labels)

    def _keep(self, labels: tuple[str, ...]) -> None:
        self._recent[labels] = None
        self._recent.move_to_end(labels)
        if len(self._recent) > 2 * MAX_KEY_IDS:
            oldest, _ = self._recent.popitem(last=False)
            for metric in (self._key_ids, self._key_times, self._status_times):
                metric.samples.pop(oldest, None)

    def reloaded(self, succeeded: bool, now: float) -> None:
        """The file was read anew."""
        labels = ("success" if succeeded else "failure", self._server)
        self._reloads.inc(*labels)
        self._reload_times.set(now, *labels)

    def applied(self, file: str) -> None:
        """The configuration of the file with this digest is in use."""
        self._applied.samples.clear()
        self._applied.set(1.0, self._server, file)
