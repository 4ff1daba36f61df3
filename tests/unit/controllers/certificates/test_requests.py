"""Certificate requests: who is approved, what signers refuse, what a certificate looks like, when a request is old."""

from __future__ import annotations

import ipaddress
import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pybernetes.api.types import certificates_v1 as certificates
from pybernetes.api.types import meta_v1 as meta
from pybernetes.api.wellknown import (
    KUBE_API_SERVER_CLIENT_KUBELET_SIGNER,
    KUBE_API_SERVER_CLIENT_SIGNER,
    KUBELET_SERVING_SIGNER,
    LEGACY_UNKNOWN_SIGNER,
)
from pybernetes.controllers.certificates.approver.plan import NODE, SELF, recognized, review_of
from pybernetes.controllers.certificates.cleaner.plan import is_old
from pybernetes.controllers.certificates.requests import Refused, Request, Unparsable, check, parse
from pybernetes.controllers.certificates.signer.plan import lifetime
from pybernetes.pki.certificates import Authority
from pybernetes.pki.files import Pair
from pybernetes.pki.requests import SigningError, sign, usages_of, validity
from tests.api import controloptions

NOW = datetime.now(UTC).replace(microsecond=0)
SERVING = ["digital signature", "key encipherment", "server auth"]
CLIENT = ["digital signature", "key encipherment", "client auth"]
KEY = ec.generate_private_key(ec.SECP256R1())


def pem(common_name: str, organizations: list[str], names: list[x509.GeneralName] | None = None) -> bytes:
    subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in organizations]
    subject.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


NAMES: list[x509.GeneralName] = [x509.DNSName("n"), x509.IPAddress(ipaddress.ip_address("10.0.0.1"))]


def test_parse() -> None:
    found = parse(pem("system:node:n", ["system:nodes"], [*NAMES, x509.RFC822Name("a@b")]))
    assert (found.common_name, list(found.organizations)) == ("system:node:n", ["system:nodes"])
    assert (found.dns_names, found.ip_addresses, found.emails, found.uris) == (["n"], ["10.0.0.1"], ["a@b"], [])
    for text in (b"", b"-----BEGIN X-----\nAAAA\n-----END X-----", pem("a", [])[:60]):
        with pytest.raises(Unparsable):
            parse(text)


NODES = {"common_name": "system:node:n", "organizations": ["system:nodes"]}


@pytest.mark.parametrize(
    ("signer", "request_", "usages", "why"),
    [
        (KUBELET_SERVING_SIGNER, Request(**NODES, dns_names=["n"]), SERVING, ""),
        (KUBELET_SERVING_SIGNER, Request(**NODES, ip_addresses=["1.1.1.1"]), ["digital signature", "server auth"], ""),
        (KUBELET_SERVING_SIGNER, Request(**NODES), SERVING, "DNS or IP subjectAltName is required"),
        (
            KUBELET_SERVING_SIGNER,
            Request(**NODES, dns_names=["n"], emails=["a@b"]),
            SERVING,
            "Email subjectAltNames are not allowed",
        ),
        (
            KUBELET_SERVING_SIGNER,
            Request(**NODES, dns_names=["n"], uris=["x:y"]),
            SERVING,
            "URI subjectAltNames are not allowed",
        ),
        (
            KUBELET_SERVING_SIGNER,
            Request(**NODES, dns_names=["n"]),
            CLIENT,
            "usages did not match [digital signature key encipherment server auth]",
        ),
        (
            KUBELET_SERVING_SIGNER,
            Request("x", ["system:nodes"], ["n"]),
            SERVING,
            "subject common name does not begin with system:node:",
        ),
        (KUBELET_SERVING_SIGNER, Request("system:node:n", ["x"]), SERVING, "subject organization is not system:nodes"),
        (KUBE_API_SERVER_CLIENT_KUBELET_SIGNER, Request(**NODES), CLIENT, ""),
        (
            KUBE_API_SERVER_CLIENT_KUBELET_SIGNER,
            Request(**NODES, dns_names=["n"]),
            CLIENT,
            "DNS subjectAltNames are not allowed",
        ),
        (
            KUBE_API_SERVER_CLIENT_KUBELET_SIGNER,
            Request(**NODES, ip_addresses=["1.1.1.1"]),
            CLIENT,
            "IP subjectAltNames are not allowed",
        ),
        (
            KUBE_API_SERVER_CLIENT_KUBELET_SIGNER,
            Request(**NODES),
            SERVING,
            "usages did not match [client auth digital signature key encipherment]",
        ),
        (KUBE_API_SERVER_CLIENT_SIGNER, Request("u", ["g"]), CLIENT, ""),
        (KUBE_API_SERVER_CLIENT_SIGNER, Request("u"), SERVING, "invalid usage for client certificate: server auth"),
        (
            KUBE_API_SERVER_CLIENT_SIGNER,
            Request("u"),
            ["key encipherment"],
            "missing required usage for client certificate: client auth",
        ),
        (LEGACY_UNKNOWN_SIGNER, Request("u"), ["code signing"], ""),
    ],
)
def test_what_signers_refuse(signer: str, request_: Request, usages: list[str], why: str) -> None:
    try:
        check(signer, request_, usages)
    except Refused as error:
        assert str(error) == why
    else:
        assert why == ""


def csr(
    signer: str = KUBE_API_SERVER_CLIENT_KUBELET_SIGNER, username: str = "u", usages: list[str] | None = None
) -> certificates.CertificateSigningRequest:
    spec = certificates.CertificateSigningRequestSpec(
        signer_name=signer, username=username, groups=["g"], usages=usages or CLIENT, extra={"k": ["v"]}
    )
    return certificates.CertificateSigningRequest(metadata=meta.ObjectMeta(name="c", creation_timestamp=NOW), spec=spec)


def test_recognized() -> None:
    request = Request(**NODES)
    assert recognized(csr(), request) == (NODE,)
    assert recognized(csr(username="system:node:n"), request) == (SELF, NODE)
    assert recognized(csr(KUBE_API_SERVER_CLIENT_SIGNER), request) == ()
    assert recognized(csr(usages=SERVING), request) == ()


def test_review_asks_for_the_requester() -> None:
    spec = review_of(csr(), "nodeclient").spec
    assert (spec.user, spec.groups, spec.extra) == ("u", ["g"], {"k": ["v"]})
    asked = spec.resource_attributes
    assert asked is not None
    assert (asked.group, asked.resource, asked.verb, asked.subresource) == (
        "certificates.k8s.io",
        "certificatesigningrequests",
        "create",
        "nodeclient",
    )


@pytest.mark.parametrize(("asked", "expected"), [(None, 3600), (7200, 3600), (1200, 1200), (1, 600)])
def test_lifetime(asked: int | None, expected: int) -> None:
    assert lifetime(asked, 3600.0) == timedelta(seconds=expected)


def test_validity_is_backdated_and_ends_with_the_signer() -> None:
    minute, far = timedelta(minutes=1), NOW + timedelta(days=9999)
    assert validity(NOW, timedelta(days=1), far) == (NOW - 5 * minute, NOW + timedelta(days=1) - 5 * minute)
    assert validity(NOW, timedelta(hours=1), far) == (NOW - 5 * minute, NOW + timedelta(hours=1))
    assert validity(NOW, timedelta(days=1), NOW + minute) == (NOW - 5 * minute, NOW + minute)
    with pytest.raises(SigningError, match="the signer has expired"):
        validity(NOW, timedelta(days=1), NOW)


def test_usages() -> None:
    assert usages_of(["signing", "digital signature", "client auth"]) == ({"digital_signature"}, ["1.3.6.1.5.5.7.3.2"])
    with pytest.raises(SigningError, match="unrecognized usage values: a b"):
        usages_of(["b", "client auth", "a"])


def test_a_certificate_is_what_was_asked_for_and_no_ca() -> None:
    private = controloptions.key()
    authority = Authority.load(Pair(controloptions.authority(private), controloptions.pem(private)))
    request = parse(pem("system:node:n", ["system:nodes"], NAMES))
    assert request.parsed is not None
    made = x509.load_pem_x509_certificate(sign(authority, request.parsed, SERVING, timedelta(days=30), NOW))
    made.verify_directly_issued_by(authority.certificate)
    assert made.subject.rfc4514_string() == "CN=system:node:n,O=system:nodes"
    assert made.public_key() == KEY.public_key()
    assert made.not_valid_before_utc == NOW - timedelta(minutes=5)
    assert list(made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value) == NAMES
    assert list(made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.SERVER_AUTH
    ]
    usage = made.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature and usage.key_encipherment and not usage.key_cert_sign
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def decided(type_: str, age: timedelta, certificate: bytes = b"") -> certificates.CertificateSigningRequest:
    made = csr()
    made.status.conditions.append(
        certificates.CertificateSigningRequestCondition(type=type_, status="True", last_update_time=NOW - age)
    )
    made.status.certificate = certificate
    return made


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("given", "old"),
    [
        (csr(), False),
        (decided("Denied", HOUR / 2), False),
        (decided("Denied", 2 * HOUR), True),
        (decided("Failed", 2 * HOUR), True),
        (decided("Approved", 2 * HOUR), False),  # without a certificate somebody may still sign it
        (decided("Approved", 2 * HOUR, b"x"), True),
        (decided("Approved", HOUR / 2, b"x"), False),
    ],
)
def test_old_requests(given: certificates.CertificateSigningRequest, old: bool) -> None:
    assert is_old(given, NOW) is old
    undecided = csr()
    assert is_old(undecided, NOW + timedelta(hours=25)) is True


def test_a_request_whose_certificate_has_ended_is_old() -> None:
    ended = controloptions.authority(controloptions.key(), timedelta(hours=-1))
    assert is_old(decided("Approved", HOUR / 2, ended), NOW) is True


@pytest.mark.parametrize("text", [b"-----BEGIN ", b"-----BEGIN A-----\n", b"-----BEGIN CERTIFICATE REQUEST-----\n"])
def test_many_beginnings_are_read_in_one_pass(text: bytes) -> None:
    start = time.process_time()
    with pytest.raises(Unparsable):
        parse(text * 100_000)
    assert time.process_time() - start < 1
