"""Replaces an authority in three steps (`rotationplan.py` says which); each may be run again, also after a kill in its midst.

The new authority waits in NEXT below the certificates' folder: hosts that share the authority get that folder before their own `prepare`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from pybernetes.pki import keys
from pybernetes.pki.certificates import Authority, Leaf, is_authority, subject_of
from pybernetes.pki.files import Pair, write

from . import kubeconfigfile, phases, pkifiles, rotationplan
from .configuration import Configuration
from .pkifiles import FileError
from .rotationplan import Authorities, RotationError, Stage

NEXT = "next"
KUBELET_CURRENT = "kubelet-client-current.pem"

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Place:
    """An authority on a host: `folder` and `file` as of `pkifiles`, kubeconfigs in `kubeconfigs`, the kubelet's certificates in `kubelet`."""

    configuration: Configuration
    file: str
    kubeconfigs: Path
    kubelet: Path

    @property
    def folder(self) -> Path:
        return phases.folder(self.configuration)

    @property
    def coming(self) -> Path:
        return self.folder / NEXT


def prepare(place: Place, now: datetime, tell: Tell) -> None:
    """Makes the new authority where there is none, and has everybody on this host trust both. RotationError, FileError, OSError."""
    current = pkifiles.read_authority(place.folder, place.file)
    if not pkifiles.certificate_path(place.coming, place.file).exists():
        lifetime = phases.lifetime(place.configuration, True)
        key = pkifiles.left_key(place.coming, place.file) or keys.generate_as(
            place.configuration.cluster.encryption_algorithm
        )
        name = Leaf.of(current.pem).common_name
        pkifiles.write_pair(place.coming, place.file, Authority.create(name, now, lifetime, key).pair)
        place.coming.chmod(0o700)
        tell(f"[rotate-ca] New authority {pkifiles.certificate_path(place.coming, place.file)}")
    authorities = read(place)
    if authorities.stage is Stage.REISSUED:
        raise RotationError("certificates are reissued already: `pybernetes certs rotate-ca finish` comes next")
    _trust(place, authorities, authorities.trusted(Stage.PREPARED), tell)


def reissue(place: Place, now: datetime, tell: Tell) -> list[str]:
    """The new authority signs from now on: all certificates of this host are made anew, of the same content; their names. See `prepare`."""
    authorities = read(place)
    rotationplan.may_reissue(authorities)
    coming = pkifiles.read_authority(place.coming, place.file)
    if authorities.stage is Stage.PREPARED:
        # A signer that reads in between finds a key that does not fit, and stays with the pair before.
        write(pkifiles.key_path(place.folder, place.file), coming.pair.key, pkifiles.KEY_MODE)
        authorities = read(place)
    _trust(place, authorities, authorities.trusted(Stage.REISSUED), tell)
    reissued = []
    for one in signed(place):
        if rotationplan.issued_by(one.certificate, authorities.old) and one.replace is not None:
            algorithm = place.configuration.cluster.encryption_algorithm
            pair = coming.issue(
                subject_of(_pem(one.certificate)),
                now,
                phases.lifetime(place.configuration),
                keys.generate_as(algorithm),
            )
            one.replace(pair)
            reissued.append(one.name)
            tell(f"[rotate-ca] {one.name} reissued")
    return reissued


def finish(place: Place, tell: Tell) -> None:
    """Nobody on this host trusts the old one any more. See `prepare`."""
    authorities = read(place)
    left = [one.name for one in signed(place) if rotationplan.issued_by(one.certificate, authorities.old)]
    rotationplan.may_finish(authorities, left)
    assert authorities.coming is not None
    _trust(place, authorities, (authorities.coming,), tell)
    for path in (pkifiles.certificate_path(place.coming, place.file), pkifiles.key_path(place.coming, place.file)):
        path.unlink()
    tell(f"[rotate-ca] {place.file} is the new authority alone")


def trust(place: Place, bundle: bytes, tell: Tell) -> None:
    """A host without the authority's key: its file and kubeconfigs trust what another host's file says. RotationError, OSError."""
    try:
        certificates = tuple(x509.load_pem_x509_certificates(bundle))
        present = pkifiles.read_certificate(place.folder, place.file)
        both = (*x509.load_pem_x509_certificates(present), *certificates)
    except ValueError as error:
        raise RotationError(f"that is no bundle of certificates: {error}") from error
    if not all(is_authority(_pem(one)) for one in certificates):
        raise RotationError("that holds certificates which may sign nobody")
    if pkifiles.key_path(place.folder, place.file).exists():
        raise RotationError("this host has the authority's key: it takes prepare, reissue and finish")
    if not set(certificates) & set(x509.load_pem_x509_certificates(present)):
        raise RotationError(
            "nothing in it is trusted here: it is the authority of another cluster, or a step was left out"
        )
    _trust(place, Authorities(both, None, None), certificates, tell)


def read(place: Place) -> Authorities:
    """What is on the disk. FileError."""
    bundle = tuple(x509.load_pem_x509_certificates(pkifiles.read_certificate(place.folder, place.file)))
    coming: x509.Certificate | None = None
    if pkifiles.certificate_path(place.coming, place.file).exists():
        coming = x509.load_pem_x509_certificate(pkifiles.read_certificate(place.coming, place.file))
    key = pkifiles.left_key(place.folder, place.file)
    candidates = [*bundle, *([coming] if coming is not None else [])]
    signing = next((one for one in candidates if key is not None and one.public_key() == key.public_key()), None)
    if key is not None and signing is None:
        raise RotationError(
            f"{pkifiles.key_path(place.folder, place.file)} belongs to none of the certificates beside it"
        )
    return Authorities(bundle, signing, coming)


@dataclass(frozen=True, slots=True)
class Signed:
    """A certificate of this host; `replace` writes another pair in its place, None: who has it gets a new one by itself."""

    name: str
    certificate: x509.Certificate
    replace: Callable[[Pair], None] | None


def signed(place: Place) -> Iterator[Signed]:
    """All that have a key here: files, kubeconfigs with their own, the kubelet's. FileError."""
    for path in sorted(place.folder.rglob("*.crt")):
        key = path.with_suffix(".key")
        if NEXT in path.relative_to(place.folder).parts or not key.exists():
            continue
        file = str(path.relative_to(place.folder).with_suffix(""))
        content = pkifiles.read_certificate(place.folder, file)
        if not is_authority(content):
            yield Signed(file, x509.load_pem_x509_certificate(content), _writes_files(place.folder, file))
    for path in sorted(place.kubeconfigs.glob("*.conf")):
        held = _held(path)
        if held is not None:
            yield Signed(path.name, held, _writes_kubeconfig(path))
    current = place.kubelet / KUBELET_CURRENT
    if current.exists():
        yield Signed(
            "kubelet's client certificate",
            x509.load_pem_x509_certificate(current.read_bytes()),
            _writes_current(current),
        )


def _writes_files(folder: Path, file: str) -> Callable[[Pair], None]:
    return lambda pair: pkifiles.write_pair(folder, file, pair)


def _writes_kubeconfig(path: Path) -> Callable[[Pair], None]:
    def replace(pair: Pair) -> None:
        document = _load(path)
        context = kubeconfigfile.current(document)
        assert context is not None  # its certificate was read
        context[1]["client-certificate-data"] = base64.b64encode(pair.certificate).decode()
        context[1]["client-key-data"] = base64.b64encode(pair.key).decode()
        write(path, kubeconfigfile.text(document).encode(), path.stat().st_mode & 0o777)

    return replace


def _writes_current(path: Path) -> Callable[[Pair], None]:
    """Certificate and key in one file, which a link points to: the file is replaced, the link stays."""
    return lambda pair: write(path.resolve(), pair.certificate + pair.key, pkifiles.KEY_MODE)


def _held(path: Path) -> x509.Certificate | None:
    context = kubeconfigfile.current(_load(path))
    data = context[1].get("client-certificate-data") if context is not None else None
    try:
        return x509.load_pem_x509_certificate(base64.b64decode(data, validate=True)) if data else None
    except ValueError as error:
        raise FileError(f"client-certificate-data of {path}: {error}") from error


def _trust(place: Place, authorities: Authorities, bundle: Sequence[x509.Certificate], tell: Tell) -> None:
    """The authority's file, then kubeconfigs that hold it."""
    text = b"".join(map(_pem, bundle))
    path = pkifiles.certificate_path(place.folder, place.file)
    if path.read_bytes() != text:
        write(path, text, pkifiles.CERTIFICATE_MODE)
        tell(f"[rotate-ca] {path} holds {len(bundle)} authorit{'ies' if len(bundle) > 1 else 'y'}")
    family = {*authorities.bundle, *bundle, *([authorities.coming] if authorities.coming is not None else [])}
    for kubeconfig in sorted(place.kubeconfigs.glob("*.conf")):
        document = _load(kubeconfig)
        context = kubeconfigfile.current(document)
        data = context[0].get("certificate-authority-data") if context is not None else None
        if context is None or not data:
            continue
        try:
            present = x509.load_pem_x509_certificates(base64.b64decode(data, validate=True))
        except ValueError as error:
            raise FileError(f"certificate-authority-data of {kubeconfig}: {error}") from error
        changed = rotationplan.with_trust(present, tuple(family), bundle)
        if changed != present:
            context[0]["certificate-authority-data"] = base64.b64encode(b"".join(map(_pem, changed))).decode()
            write(kubeconfig, kubeconfigfile.text(document).encode(), kubeconfig.stat().st_mode & 0o777)
            tell(f"[rotate-ca] {kubeconfig} trusts {len(changed)}")


def _load(path: Path) -> Any:
    import yaml

    try:
        return yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise FileError(f"failed to load kubeconfig file {path}: {' '.join(str(error).split())}") from error


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
