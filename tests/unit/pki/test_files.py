from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from pybernetes.pki import keys
from pybernetes.pki.certificates import Authority, Subject, self_signed
from pybernetes.pki.files import Pair, write, write_pair

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_file_is_replaced_whole_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    path.write_bytes(b"old")
    path.chmod(0o644)
    (tmp_path / "a.key.new").write_bytes(b"of a kill")
    write(path, b"new")
    assert path.read_bytes() == b"new" and path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["a.key"]


def test_a_pair_makes_its_folders_and_hides_the_key(tmp_path: Path) -> None:
    certificate, key = tmp_path / "a" / "b.crt", tmp_path / "c" / "b.key"
    write_pair(certificate, key, Pair(b"certificate", b"key"))
    assert (certificate.read_bytes(), key.read_bytes()) == (b"certificate", b"key")
    assert (certificate.stat().st_mode & 0o777, key.stat().st_mode & 0o777) == (0o644, 0o600)


def test_keys_are_written_as_client_go_does() -> None:
    pair = Authority.create("ca", NOW).issue(Subject("u"), NOW)
    assert pair.key.startswith(b"-----BEGIN EC PRIVATE KEY-----\n")
    assert isinstance(load_pem_private_key(pair.key, None), ec.EllipticCurvePrivateKey)
    assert keys.match(pair) and keys.public_of(pair.key).startswith(b"-----BEGIN PUBLIC KEY-----\n")
    private, public = keys.signing_key()
    assert private.startswith(b"-----BEGIN RSA PRIVATE KEY-----\n") and keys.public_of(private) == public


def test_what_is_no_key_is_a_value_error() -> None:
    with pytest.raises(ValueError):
        keys.public_of(b"no key")
    assert not keys.match(Pair(b"no certificate", b"no key"))


def test_a_long_host_name_is_cut_in_the_subject_alone() -> None:
    from cryptography import x509

    name = "h" * 60 + ".local"
    certificate = x509.load_pem_x509_certificate(self_signed(name, [name], [], NOW).certificate)
    assert certificate.subject.rfc4514_string() == "CN=" + name[:64]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [name]
