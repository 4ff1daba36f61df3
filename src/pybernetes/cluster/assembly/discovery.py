"""Finding the cluster that is to be joined, and being sure that it is the one (upstream: cmd/kubeadm/app/discovery)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

from pybernetes.aio import connectionerrors
from pybernetes.api import bootstraptokens, types
from pybernetes.api.types import core_v1
from pybernetes.client.http import HTTPClient
from pybernetes.client.kubeconfig import Config, ConfigError, load
from pybernetes.component.command import Failure
from pybernetes.deploy import clusterinfo, endpoints
from pybernetes.deploy.clusterinfo import DiscoveryError, NotSigned
from pybernetes.deploy.joinconfiguration import BootstrapTokenDiscovery, Discovery

from .checks import clock_problem

PATH = f"/api/v1/namespaces/{clusterinfo.NAMESPACE}/configmaps/{clusterinfo.NAME}"
# For an answer, and for the signature of a token that was made just now; more where the configuration says so.
SECONDS = 1.0
POLL_SECONDS = 0.2
# Of silence, which a virtual address on its way from one host to another is. Who refuses connections, or a token, has answered.
SILENT_SECONDS, TRY_SECONDS = 15.0, 2.0


@dataclass(frozen=True, slots=True)
class Discovered:
    """Where the cluster is, and the authorities (PEM) that stand for it."""

    server: str
    authorities: bytes


async def discover(discovery: Discovery, seconds: float = SECONDS) -> Discovered:
    """Failure that says what to do."""
    if discovery.file is not None:
        return _of_file(discovery.file.kube_config_path)
    assert discovery.bootstrap_token is not None  # one of the two: `joinconfiguration.check`
    await _resolved(discovery.bootstrap_token.api_server_endpoint)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while True:
        try:
            return await _of_token(discovery.bootstrap_token, TRY_SECONDS)
        except (NotSigned, ConnectionError, TimeoutError) as error:
            patience = max(seconds, SILENT_SECONDS) if isinstance(error, TimeoutError) else seconds
            if loop.time() + POLL_SECONDS > begun + patience:
                raise Failure(_words(discovery.bootstrap_token, error)) from error
        except DiscoveryError as error:
            raise Failure(str(error)) from error
        await asyncio.sleep(POLL_SECONDS)


async def _resolved(endpoint: str) -> None:
    """Failure where nobody knows the endpoint's name. A resolver that is silent is not waited for: it would be for half a minute."""
    host, port = endpoints.split_host_port(endpoint)
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str] = loop.create_future()

    def told(problem: str) -> None:
        if not answer.done():
            answer.set_result(problem)

    def look() -> None:
        try:
            socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            problem = ""
        except (OSError, UnicodeError) as error:
            problem = connectionerrors.explained(error, datetime.now(UTC))
        with contextlib.suppress(RuntimeError):  # nobody waits any more
            loop.call_soon_threadsafe(told, problem)

    threading.Thread(target=look, daemon=True).start()
    try:
        async with asyncio.timeout(TRY_SECONDS):
            problem = await answer
    except TimeoutError:
        problem = f"no answer in {TRY_SECONDS:.0f} s"
    if problem:
        remedy = "give the API server's IP address, or mend /etc/resolv.conf or /etc/hosts of this host"
        raise Failure(f"the name {host} cannot be resolved: {problem}; {remedy}")


def _words(given: BootstrapTokenDiscovery, error: Exception) -> str:
    if isinstance(error, NotSigned):
        return str(error)
    reason = str(error) or "no answer"
    return f"https://{given.api_server_endpoint} does not answer: {reason}; is that the API server's address and port, and does it run?"


async def _of_token(given: BootstrapTokenDiscovery, seconds: float) -> Discovered:
    """DiscoveryError, ConnectionError, TimeoutError."""
    url = f"https://{given.api_server_endpoint}"
    token_id, secret = bootstraptokens.split(given.token) or ("", "")
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    async with asyncio.timeout(seconds):
        data, skew = await _cluster_info(url, unverified)
    kubeconfig = clusterinfo.verified(data, token_id, secret)
    server, authorities = clusterinfo.place(kubeconfig)
    if not given.unsafe_skip_ca_verification:
        clusterinfo.check_pins(authorities, given.ca_cert_hashes)
    if problem := clock_problem(skew):
        raise DiscoveryError(problem)
    try:
        async with asyncio.timeout(seconds):
            again, _ = await _cluster_info(url, ssl.create_default_context(cadata=authorities.decode()))
    except (ssl.SSLError, ConnectionError) as error:
        raise DiscoveryError(
            f"{url} is not the cluster's: its certificate is not of the authority in {clusterinfo.NAME}: {error}"
        ) from error
    if again.get(clusterinfo.KUBECONFIG) != kubeconfig:
        raise DiscoveryError(
            f"{clusterinfo.NAME} is another one over TLS than without: somebody stands between this host and {url}"
        )
    # An endpoint that leads to a balancer on each node leads nowhere on a host that has none yet.
    return Discovered(url if endpoints.is_loopback(server) else server, authorities)


async def _cluster_info(url: str, context: ssl.SSLContext) -> tuple[dict[str, str], float]:
    """The ConfigMap's data, and by how many seconds this host's clock is ahead of the server's."""
    client = HTTPClient(url, context)
    try:
        answer = await client.request("GET", PATH, [("Accept", "application/json")])
    finally:
        await client.close()
    if answer.status in (401, 403, 404):
        text = "run `pybernetes init phase bootstrap-token` on a control-plane host"
        raise DiscoveryError(
            f"{url} does not show {clusterinfo.NAMESPACE}/{clusterinfo.NAME} (code {answer.status}): {text}"
        )
    if answer.status != 200:
        raise ConnectionError(f"it answers {answer.status}")
    try:
        data = types.decode(answer.body, core_v1.ConfigMap).data
    except msgspec.DecodeError as error:
        raise DiscoveryError(f"{url} is no API server: its answer cannot be read") from error
    return data, _ahead(answer.headers.get("date", ""))


def _ahead(date: str) -> float:
    try:
        return (datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds()
    except (TypeError, ValueError):
        return 0.0  # a server that does not say what time it is


def _of_file(path: str) -> Discovered:
    try:
        config: Config = load(path)
        authorities = config.ca_file.read_bytes() if config.ca_file is not None else config.ca_data
    except (ConfigError, OSError) as error:
        raise Failure(f"--discovery-file={path}: {error}") from error
    if not authorities:
        raise Failure(f"--discovery-file={path}: it has no certificate-authority-data")
    return Discovered(config.server, authorities)
