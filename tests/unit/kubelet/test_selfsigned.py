"""The certificate of the kubelet's port that nobody signs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from pybernetes.kubelet.selfsigned import serving_files
from pybernetes.pki.contexts import ServerContext

NOW = datetime.now(UTC)


def test_the_serving_certificate_is_made_once(tmp_path: Path) -> None:
    files = serving_files(tmp_path, "n", ["192.0.2.1"], NOW)
    first = files[0].read_bytes()
    assert serving_files(tmp_path, "n", ["192.0.2.1"], NOW) == files
    assert files[0].read_bytes() == first
    ServerContext(*files)
    names = x509.load_pem_x509_certificate(first).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["n"]
    serving_files(tmp_path, "n", [], NOW + timedelta(days=365))
    assert files[0].read_bytes() != first
    assert files[1].stat().st_mode & 0o777 == 0o600
