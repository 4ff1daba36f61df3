"""Asks containers whether they live, and runs their hooks (upstream: pkg/probe, pkg/kubelet/prober, pkg/kubelet/lifecycle)."""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote as url_quote
from urllib.parse import urljoin, urlsplit

from pybernetes.api import types, version
from pybernetes.api.field import quote
from pybernetes.api.types import core_v1 as core
from pybernetes.client.http import Answer, HTTPClient, Stream

from . import grpcprobe
from .interfaces import RuntimeService
from .machine.events import pod_text
from .runtime.types import RuntimeFailure

USER_AGENT = f"kube-probe/{version.MINOR}"
LIFECYCLE_AGENT = f"kube-lifecycle/{version.MINOR}"
MESSAGE_BYTES = 10 * 1024  # what is kept of an answer or an output
REDIRECTS = 10
DIAL_AGAIN_SECONDS = 0.1
HOOK_SECONDS = 30.0  # for an HTTP hook; an exec hook has the pod's whole grace
GO_ERRORS = {
    errno.ECONNREFUSED: "connect: connection refused",
    errno.EADDRNOTAVAIL: "connect: cannot assign requested address",
    errno.EHOSTUNREACH: "connect: no route to host",
    errno.ENETUNREACH: "connect: network is unreachable",
    errno.ECONNRESET: "read: connection reset by peer",
    errno.ETIMEDOUT: "i/o timeout",
}


class ProbeFailure(Exception):
    """The message of an unhealthy answer."""


class ProbeError(ProbeFailure):
    """Nobody could be asked, for the probe itself is wrong: that says nothing of the container."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where an HTTP request goes."""

    url: str
    headers: tuple[tuple[str, str], ...]


def port_number(port: int | str, container: core.Container) -> int:
    """A number, or the number of the container's port of that name; ProbeError where there is none."""
    if isinstance(port, int):
        number = port
    else:
        named = next((p.container_port for p in container.ports if p.name == port), None)
        try:
            number = named if named is not None else int(port)
        except ValueError:
            raise ProbeError(f"strconv.Atoi: parsing {port!r}: invalid syntax".replace("'", '"')) from None
    if not 0 < number < 65536:
        raise ProbeError(f"invalid port number: {number}")
    return number


def http_target(action: core.HTTPGetAction, container: core.Container, ip: str, agent: str) -> Target:
    """URL and headers of an httpGet."""
    host = action.host or ip
    host = f"[{host}]" if ":" in host else host
    scheme = (action.scheme or "HTTP").lower()
    path = action.path if action.path.startswith("/") else f"/{action.path}"
    url = f"{scheme}://{host}:{port_number(action.port, container)}{path}"
    headers = [(h.name, h.value) for h in action.http_headers]
    given = {name.lower() for name, _ in headers}
    if "user-agent" not in given:
        headers.append(("User-Agent", agent))
    if "accept" not in given:
        headers.append(("Accept", "*/*"))
    # An empty value takes the header away, as upstream has it.
    return Target(url, tuple((name, value) for name, value in headers if value))


def dial_text(error: BaseException, host: str, port: int) -> str:
    """A refused connection as Go words it."""
    numbers = [e.errno for e in (error, error.__cause__) if isinstance(e, OSError) and e.errno]
    where = f"dial tcp {f'[{host}]' if ':' in host else host}:{port}: "
    return where + next((GO_ERRORS[n] for n in numbers if n in GO_ERRORS), str(error.__cause__ or error))


async def http_get(target: Target, timeout: float) -> Answer:
    """The answer after redirects within the host; ProbeFailure where none came."""
    url = target.url
    try:
        async with asyncio.timeout(timeout):
            for _ in range(REDIRECTS):
                answer = await _get(url, target.headers)
                location = answer.headers.get("location", "")
                if not 300 <= answer.status < 400 or not location:
                    return answer
                following = urljoin(url, location)
                if urlsplit(following).hostname != urlsplit(url).hostname:
                    return answer  # upstream counts a redirect to elsewhere as a success
                url = following
    except TimeoutError:
        text = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        raise ProbeFailure(f'Get "{url}": {text}') from None
    raise ProbeFailure(f'Get "{url}": stopped after {REDIRECTS} redirects')


async def _get(url: str, headers: Sequence[tuple[str, str]]) -> Answer:
    parts = urlsplit(url)
    context = None
    if parts.scheme == "https":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # upstream: probes trust every certificate
    client = HTTPClient(f"{parts.scheme}://{parts.netloc}", context)
    path = url_quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._") + (f"?{parts.query}" if parts.query else "")
    try:
        async with client.stream("GET", path, [*headers, ("Connection", "close")]) as answer:
            return Answer(answer.status, answer.headers, await _beginning(answer))
    except (ConnectionError, ssl.SSLError) as error:
        text = dial_text(error, parts.hostname or "", client.port) if isinstance(error.__cause__, OSError) else "EOF"
        raise ProbeFailure(f'Get "{url}": {text}') from error
    finally:
        await client.close()


async def _beginning(answer: Stream) -> bytes:
    """What is read of a body: a pod may send without end (upstream's maxRespBodyLength)."""
    kept = bytearray()
    async for piece in answer:
        kept += piece
        if len(kept) >= MESSAGE_BYTES:
            break
    return bytes(kept[:MESSAGE_BYTES])


class RuntimeProber:
    """Implements interfaces.Prober on a runtime and the pods' network."""

    def __init__(self, runtime: RuntimeService) -> None:
        self._runtime = runtime

    async def probe(
        self, pod: core.Pod, container: core.Container, container_id: str, probe: core.Probe, ip: str
    ) -> tuple[bool | None, str]:
        """Healthy or not (None: nobody could be asked), and the failure's or a warning's text. RuntimeFailure where the runtime could not ask."""
        timeout = float(probe.timeout_seconds or 1)
        try:
            if probe.exec is not None:
                await self._exec(container_id, probe.exec.command, timeout)
            elif probe.http_get is not None:
                return True, await self._http(http_target(probe.http_get, container, ip, USER_AGENT), timeout)
            elif probe.tcp_socket is not None:
                host = probe.tcp_socket.host or ip
                await self._tcp(host, port_number(probe.tcp_socket.port, container), timeout)
            elif probe.grpc is not None:
                await self._grpc(ip, probe.grpc, timeout)
        except ProbeFailure as failure:
            return None if isinstance(failure, ProbeError) else False, str(failure)
        return True, ""

    async def _exec(self, container_id: str, command: Sequence[str], timeout: float) -> None:
        result = await self._runtime.exec_sync(container_id, command, timeout)
        if result.exit_code == -1:
            raise ProbeFailure(f"command timed out: {quote(' '.join(command))} timed out after {timeout:g}s")
        if result.exit_code != 0:
            raise ProbeFailure(result.output[:MESSAGE_BYTES].decode(errors="replace"))

    async def _http(self, target: Target, timeout: float) -> str:
        """A warning, "" where there is none."""
        answer = await http_get(target, timeout)
        if not 200 <= answer.status < 400:
            raise ProbeFailure(f"HTTP probe failed with statuscode: {answer.status}")
        if answer.status >= 300:
            return f"Probe terminated redirects, Response body: {answer.body.decode(errors='replace')}"
        return ""

    async def _tcp(self, host: str, port: int, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                _, writer = await asyncio.open_connection(host, port)
                writer.close()
        except TimeoutError:
            raise ProbeFailure(dial_text(OSError(errno.ETIMEDOUT, ""), host, port)) from None
        except OSError as error:
            raise ProbeFailure(dial_text(error, host, port)) from error

    async def _grpc(self, ip: str, action: core.GRPCAction, timeout: float) -> None:
        where = f"{f'[{ip}]' if ':' in ip else ip}:{action.port}"
        try:
            async with asyncio.timeout(timeout):
                status = await self._health(ip, action)
        except TimeoutError:
            raise ProbeFailure(
                f'timeout: failed to connect service "{where}" within {timeout:g}s: context deadline exceeded'
            ) from None
        except OSError as error:
            raise ProbeFailure(f"error: health rpc probe failed: {error}") from error
        if status != grpcprobe.SERVING:
            raise ProbeFailure(f'service unhealthy (responded with "{grpcprobe.NAMES.get(status, status)}")')

    async def _health(self, ip: str, action: core.GRPCAction) -> int:
        """Who refuses a connection is called again until the time is over, as by gRPC's blocking dial."""
        while True:
            try:
                return await grpcprobe.check(ip, action.port, action.service or "")
            except ConnectionRefusedError:
                await asyncio.sleep(DIAL_AGAIN_SECONDS)

    async def hook(
        self, pod: core.Pod, container: core.Container, container_id: str, handler: core.LifecycleHandler, ip: str
    ) -> None:
        """RuntimeFailure with the event's text where it fails."""
        where = f'for Container "{container.name}" in Pod "{pod_text(pod)}" failed - error:'
        if handler.exec is not None:
            command = handler.exec.command
            head = f"Exec lifecycle hook ([{' '.join(command)}]) {where}"
            try:
                result = await self._runtime.exec_sync(container_id, command, 0)
            except RuntimeFailure as error:
                raise RuntimeFailure(f'{head} {error}, message: ""') from error
            if result.exit_code != 0:
                output = result.output.decode(errors="replace")
                quoted = output.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
                text = f"command '{' '.join(command)}' exited with {result.exit_code}: "
                raise RuntimeFailure(f'{head} {text}, message: "{quoted}"')
        elif handler.http_get is not None:
            try:
                answer = await http_get(http_target(handler.http_get, container, ip, LIFECYCLE_AGENT), HOOK_SECONDS)
            except ProbeFailure as failure:
                raise RuntimeFailure(
                    f'HTTP lifecycle hook ({handler.http_get.path}) {where} {failure}, message: ""'
                ) from failure
            del answer  # any answer will do
        elif handler.sleep is not None:
            await asyncio.sleep(handler.sleep.seconds)
        else:
            raise RuntimeFailure(f"invalid handler: {types.encode(handler).decode()}")
