"""CertificateSigningRequest, ClusterTrustBundle, PodCertificateRequest."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pybernetes.apiserver.authentication.user import User
from pybernetes.apiserver.kinds.certificates import certificatesigningrequest as csr
from pybernetes.apiserver.kinds.certificates import clustertrustbundle, pem, podcertificaterequest
from pybernetes.apiserver.resource import Stamp

from ..tables import fields, refusals

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = ec.generate_private_key(ec.SECP256R1())
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
PEM = serialization.Encoding.PEM
REQUEST = x509.CertificateSigningRequestBuilder().subject_name(NAME).sign(KEY, hashes.SHA256()).public_bytes(PEM)
CERTIFICATE = (
    x509.CertificateBuilder()
    .subject_name(NAME)
    .issuer_name(NAME)
    .public_key(KEY.public_key())
    .serial_number(1)
    .not_valid_before(NOW)
    .not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
    .sign(KEY, hashes.SHA256())
    .public_bytes(PEM)
)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


BASE: Any = {
    "metadata": {"name": "a"},
    "spec": {"request": b64(REQUEST), "signerName": "example.com/s", "usages": ["client auth"]},
    "status": {},
}
APPROVED = {"type": "Approved", "status": "True"}


@pytest.mark.parametrize(
    ("spec", "refused"),
    [
        ({}, []),
        ({"request": b64(b"x")}, ["spec.request Invalid"]),
        ({"request": b64(CERTIFICATE)}, ["spec.request Invalid"]),
        ({"usages": []}, ["spec.usages Required"]),
        (
            {"usages": ["odd", "client auth", "client auth"]},
            ["spec.usages[0] NotSupported", "spec.usages[2] Duplicate"],
        ),
        ({"signerName": ""}, ["spec.signerName Required"]),
        ({"signerName": "kubernetes.io/legacy-unknown"}, ["spec.signerName Invalid"]),
        ({"signerName": "x/A_"}, ["spec.signerName Invalid", "spec.signerName Invalid"]),
        ({"expirationSeconds": 599}, ["spec.expirationSeconds Invalid"]),
    ],
)
def test_refused(spec: Any, refused: list[str]) -> None:
    assert refusals(csr.validate, BASE, {"spec": spec}) == refused


def with_status(**status: Any) -> dict[str, Any]:
    return {**BASE, "status": status}


@pytest.mark.parametrize(
    ("validate", "new", "old", "refused"),
    [
        (csr.validate_approval, {"conditions": [APPROVED]}, {}, []),
        (csr.validate_status, {"conditions": [APPROVED]}, {}, ["status.conditions Forbidden"]),
        (csr.validate_update, {}, {"conditions": [APPROVED]}, ["status.conditions Forbidden"]),
        (
            csr.validate_approval,
            {"conditions": [APPROVED, {"type": "Denied", "status": "True"}]},
            {},
            ["status.conditions[1].type Invalid"],
        ),
        (
            csr.validate_approval,
            {"conditions": [{"type": "Approved", "status": "False"}]},
            {},
            ["status.conditions[0].status NotSupported"],
        ),
        (csr.validate_status, {"certificate": b64(CERTIFICATE)}, {}, []),
        (csr.validate_status, {"certificate": b64(b"x")}, {}, ["status.certificate Invalid"]),
        (csr.validate_approval, {"certificate": b64(CERTIFICATE)}, {}, ["status.certificate Forbidden"]),
        (
            csr.validate_status,
            {"certificate": b64(CERTIFICATE)},
            {"certificate": b64(REQUEST)},
            ["status.certificate Forbidden"],
        ),
    ],
)
def test_who_may_say_what(validate: Any, new: Any, old: Any, refused: list[str]) -> None:
    assert fields(validate(with_status(**new), with_status(**old))) == refused


def test_the_server_says_who_asks() -> None:
    made: Any = {**BASE, "spec": {**BASE["spec"], "username": "liar", "groups": ["g"]}, "status": {"certificate": "x"}}
    csr.prepare_create(made)
    csr.stamp(made, None, Stamp(User("jane", ("a", "b"), "u", {"k": ("v",)}), NOW))
    spec = made["spec"]
    assert (spec["username"], spec["uid"], spec["groups"], spec["extra"]) == ("jane", "u", ["a", "b"], {"k": ["v"]})
    assert made["status"] == {}


def test_approval_changes_conditions_only_and_notes_when() -> None:
    new: Any = {**BASE, "spec": {}, "status": {"conditions": [dict(APPROVED)], "certificate": "x"}}
    csr.prepare_approval(new, BASE)
    csr.stamp(new, BASE, Stamp(User("a"), NOW, "approval"))
    assert new["spec"] == BASE["spec"]
    when = "2026-01-01T00:00:00Z"
    assert new["status"] == {"conditions": [{**APPROVED, "lastUpdateTime": when, "lastTransitionTime": when}]}
    assert csr.row(new, NOW)[-1] == "Approved"


def test_states() -> None:
    made = with_status(conditions=[{"type": "Approved"}, {"type": "Failed"}], certificate="x")
    assert csr.row(made, NOW)[3:] == ["", "<none>", "Approved,Failed,Issued"]
    assert csr.row(BASE, NOW)[-1] == "Pending"


def test_certificates() -> None:
    assert pem.certificates_error(b64(CERTIFICATE * 2)) == ""
    assert pem.certificates_error("!") == "must contain at least one CERTIFICATE PEM block"
    assert pem.request_error(b64(REQUEST[:60] + b"\n" + REQUEST[-40:])) != ""


@pytest.mark.parametrize(
    ("name", "signer", "refused"),
    [
        ("a", "", []),
        ("a:b", "", ["metadata.name Invalid"]),
        ("x.io:s:a", "x.io/s", []),
        ("a", "x.io/s", ["metadata.name Invalid"]),
    ],
)
def test_trust_bundles(name: str, signer: str, refused: list[str]) -> None:
    bundle = {"metadata": {"name": name}, "spec": {"signerName": signer, "trustBundle": CERTIFICATE.decode()}}
    assert fields(clustertrustbundle.validate(bundle)) == refused


def test_a_trust_bundle_holds_certificates() -> None:
    assert fields(clustertrustbundle.validate({"metadata": {"name": "a"}, "spec": {"trustBundle": "x"}})) == [
        "spec.trustBundle Invalid"
    ]


def test_pod_certificate_requests_end_once() -> None:
    def request(*kinds: str) -> dict[str, Any]:
        moment = {"status": "True", "reason": "R", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        return {"metadata": {"name": "a"}, "status": {"conditions": [{"type": kind, **moment} for kind in kinds]}}

    check = podcertificaterequest.validate_status
    assert check(request("Issued"), request()) == []
    assert fields(check(request("Issued", "Failed"), request())) == ["status.conditions Invalid"]
    assert fields(check(request("Denied"), request("Issued"))) == ["status Invalid"]
    assert podcertificaterequest.row(request("Denied"), NOW)[5] == "Denied"
