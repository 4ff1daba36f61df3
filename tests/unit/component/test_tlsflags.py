"""--tls-min-version and --tls-cipher-suites of every part.

The kind: a hardening that was taken and did nothing (kubelet, controller manager, scheduler, metrics-server), which audits ask for by name.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pybernetes.cli import kubeletcertificates
from pybernetes.component import flags, servingcert, tlsflags
from pybernetes.component.command import UsageError
from pybernetes.controllers.options import FLAGS as CONTROLLERS
from pybernetes.kubelet.options import FLAGS as KUBELET
from pybernetes.kubelet.options import kubelet_configuration
from pybernetes.metricsserver.options import FLAGS as METRICS
from pybernetes.scheduler.options import FLAGS as SCHEDULER

GCM = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"


def _kubelet(folder: Path, *arguments: str) -> ssl.SSLContext:
    values = flags.parse("kubelet", KUBELET, [f"--cert-dir={folder}", *arguments])
    return kubeletcertificates.serving_context(kubelet_configuration(values, "n", ["127.0.0.1"]))


def _part(folder: Path, *arguments: str) -> ssl.SSLContext:
    values = flags.parse("kube-scheduler", SCHEDULER, arguments)
    policy = tlsflags.policy(values)
    return servingcert.context("", "", str(folder), "part", ["127.0.0.1"], datetime.now(UTC), (), policy)


async def _spoken(context: ssl.SSLContext, newest: ssl.TLSVersion) -> tuple[str, str]:
    """Version and suite that a client gets; "" where it gets none."""
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode, client.maximum_version = False, ssl.CERT_NONE, newest
    try:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), ssl=client)
        spoken = writer.get_extra_info("ssl_object")
        writer.close()
        return spoken.version(), spoken.cipher()[0]
    except (ssl.SSLError, ConnectionError):
        return "", ""
    finally:
        server.close()


@pytest.mark.parametrize("context", [_kubelet, _part])
@pytest.mark.parametrize(
    ("arguments", "newest", "version", "suite"),
    [
        ((), ssl.TLSVersion.TLSv1_3, "TLSv1.3", ""),
        ((), ssl.TLSVersion.TLSv1_2, "TLSv1.2", ""),
        (("--tls-min-version=VersionTLS13",), ssl.TLSVersion.TLSv1_3, "TLSv1.3", ""),
        (("--tls-min-version=VersionTLS13",), ssl.TLSVersion.TLSv1_2, "", ""),
        ((f"--tls-cipher-suites={GCM}",), ssl.TLSVersion.TLSv1_2, "TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"),
        (("--tls-cipher-suites=TLS_AES_128_GCM_SHA256",), ssl.TLSVersion.TLSv1_2, "", ""),
    ],
)
def test_ports_speak_what_they_are_told_to(
    tmp_path: Path,
    context: Callable[..., ssl.SSLContext],
    arguments: tuple[str, ...],
    newest: ssl.TLSVersion,
    version: str,
    suite: str,
) -> None:
    spoken = asyncio.run(_spoken(context(tmp_path, *arguments), newest))
    assert spoken[0] == version and (not suite or spoken[1] == suite)


@pytest.mark.parametrize("declared", [KUBELET, CONTROLLERS, SCHEDULER, METRICS])
@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("--tls-min-version=1.2", 'unknown tls version "1.2"'),
        ("--tls-cipher-suites=RC4", "Cipher suite RC4 not supported or doesn't exist"),
    ],
)
def test_what_is_none_is_refused(declared: tuple[flags.Flag, ...], argument: str, text: str) -> None:
    values = flags.parse("part", declared, [argument])
    assert flags.warnings(declared, values) == []
    with pytest.raises(UsageError, match="--tls-min-version or --tls-cipher-suites: ") as caught:
        tlsflags.policy(values)
    assert text in str(caught.value)
