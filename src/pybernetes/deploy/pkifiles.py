"""Certificates and keys in their folder, by kubeadm's names and modes (upstream: cmd/kubeadm/app/util/pkiutil, client-go/util/{cert,keyutil}).

A key is written before its certificate, each in one step: after a kill between the two the next run goes on with the key that is there.
"""

from __future__ import annotations

from pathlib import Path

from pybernetes.files import make_private_directory
from pybernetes.pki import keys
from pybernetes.pki.certificates import Authority, Leaf, is_authority
from pybernetes.pki.files import Pair, write

CERTIFICATE_MODE, KEY_MODE = 0o644, 0o600


class FileError(Exception):
    """A file that is not there or cannot be used; says which, in kubeadm's words."""


class Missing(FileError):
    """It is not there."""


def certificate_path(folder: Path, file: str) -> Path:
    """`file` is as in `Certificate`."""
    return folder / f"{file}.crt"


def key_path(folder: Path, file: str) -> Path:
    """The same of the key."""
    return folder / f"{file}.key"


def read_certificate(folder: Path, file: str) -> bytes:
    """The PEM file: the certificate, and what stands behind it. FileError."""
    path = certificate_path(folder, file)
    content = _read(path, "certificate")
    try:
        Leaf.of(content)
    except ValueError as error:
        text = f"error reading {path}: data does not contain any valid RSA or ECDSA certificates"
        raise FileError(f"couldn't load the certificate file {path}: {text}") from error
    return content


def read_key(folder: Path, file: str) -> keys.PrivateKey:
    """The key. FileError."""
    path = key_path(folder, file)
    try:
        return keys.load_private(_read(path, "private key"))
    except ValueError as error:
        text = "data does not contain a valid RSA or ECDSA private key"
        raise FileError(
            f"couldn't load the private key file {path}: error reading private key file {path}: {text}"
        ) from error


def read_authority(folder: Path, file: str) -> Authority:
    """The certificate and key of an authority. FileError."""
    try:
        certificate = read_certificate(folder, file)
    except Missing as error:
        raise Missing(f"failure loading {file} certificate authority: failed to load certificate: {error}") from error
    except FileError as error:
        raise FileError(f"failure loading {file} certificate authority: failed to load certificate: {error}") from error
    try:
        key = read_key(folder, file)
    except FileError as error:
        raise FileError(f"failure loading {file} certificate authority: failed to load key: {error}") from error
    if not is_authority(certificate):
        raise FileError(f"{file} certificate is not a certificate authority")
    pair = Pair(certificate, keys.private_pem(key))
    if not keys.match(pair):
        raise FileError(
            f"unable to sign certificate: x509: provided PrivateKey doesn't match parent's PublicKey: {file}"
        )
    return Authority.load(pair)


def left_key(folder: Path, file: str) -> keys.PrivateKey | None:
    """A key that is there without its certificate, as after a kill between the two; None: there is none. FileError."""
    try:
        return read_key(folder, file)
    except Missing:
        return None


def write_pair(folder: Path, file: str, pair: Pair) -> None:
    """Both, and the folders. OSError."""
    make_private_directory(folder, 0o755)
    certificate = certificate_path(folder, file)
    certificate.parent.mkdir(parents=True, exist_ok=True)
    write(key_path(folder, file), pair.key, KEY_MODE)
    write(certificate, pair.certificate, CERTIFICATE_MODE)


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise Missing(f"couldn't load the {what} file {path}: open {path}: no such file or directory") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise FileError(f"couldn't load the {what} file {path}: open {path}: {reason}") from error
