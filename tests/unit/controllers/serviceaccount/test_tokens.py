"""Token secrets of service accounts."""

from __future__ import annotations

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.controllers.certificates.rootcacertpublisher.plan import plan
from pybernetes.controllers.serviceaccount.tokens.controller import ServiceAccountTokenController
from pybernetes.controllers.serviceaccount.tokens.plan import Content, Signer, belongs_to, claims_of, filled
from tests.api import controloptions

ACCOUNT = core.ServiceAccount(metadata=meta.ObjectMeta(name="sa", namespace="ns", uid="u"))


def secret(data: dict[str, bytes] | None = None, **annotations: str) -> core.Secret:
    given = {f"kubernetes.io/service-account.{key}": value for key, value in annotations.items()}
    return core.Secret(metadata=meta.ObjectMeta(name="t", namespace="ns", annotations=given), data=data or {})


def test_belongs_to() -> None:
    assert belongs_to(secret(name="sa"), ACCOUNT)
    assert belongs_to(secret(name="sa", uid="u"), ACCOUNT)
    assert not belongs_to(secret(name="sa", uid="other"), ACCOUNT)
    assert not belongs_to(secret(name="x"), ACCOUNT)


def test_filled() -> None:
    content = Content(b"ca", b"token")
    found = filled(secret(name="sa"), ACCOUNT, content)
    assert found is not None
    assert found.data == {"ca.crt": b"ca", "namespace": b"ns", "token": b"token"}
    assert found.metadata.annotations["kubernetes.io/service-account.uid"] == "u"
    assert filled(found, ACCOUNT, Content(b"ca", b"other")) is None
    renewed = filled(found, ACCOUNT, Content(b"new ca"))
    assert renewed is not None and renewed.data == {"ca.crt": b"new ca", "namespace": b"ns", "token": b"token"}
    assert filled(found, ACCOUNT, Content()) is None


def test_tokens_are_of_the_legacy_issuer() -> None:
    private = controloptions.key()
    token = Signer(controloptions.pem(private)).sign(claims_of(secret(name="sa"), ACCOUNT))
    found = jwt.decode(token, private.public_key(), ["ES256"])
    assert found == {
        "iss": "kubernetes/serviceaccount",
        "kubernetes.io/serviceaccount/namespace": "ns",
        "kubernetes.io/serviceaccount/secret.name": "t",
        "kubernetes.io/serviceaccount/service-account.name": "sa",
        "kubernetes.io/serviceaccount/service-account.uid": "u",
        "sub": "system:serviceaccount:ns:sa",
    }
    assert len(jwt.get_unverified_header(token)["kid"]) == 43


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(rsa.generate_private_key(65537, 2048), "RS256"), (ec.generate_private_key(ec.SECP384R1()), "ES384")],
)
def test_algorithms(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, algorithm: str) -> None:
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    assert jwt.get_unverified_header(Signer(pem).sign({"sub": "x"}))["alg"] == algorithm


def test_other_keys_are_refused() -> None:
    plain = serialization.NoEncryption()
    pem = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain
    )
    with pytest.raises(ValueError, match="RSA or EC"):
        Signer(pem)


def test_it_says_what_it_lacks() -> None:
    assert ServiceAccountTokenController.lacks(controloptions.Options()) != ""
    assert ServiceAccountTokenController.lacks(controloptions.options()) == ""


def test_the_root_ca_is_kept_right() -> None:
    made = plan(None, "ns", {"ca.crt": "x"})
    assert made is not None and (made.metadata.name, made.metadata.namespace) == ("kube-root-ca.crt", "ns")
    assert plan(made, "ns", {"ca.crt": "x"}) is None
    changed = core.ConfigMap(metadata=made.metadata, data={"ca.crt": "y", "more": "z"})
    fixed = plan(changed, "ns", {"ca.crt": "x"})
    assert fixed is not None and fixed.data == {"ca.crt": "x"}
    assert changed.data == {"ca.crt": "y", "more": "z"}  # what informers hold is not touched
