"""When certificates end, and making new ones of the same content (upstream: cmd/kubeadm/app/phases/certs/renewal).

Authorities are shown and not renewed: what trusts them would have to learn of it first.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pybernetes.api.durations import short_human_duration
from pybernetes.api.times import format_time
from pybernetes.pki import keys
from pybernetes.pki.certificates import ends_at, subject_of
from pybernetes.pki.files import Pair, write

from . import certificates, kubeconfigfile, kubeconfigs, phases, pkifiles
from .configuration import Configuration
from .pkifiles import FileError
from .tables import table

EXTERNAL_ONLY = ("ca", "front-proxy-ca")  # authorities whose key may be elsewhere; etcd's may not


class RenewalError(Exception):
    """A certificate that cannot be read or renewed; says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A certificate with a name, in the certificates' folder or in a kubeconfig; `authority` signs it, "" for one that signs."""

    name: str
    long_name: str
    file: str
    authority: str
    in_kubeconfig: bool = False


@dataclass(frozen=True, slots=True)
class Expiration:
    """When one ends; None: it is not there."""

    name: str
    ends: datetime | None
    authority: str
    external: bool


def entries(configuration: Configuration) -> Sequence[Entry]:
    """What is renewed, by name."""
    etcd_is_ours = configuration.cluster.etcd.external is None
    listed = [
        *(Entry(k.file, k.long_name, k.file, "ca", True) for k in kubeconfigs.KUBECONFIGS if k.long_name),
        *(Entry(c.name, c.long_name, c.file, c.authority) for c in certificates.CERTIFICATES
          if c.authority and (etcd_is_ours or not c.of_etcd)),
    ]  # fmt: skip
    return sorted(listed, key=lambda entry: entry.name)


def authorities(configuration: Configuration) -> Sequence[Entry]:
    """Those that sign, by name."""
    etcd_is_ours = configuration.cluster.etcd.external is None
    return sorted(
        (
            Entry(c.name, c.long_name, c.file, "")
            for c in certificates.CERTIFICATES
            if not c.authority and (etcd_is_ours or not c.of_etcd)
        ),
        key=lambda entry: entry.name,
    )


def renew(configuration: Configuration, directory: Path, entry: Entry, now: datetime) -> str:
    """Makes a new certificate of the present one's content, whenever that ends; the line for the user. RenewalError, OSError."""
    place = phases.folder(configuration)
    if not _path(entry, place, directory).exists():
        return f"MISSING! {entry.long_name}"
    signer = certificates.BY_NAME[entry.authority]
    if is_external(configuration, signer.name):
        return f"Detected external {signer.file}, {entry.long_name} can't be renewed"
    try:
        present = _present(entry, place, directory)
        authority = pkifiles.read_authority(place, signer.file)
    except (FileError, ValueError) as error:
        raise RenewalError(f"failed to renew certificate {entry.name}: {error}") from error
    key = keys.generate_as(configuration.cluster.encryption_algorithm)
    pair = authority.issue(subject_of(present), now, phases.lifetime(configuration), key)
    if entry.in_kubeconfig:
        _put_into(directory / entry.file, pair)
    else:
        pkifiles.write_pair(place, entry.file, pair)
    return f"{entry.long_name} renewed"


def expirations(configuration: Configuration, directory: Path) -> tuple[list[Expiration], list[Expiration]]:
    """(what is signed, what signs). RenewalError."""

    def look(entry: Entry) -> Expiration:
        place = phases.folder(configuration)
        if not _path(entry, place, directory).exists():
            return Expiration(entry.name, None, "", False)
        external = is_external(configuration, entry.authority or entry.name)
        try:
            ends = ends_at(_present(entry, place, directory))
        except (FileError, ValueError) as error:
            raise RenewalError(str(error)) from error
        return Expiration(entry.name, ends, entry.authority, external)

    return [look(entry) for entry in entries(configuration)], [look(entry) for entry in authorities(configuration)]


def is_external(configuration: Configuration, authority: str) -> bool:
    """Whether nothing can be signed here by an authority. RenewalError where its certificate cannot be read."""
    if authority not in EXTERNAL_ONLY:
        return False
    file = certificates.BY_NAME[authority].file
    try:
        pkifiles.read_certificate(phases.folder(configuration), file)
    except FileError as error:
        shown = "CA" if authority == "ca" else "front-proxy CA"
        text = f"Error checking external CA condition for {file} certificate authority: failure loading certificate for {shown}"
        raise RenewalError(f"{text}: {error}") from error
    return phases.external_authority(configuration, file)


def text(signed: Sequence[Expiration], signing: Sequence[Expiration], now: datetime) -> str:
    """The two tables of check-expiration."""
    rows = [("CERTIFICATE", "EXPIRES", "RESIDUAL TIME", "CERTIFICATE AUTHORITY", "EXTERNALLY MANAGED")]
    for one in signed:
        shown = (one.name, *_times(one.ends, now), one.authority, _yes(one.external)) if one.ends else _missing(one, 5)
        rows.append(shown)  # type: ignore[arg-type]  # as long as the heading
    heads = [("CERTIFICATE AUTHORITY", "EXPIRES", "RESIDUAL TIME", "EXTERNALLY MANAGED")]
    for one in signing:
        head = (one.name, *_times(one.ends, now), _yes(one.external)) if one.ends else _missing(one, 4)
        heads.append(head)  # type: ignore[arg-type]  # as long as the heading
    return f"{table(rows)}\n{table(heads)}"


def output(signed: Sequence[Expiration], signing: Sequence[Expiration], now: datetime) -> dict[str, Any]:
    """The same as the fields of a CertificateExpirationInfo."""

    def fields(one: Expiration) -> dict[str, Any]:
        named = {"caName": one.authority} if one.authority else {}
        return {
            "name": one.name,
            "expirationDate": format_time(one.ends) if one.ends else None,
            "residualTime": int((one.ends - now).total_seconds()) if one.ends else 0,
            "externallyManaged": one.external,
            **named,
            "missing": one.ends is None,
        }

    return {"certificates": [fields(one) for one in signed], "certificateAuthorities": [fields(one) for one in signing]}


def _times(ends: datetime, now: datetime) -> tuple[str, str]:
    return f"{ends.astimezone(UTC):%b %d, %Y %H:%M UTC}", short_human_duration((ends - now).total_seconds())


def _yes(value: bool) -> str:
    return f"{'yes' if value else 'no':<8}"


def _missing(one: Expiration, cells: int) -> tuple[str, ...]:
    return (f"!MISSING! {one.name}", *[""] * (cells - 1))


def _path(entry: Entry, place: Path, directory: Path) -> Path:
    return directory / entry.file if entry.in_kubeconfig else pkifiles.certificate_path(place, entry.file)


def _present(entry: Entry, place: Path, directory: Path) -> bytes:
    """The certificate there is, PEM. FileError."""
    if not entry.in_kubeconfig:
        return pkifiles.read_certificate(place, entry.file)
    path = directory / entry.file
    context = kubeconfigfile.current(_load(path))
    data = context[1].get("client-certificate-data") if context else None
    if not data:
        raise FileError(f"no client certificate data in the current context of the kubeconfig file {path}")
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise FileError(f"client-certificate-data of the kubeconfig file {path} is not base64: {error}") from error


def _put_into(path: Path, pair: Pair) -> None:
    """The kubeconfig with another certificate for its user; the rest of it stays as it is."""
    document = _load(path)
    context = kubeconfigfile.current(document)
    assert context is not None  # the present certificate was found by it
    context[1]["client-certificate-data"] = base64.b64encode(pair.certificate).decode()
    context[1]["client-key-data"] = base64.b64encode(pair.key).decode()
    write(path, kubeconfigfile.text(document).encode())


def _load(path: Path) -> Any:
    import yaml

    try:
        return yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise FileError(f"failed to load kubeconfig file {path}: {' '.join(str(error).split())}") from error
