"""The certificates that further control-plane hosts get, encrypted with a key that is handed on beside the cluster
(upstream: cmd/kubeadm/app/phases/copycerts).

The Secret belongs to a bootstrap token that nobody can use: it ends after two hours, and the Secret with it.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pybernetes.api import bootstraptokens
from pybernetes.api.times import format_time
from pybernetes.api.types import core_v1, meta_v1
from pybernetes.api.wellknown import BOOTSTRAP_TOKEN_ID_KEY, BOOTSTRAP_TOKEN_SECRET_KEY, SECRET_TYPE_BOOTSTRAP_TOKEN

from . import tokens
from .configuration import Configuration

SECRET, NAMESPACE = "kubeadm-certs", "kube-system"
LIFE = timedelta(hours=2)
KEY_BYTES, NONCE_BYTES = 32, 12
DESCRIPTION = "Proxy for managing TTL for the kubeadm-certs secret"
OF_ALL = ("ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.pub", "sa.key")
OF_LOCAL_ETCD = ("etcd/ca.crt", "etcd/ca.key")


class SealError(ValueError):
    """What cannot be opened; says why, and what to do."""


def files(configuration: Configuration) -> Mapping[str, str]:
    """What is handed on: name in the Secret -> file, below the certificates' folder unless it is absolute."""
    external = configuration.cluster.etcd.external
    named = {name.replace("/", "-"): name for name in (*OF_ALL, *(() if external else OF_LOCAL_ETCD))}
    if external is not None:
        mine = {
            "external-etcd-ca.crt": external.ca_file,
            "external-etcd.crt": external.cert_file,
            "external-etcd.key": external.key_file,
        }
        named |= {name: path for name, path in mine.items() if path}
    return named


def key_of(text: str) -> bytes:
    """Of a certificate key as it is written. SealError."""
    try:
        key = binascii.unhexlify(text)
    except ValueError as error:
        raise SealError(f"error decoding certificate key: {error}") from error
    if len(key) != KEY_BYTES:
        raise SealError(f"invalid certificate key size {len(key)}, the key must be an AES key of size {KEY_BYTES}")
    return key


def seal(content: bytes, key: bytes, nonce: bytes) -> bytes:
    """AES-GCM, the nonce before it; never the same nonce twice with a key."""
    return nonce + AESGCM(key).encrypt(nonce, content, None)


def opened(data: Mapping[str, bytes], key: bytes, paths: Mapping[str, str]) -> dict[str, bytes]:
    """File -> content, of the Secret's data. SealError."""
    missing = sorted(set(paths) - set(data))
    if missing:
        raise SealError(
            f"the secret {SECRET} does not have {', '.join(missing)}: run `pybernetes init phase upload-certs --upload-certs` again"
        )
    try:
        return {file: _open(data[name], key) for name, file in paths.items()}
    except InvalidTag:
        text = "run `pybernetes init phase upload-certs --upload-certs` on a control-plane host for another one"
        raise SealError(
            f"the certificate key is not the one that the cluster's certificates were encrypted with: {text}"
        ) from None


def owner(token: str, now: datetime) -> core_v1.Secret:
    """The token by whose end the certificates go: nobody authenticates with it."""
    token_id, secret = tokens.parsed(token)
    data = {
        bootstraptokens.DESCRIPTION_KEY: DESCRIPTION,
        bootstraptokens.EXPIRATION_KEY: format_time(now + LIFE),
        BOOTSTRAP_TOKEN_ID_KEY: token_id,
        BOOTSTRAP_TOKEN_SECRET_KEY: secret,
    }
    metadata = meta_v1.ObjectMeta(name=bootstraptokens.secret_name(token_id), namespace=NAMESPACE)
    encoded = {key: value.encode() for key, value in data.items()}
    return core_v1.Secret(metadata=metadata, type=SECRET_TYPE_BOOTSTRAP_TOKEN, data=encoded)


def secret(sealed: Mapping[str, bytes], of: core_v1.Secret) -> core_v1.Secret:
    """The Secret of sealed files, `of` the token as the cluster has it."""
    reference = meta_v1.OwnerReference(
        api_version="v1",
        kind="Secret",
        name=of.metadata.name,
        uid=of.metadata.uid,
        controller=True,
        block_owner_deletion=True,
    )
    metadata = meta_v1.ObjectMeta(name=SECRET, namespace=NAMESPACE, owner_references=[reference])
    return core_v1.Secret(metadata=metadata, type="Opaque", data=dict(sealed))


def _open(data: bytes, key: bytes) -> bytes:
    """InvalidTag."""
    if len(data) < NONCE_BYTES + 16:  # the least that can be: a nonce and a tag
        raise InvalidTag
    return AESGCM(key).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], None)
