"""Which versions and cipher suites of TLS a port takes, by Go's names (upstream: component-base/cli/flag/ciphersuites_flag.go)."""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

VERSIONS = {
    "VersionTLS10": ssl.TLSVersion.TLSv1,
    "VersionTLS11": ssl.TLSVersion.TLSv1_1,
    "VersionTLS12": ssl.TLSVersion.TLSv1_2,
    "VersionTLS13": ssl.TLSVersion.TLSv1_3,
}
# TLS 1.3 has suites of its own, which neither Go nor Python let be chosen.
LATEST = frozenset({"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"})
# Go's names -> OpenSSL's; those with RC4 and 3DES are in no OpenSSL any more.
SUITES = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256": "ECDHE-ECDSA-AES128-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256": "ECDHE-RSA-AES128-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256": "AES128-SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
}


@dataclass(frozen=True, slots=True)
class TLSPolicy:
    """`ciphers` in OpenSSL's words, "" for its own choice."""

    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    ciphers: str = ""

    def context(self) -> ssl.SSLContext:
        """Of a server, without a certificate yet."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        old = self.minimum < ssl.TLSVersion.TLSv1_2
        with warnings.catch_warnings():  # Python does not like old versions; who asks for them knows why
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = self.minimum
        if self.ciphers or old:
            # OpenSSL has old versions with its lowest level of security alone.
            context.set_ciphers(f"{self.ciphers or 'DEFAULT'}{':@SECLEVEL=0' if old else ''}")
        return context


TLS_1_2 = TLSPolicy()


def policy(version: str, suites: Sequence[str]) -> TLSPolicy:
    """Of --tls-min-version and --tls-cipher-suites. ValueError in upstream's words."""
    if version and version not in VERSIONS:
        raise ValueError(f'unknown tls version "{version}"')
    for name in suites:
        if name not in SUITES and name not in LATEST:
            raise ValueError(f"Cipher suite {name} not supported or doesn't exist")
    minimum = VERSIONS[version or "VersionTLS12"]
    older = list(dict.fromkeys(SUITES[name] for name in suites if name in SUITES))
    if suites and not older:
        minimum = ssl.TLSVersion.TLSv1_3  # no suite of an older version is left
    return TLSPolicy(minimum, ":".join(older))
