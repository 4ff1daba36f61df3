"""The serving certificate of a part: given, found in --cert-dir, or made for the occasion (apiserver's SecureServingOptions)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pybernetes.pki.contexts import ServerContext
from pybernetes.pki.files import Pair, write_pair
from pybernetes.pki.tlspolicy import TLS_1_2, TLSPolicy


def context(
    certificate_file: str,
    key_file: str,
    cert_dir: str,
    name: str,
    addresses: list[str],
    now: datetime,
    authorities: Sequence[Path] = (),
    policy: TLSPolicy = TLS_1_2,
) -> ServerContext:
    """TLS for a part's port, which follows its files; OSError or ssl.SSLError where they cannot be used.

    Without files a pair is looked for in `cert_dir` as NAME.crt and NAME.key, and made there; without a folder it is never stored.
    """
    if certificate_file or key_file:
        return ServerContext(Path(certificate_file), Path(key_file), authorities, policy=policy)
    if not cert_dir:
        return ServerContext(_self_signed(addresses, now), authorities=authorities, policy=policy)
    certificate, key = stored(cert_dir, name, addresses, now)
    return ServerContext(certificate, key, authorities, policy=policy)


def stored(
    cert_dir: str, name: str, addresses: Sequence[str], now: datetime, names: Sequence[str] = ()
) -> tuple[Path, Path]:
    """NAME.crt and NAME.key of the folder, made there where one of them is missing, for these addresses and names besides the host's. OSError."""
    certificate, key = Path(cert_dir, f"{name}.crt"), Path(cert_dir, f"{name}.key")
    if not certificate.exists() or not key.exists():
        write_pair(certificate, key, _self_signed(addresses, now, names))
    return certificate, key


def _self_signed(addresses: Sequence[str], now: datetime, names: Sequence[str] = ()) -> Pair:
    from pybernetes.pki.certificates import self_signed

    host = os.uname().nodename.lower()
    return self_signed(host, [host, "localhost", *names], addresses, now)
