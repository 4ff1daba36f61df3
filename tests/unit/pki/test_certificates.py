from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from pybernetes.pki import certificates, keys, requests
from pybernetes.pki.certificates import Authority, Leaf, Subject
from pybernetes.pki.files import Pair

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SERVER = Subject(
    "kube-apiserver", names=("kubernetes", "localhost"), addresses=("10.96.0.1", "::1"), server=True, client=False
)
USER = Subject("system:node:a", ("system:nodes",))


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create("kubernetes", NOW)


@pytest.mark.parametrize("subject", [SERVER, USER])
def test_a_fresh_certificate_has_no_problem(authority: Authority, subject: Subject) -> None:
    assert authority.problem(authority.issue(subject, NOW).certificate, subject, NOW) == ""


@pytest.mark.parametrize(
    ("given", "wanted", "at", "problem"),
    [
        (SERVER, replace(SERVER, addresses=("10.96.0.1", "192.0.2.7")), NOW, "it lacks 192.0.2.7"),
        (USER, Subject("system:node:b", ("system:nodes",)), NOW, "it is for ['system:node:a'] of ['system:nodes']"),
        (USER, Subject("system:node:a"), NOW, "it is for ['system:node:a'] of ['system:nodes']"),
        (USER, USER, NOW + timedelta(days=336), "it ends at 2027-01-01"),
        (USER, USER, NOW - timedelta(days=2), "it begins only at 2025-12-31: the clock went back"),
    ],
)
def test_what_must_be_made_anew(
    authority: Authority, given: Subject, wanted: Subject, at: datetime, problem: str
) -> None:
    assert authority.problem(authority.issue(given, NOW).certificate, wanted, at) == problem


def test_a_certificate_of_another_authority_is_refused(authority: Authority) -> None:
    other = Authority.create("kubernetes", NOW)
    assert "not one of this authority" in authority.problem(other.issue(USER, NOW).certificate, USER, NOW)
    assert "not one of this authority" in authority.problem(b"garbage", USER, NOW)


def test_an_authority_survives_being_stored(authority: Authority) -> None:
    loaded = Authority.load(Pair(authority.pair.certificate, authority.pair.key))
    assert authority.problem(loaded.issue(USER, NOW).certificate, USER, NOW) == ""


def test_no_certificate_outlives_its_authority() -> None:
    short = Authority.create("kubernetes", NOW, timedelta(days=60))
    assert certificates.ends_at(short.issue(USER, NOW).certificate) == NOW + timedelta(days=60)


def test_names_of_nodes_have_up_to_253_characters() -> None:
    """X.520 would end them at 64, and Go knows no such end."""
    name = f"system:node:{'n' * 253}"
    authority, subject = Authority.create("ca", NOW), Subject(name, ("system:nodes",))
    assert Leaf.of(authority.issue(subject, NOW).certificate).common_name == name
    csr = x509.load_pem_x509_csr(requests.request(keys.generate(), subject))
    signed = requests.sign(authority, csr, ("digital signature", "client auth"), timedelta(days=1), NOW)
    assert Leaf.of(signed).common_name == name
