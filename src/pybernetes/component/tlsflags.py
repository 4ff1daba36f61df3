"""--tls-min-version and --tls-cipher-suites, alike for every port of every part (upstream: component-base/cli/flag/ciphersuites_flag.go)."""

from __future__ import annotations

from pybernetes.pki import tlspolicy
from pybernetes.pki.tlspolicy import TLSPolicy

from . import flags
from .command import UsageError
from .flags import Flag, Values


def tls_flags(group: str = "") -> tuple[Flag, ...]:
    """Both, under a heading of --help."""
    oldest = f"The oldest TLS that is taken: {', '.join(tlspolicy.VERSIONS)}."
    suites = "Cipher suites of TLS 1.2, by Go's names; OpenSSL's choice if not given."
    return (
        Flag("tls-min-version", flags.string, "", oldest, group),
        Flag("tls-cipher-suites", flags.strings, [], suites, group),
    )


def policy(values: Values) -> TLSPolicy:
    """UsageError in upstream's words."""
    try:
        return tlspolicy.policy(values["tls-min-version"], values["tls-cipher-suites"])
    except ValueError as error:
        raise UsageError(f"--tls-min-version or --tls-cipher-suites: {error}") from error
