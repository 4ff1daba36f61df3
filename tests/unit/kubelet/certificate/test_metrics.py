"""What is told of certificates: how long they hold, how long those before lived, how often renewing failed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from pybernetes.component.metrics import Registry
from pybernetes.kubelet.certificate.metrics import CertificateMetrics
from pybernetes.kubelet.certificate.store import FileStore
from pybernetes.pki.certificates import Authority, Subject

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_families(tmp_path: Path) -> None:
    registry, now = Registry(), NOW
    metrics = CertificateMetrics(registry, lambda: now)
    client, server = FileStore(tmp_path, "kubelet-client"), FileStore(tmp_path, "kubelet-server")
    client_failed = metrics.client(client)
    server_failed, renewed = metrics.server(server)
    assert "kubelet_certificate_manager_client_ttl_seconds +Inf" in registry.text()
    client.update(Authority.create("ca", NOW).issue(Subject("u"), NOW, timedelta(hours=1)), NOW)
    assert "kubelet_certificate_manager_client_ttl_seconds 3600" in registry.text()
    assert "kubelet_certificate_manager_server_ttl_seconds +Inf" in registry.text()
    now = NOW + timedelta(hours=2)
    assert "kubelet_certificate_manager_client_ttl_seconds -3600" in registry.text()
    client_failed()
    server_failed()
    renewed(None)
    assert "rotation_seconds_count" not in registry.text()
    renewed(client.leaf())
    text = registry.text()
    assert "kubelet_certificate_manager_client_expiration_renew_errors 1" in text
    assert "kubelet_server_expiration_renew_errors 1" in text
    assert 'kubelet_certificate_manager_server_rotation_seconds_bucket{le="14400"} 1' in text
    assert 'kubelet_certificate_manager_server_rotation_seconds_bucket{le="3600"} 0' in text
