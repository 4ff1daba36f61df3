"""Authorities in files: whom they have signed, now."""

from __future__ import annotations

import itertools
import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pybernetes.pki import bundles
from pybernetes.pki.bundles import LOOK_SECONDS, Authorities, AuthorityFile, blocks, common_name
from pybernetes.pki.certificates import Authority, Subject
from pybernetes.pki.files import write

NOW = datetime.now(UTC)
FIRST, SECOND, OTHER = (Authority.create(name, NOW) for name in ("first", "second", "other"))


def der(authority: Authority, name: str = "n") -> bytes:
    pair = authority.issue(Subject(name), NOW)
    return x509.load_pem_x509_certificate(pair.certificate).public_bytes(Encoding.DER)


def test_any_of_the_bundle() -> None:
    both = Authorities(FIRST.pem + b"\nwords\n" + SECOND.pem)
    assert [both.issued(der(authority)) for authority in (FIRST, SECOND, OTHER)] == [True, True, False]


def chained(root: Authority, depth: int) -> tuple[bytes, list[bytes]]:
    """(a certificate, the intermediates that lead from it to the root), DER."""
    signer, between = root, []
    for number in range(depth):
        below = Authority.create(f"between-{number}", NOW)
        own = below.certificate
        builder = (
            x509.CertificateBuilder()
            .subject_name(own.subject)
            .issuer_name(signer.certificate.subject)
            .public_key(own.public_key())
            .serial_number(number + 1)
            .not_valid_before(own.not_valid_before_utc)
            .not_valid_after(own.not_valid_after_utc)
            .add_extension(x509.BasicConstraints(True, None), critical=True)
        )
        between.append(signer.sign(builder).public_bytes(Encoding.DER))
        signer = below
    return der(signer), between


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_over_intermediates(depth: int) -> None:
    leaf, between = chained(FIRST, depth)
    authorities = Authorities(FIRST.pem)
    assert authorities.issued(leaf, between) and authorities.issued(leaf, between[::-1])
    assert not authorities.issued(leaf) and not authorities.issued(leaf, between[:-1])
    assert not Authorities(OTHER.pem).issued(leaf, between)


def test_a_chain_without_end_is_none() -> None:
    leaf, between = chained(OTHER, 1)
    assert not Authorities(FIRST.pem).issued(leaf, between * 10_000)


def test_an_authority_of_the_same_name_is_another() -> None:
    assert not Authorities(FIRST.pem).issued(der(Authority.create("first", NOW)))


@pytest.mark.parametrize("pem", [b"", b"no pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_none(pem: bytes) -> None:
    with pytest.raises(ValueError):
        Authorities(pem)


def test_answers_are_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "REMEMBERED", 2)
    authorities = Authorities(FIRST.pem)
    for certificate in (der(FIRST), der(OTHER), der(FIRST), der(OTHER)):
        assert authorities.issued(certificate) is authorities.issued(certificate)
        assert len(authorities._known) <= 2


def test_a_file_is_followed_and_a_broken_one_is_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The fault: TLS followed its file, and the check beside it kept to what it had read at the start."""
    path, old, new = tmp_path / "ca.crt", der(FIRST), der(SECOND)
    write(path, FIRST.pem)
    passed = itertools.count(0.0, LOOK_SECONDS)
    file = AuthorityFile(path, lambda: next(passed))
    assert [file.issued(certificate) for certificate in (old, new)] == [True, False]
    write(path, SECOND.pem)
    assert [file.issued(certificate) for certificate in (old, new)] == [False, True]
    with caplog.at_level(logging.WARNING):
        write(path, b"half")
        assert [file.issued(certificate) for certificate in (old, new)] == [False, True]
        path.unlink()
        assert file.issued(new)
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2
    write(path, FIRST.pem + SECOND.pem)
    assert file.issued(old) and file.issued(new)
    with pytest.raises(OSError):
        AuthorityFile(tmp_path / "none")


def test_who_is_let_in_costs_no_look_at_the_file_each_time(tmp_path: Path) -> None:
    """For LOOK_SECONDS; who is new in it is let in at once."""
    path, old, new, now = tmp_path / "ca.crt", der(FIRST), der(SECOND), 0.0
    write(path, FIRST.pem)
    file = AuthorityFile(path, lambda: now)
    assert file.issued(old)
    write(path, SECOND.pem)
    assert file.issued(old)
    now = LOOK_SECONDS
    assert not file.issued(old) and file.issued(new)
    write(path, FIRST.pem)
    assert file.issued(old)


def test_common_names() -> None:
    assert common_name(der(FIRST, "proxy")) == "proxy"
    with pytest.raises(ValueError):
        common_name(b"no der")


def test_blocks() -> None:
    pem = b"words\n" + FIRST.pem + b"-----BEGIN X-----\n-----BEGIN Y-----\na\n-----END Y-----\nrest"
    assert list(blocks(pem)) == [FIRST.pem, b"-----BEGIN Y-----\na\n-----END Y-----\n"]
