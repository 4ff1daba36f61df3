"""The server's end of exec, attach and port-forward, over SPDY/3.1 and over WebSocket.

Upstream: kubelet's pkg/cri/streaming (remotecommand, portforward), apimachinery's httpstream, kubectl's protocols
v5.channel.k8s.io and its elders, portforward.k8s.io and SPDY/3.1+portforward.k8s.io.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pybernetes.aio.ending import end
from pybernetes.api import errors

from . import channels, spdy, websocket
from .duplex import Duplex, Pipe
from .http import Request, Upgraded, UpgradeResponse

STREAM_CREATION_SECONDS = 30.0  # upstream's time-out for the client to open its streams
STATUS_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io")  # they end with a Status
WEBSOCKET_PROTOCOLS = (*STATUS_PROTOCOLS, "base64.channel.k8s.io", "channel.k8s.io")
FORWARD_PROTOCOLS = ("v4.channel.k8s.io", "v4.base64.channel.k8s.io")
SPDY_PROTOCOLS = ("v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io")
PORT_FORWARD = "portforward.k8s.io"
TUNNELLED_PORT_FORWARD = "SPDY/3.1+portforward.k8s.io"
STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255

Status = dict[str, Any]
SUCCESS: Status = {"metadata": {}, "status": "Success"}


def exit_status(code: int) -> Status:
    """The Status that carries a command's exit code."""
    if code == 0:
        return SUCCESS
    causes = [{"reason": "ExitCode", "message": str(code)}]
    message = f"command terminated with non-zero exit code: exit status {code}"
    failure = {"metadata": {}, "status": "Failure", "message": message}
    return {**failure, "reason": "NonZeroExitCode", "details": {"causes": causes}}


def failure_status(message: str) -> Status:
    """The command could not be run at all."""
    return {"metadata": {}, "status": "Failure", "message": message, "reason": "InternalError", "code": 500}


def told(protocol: str, status: Status) -> bytes:
    """What the channel of errors says of a command's end: a Status, or before v4 a text, and nothing of success."""
    if protocol in STATUS_PROTOCOLS:
        return json.dumps(status).encode()
    return b"" if status["status"] == "Success" else str(status.get("message", "")).encode()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Query parameters of exec and attach."""

    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False


class CommandStreams(Protocol):
    """What the runtime reads and writes."""

    async def read_stdin(self) -> bytes:
        """b"" at the end of the client's input."""
        ...

    async def write_stdout(self, data: bytes) -> None: ...

    async def write_stderr(self, data: bytes) -> None: ...

    def sizes(self) -> AsyncIterator[tuple[int, int]]:
        """(width, height) whenever the client's terminal changes."""
        ...


Run = Callable[[CommandStreams], Awaitable[Status]]
Connect = Callable[[int], Awaitable[Duplex]]


def _first_common(offered: Sequence[str], spoken: Sequence[str]) -> str | None:
    return next((p for p in offered if p in spoken), None)


def accept_command(request: Request, command: Wanted, run: Run) -> UpgradeResponse:
    """The answer that starts a command; `run` gives its final status. StatusError where the request is no upgrade."""
    if not (command.stdin or command.stdout or command.stderr):
        raise errors.bad_request("you must specify at least 1 of stdin, stdout, stderr")
    if websocket.asked(request):
        offered = websocket.offered_protocols(request)
        protocol = _first_common(offered, WEBSOCKET_PROTOCOLS) if offered else ""
        if protocol is None:
            raise errors.bad_request(
                f"unable to upgrade: none of the WebSocket protocols [{' '.join(offered)}] is spoken here"
            )
        chosen = protocol
        return _websocket(request, protocol, lambda s: _websocket_command(s, chosen, command, run))
    offered = _stream_protocols(request)
    spoken = _first_common(offered, SPDY_PROTOCOLS)
    if spoken is None:
        text = f"unable to upgrade: unable to negotiate protocol: client supports [{' '.join(offered)}]"
        raise errors.forbidden("", "", "", f"{text}, server accepts {list(SPDY_PROTOCOLS)}")
    headers = [("X-Stream-Protocol-Version", spoken)]
    return UpgradeResponse("SPDY/3.1", lambda s: _spdy_command(s, spoken, command, run), headers)


def accept_port_forward(request: Request, ports: Sequence[int], connect: Connect) -> UpgradeResponse:
    """The answer that forwards connections to ports; `ports` are the query's (old WebSocket protocol only)."""
    if websocket.asked(request):
        offered = websocket.offered_protocols(request)
        if TUNNELLED_PORT_FORWARD in offered:

            async def tunnelled(stream: Upgraded) -> None:
                socket = websocket.WebSocket(stream)
                await _forward_session(websocket.MessageDuplex(socket, stream), connect)
                await socket.close()

            return _websocket(request, TUNNELLED_PORT_FORWARD, tunnelled)
        protocol = _first_common(offered, FORWARD_PROTOCOLS) if offered else ""
        if protocol is None:
            raise errors.bad_request(
                f"unable to upgrade: none of the WebSocket protocols [{' '.join(offered)}] is spoken here"
            )
        if not ports:
            raise errors.bad_request('query parameter "port" is required')
        chosen = protocol
        return _websocket(request, protocol, lambda s: _websocket_forward(s, chosen, ports, connect))
    if PORT_FORWARD not in _stream_protocols(request):
        raise errors.bad_request(f"unable to upgrade: client must offer {PORT_FORWARD}")
    headers = [("X-Stream-Protocol-Version", PORT_FORWARD)]
    return UpgradeResponse("SPDY/3.1", lambda s: _forward_session(s, connect), headers)


def _stream_protocols(request: Request) -> list[str]:
    if (request.header("upgrade") or "").lower() != "spdy/3.1":
        raise errors.bad_request("Upgrade request required")
    values = request.header_values("x-stream-protocol-version")
    return [p.strip() for value in values for p in value.split(",") if p.strip()]


def _websocket(request: Request, protocol: str, run: Callable[[Upgraded], Awaitable[None]]) -> UpgradeResponse:
    try:
        headers = websocket.handshake_headers(request, protocol)
    except websocket.ProtocolError as error:
        raise errors.bad_request(str(error)) from None
    return UpgradeResponse("websocket", run, headers)


# Commands over WebSocket: one message is a channel's number and bytes.


class _WebSocketStreams:
    def __init__(self, socket: websocket.WebSocket, protocol: str) -> None:
        self._socket, self._protocol = socket, protocol
        self.stdin = Pipe()
        self._sizes: asyncio.Queue[tuple[int, int] | None] = asyncio.Queue()

    async def send(self, channel: int, data: bytes) -> None:
        message, text = channels.pack(self._protocol, channel, data)
        await self._socket.send(message, text)

    async def read_stdin(self) -> bytes:
        return await self.stdin.read()

    async def write_stdout(self, data: bytes) -> None:
        await self.send(STDOUT, data)

    async def write_stderr(self, data: bytes) -> None:
        await self.send(STDERR, data)

    async def sizes(self) -> AsyncIterator[tuple[int, int]]:
        while (size := await self._sizes.get()) is not None:
            yield size

    async def receive(self) -> None:
        """Reads messages until the client is gone."""
        while (message := await self._socket.receive()) is not None:
            channel, data = channels.unpack(self._protocol, message)
            if channel == STDIN:
                await self.stdin.feed(data)
            elif channel == RESIZE:
                size = _size(data)
                if size:
                    self._sizes.put_nowait(size)
            elif channel == CLOSE and data[:1] == bytes((STDIN,)):
                await self.stdin.end()

    async def end(self) -> None:
        await self.stdin.end()
        self._sizes.put_nowait(None)


def _size(data: bytes) -> tuple[int, int] | None:
    """A TerminalSize; what is no such thing is skipped, as upstream does."""
    try:
        size = json.loads(data)
        return int(size["Width"]), int(size["Height"])
    except (ValueError, KeyError, TypeError):
        return None


async def _websocket_command(stream: Upgraded, protocol: str, command: Wanted, run: Run) -> None:
    socket = websocket.WebSocket(stream)
    streams = _WebSocketStreams(socket, protocol)
    if not command.stdin:
        await streams.stdin.end()
    # An empty message on the first channel that is written says that the connection stands.
    stderr = command.stderr and not command.tty
    await streams.send(STDOUT if command.stdout else STDERR if stderr else ERROR, b"")
    status = await _run_until_gone(streams.receive(), run, streams, streams.end)
    if status is not None:
        with contextlib.suppress(ConnectionError):
            if text := told(protocol, status):
                await streams.send(ERROR, text)
            await socket.close()


async def _run_until_gone(
    receiving: Any, run: Run, streams: CommandStreams, end: Callable[[], Awaitable[None]]
) -> Status | None:
    """The command's status; None when the client left before its end."""

    async def receive() -> None:
        with contextlib.suppress(ConnectionError):
            await receiving
        await end()

    receiver, command = asyncio.ensure_future(receive()), asyncio.ensure_future(run(streams))
    try:
        await asyncio.wait({receiver, command}, return_when=asyncio.FIRST_COMPLETED)
        if not command.done():
            # The client's input is over; a command that needs it ends by itself, one that does not is given up.
            await asyncio.wait({command}, timeout=1.0)
        return command.result() if command.done() else None
    except ConnectionError:
        return None
    finally:
        for task in (receiver, command):
            task.cancel()
        await asyncio.gather(receiver, command, return_exceptions=True)


# Commands over SPDY: the client opens a stream for each channel.


class _SPDYStreams:
    def __init__(self, streams: dict[str, spdy.Stream]) -> None:
        self._streams = streams

    async def read_stdin(self) -> bytes:
        stdin = self._streams.get("stdin")
        return await stdin.read() if stdin else b""

    async def write_stdout(self, data: bytes) -> None:
        if "stdout" in self._streams:
            await self._streams["stdout"].write(data)

    async def write_stderr(self, data: bytes) -> None:
        if "stderr" in self._streams:
            await self._streams["stderr"].write(data)

    async def sizes(self) -> AsyncIterator[tuple[int, int]]:
        resize = self._streams.get("resize")
        rest = b""
        while resize and (data := await resize.read()):
            *lines, rest = (rest + data).replace(b"}", b"}\n").split(b"\n")
            for size in (_size(line) for line in lines):
                if size:
                    yield size


async def _spdy_command(stream: Upgraded, protocol: str, command: Wanted, run: Run) -> None:
    session = spdy.Session(stream)
    reader = asyncio.ensure_future(session.run())
    try:
        names = {"error"}
        names |= {n for n, asked in (("stdin", command.stdin), ("stdout", command.stdout)) if asked}
        names |= {"stderr"} if command.stderr and not command.tty else set()
        names |= {"resize"} if command.tty and protocol != "v2.channel.k8s.io" else set()
        streams: dict[str, spdy.Stream] = {}
        try:
            async with asyncio.timeout(STREAM_CREATION_SECONDS):
                async for opened in session.accept():
                    streams[_header(opened, "streamtype")] = opened
                    if names <= streams.keys():
                        break
        except TimeoutError:
            return  # as upstream: the client that did not open its streams is cut off
        if "error" not in streams:
            return

        async def nothing() -> None:
            return None

        status = await _run_until_gone(asyncio.shield(reader), run, _SPDYStreams(streams), nothing)
        if status is not None:
            if text := told(protocol, status):
                await streams["error"].write(text)
            for opened in streams.values():
                await opened.finish()
            # The client closes once it has read everything; cutting it off first would lose the tail.
            await asyncio.wait({reader}, timeout=5.0)
    except ConnectionError:
        return
    finally:
        await end(reader)


def _header(stream: spdy.Stream, name: str) -> str:
    return next((value for key, value in stream.headers.items() if key.lower() == name), "")


# Port-forward.


async def _forward_session(stream: Duplex, connect: Connect) -> None:
    """SPDY: each connection is a pair of streams, error and data, with the same requestID."""
    session = spdy.Session(stream)
    reader = asyncio.ensure_future(session.run())
    pairs: dict[str, dict[str, spdy.Stream]] = {}
    tasks: set[asyncio.Task[None]] = set()
    try:
        async for opened in session.accept():
            request = _header(opened, "requestid")
            pair = pairs.setdefault(request, {})
            pair[_header(opened, "streamtype")] = opened
            if {"data", "error"} <= pair.keys():
                del pairs[request]
                task = asyncio.ensure_future(_forward(session, pair["data"], pair["error"], connect))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
    finally:
        for task in (reader, *tasks):
            task.cancel()
        await asyncio.gather(reader, *tasks, return_exceptions=True)


async def _forward(session: spdy.Session, data: spdy.Stream, error: spdy.Stream, connect: Connect) -> None:
    port = _header(data, "port")
    try:
        target = await connect(int(port))
    except (OSError, ValueError, errors.StatusError) as refused:
        with contextlib.suppress(ConnectionError):
            await error.write(f"an error occurred forwarding {port}: {refused}".encode())
            await error.finish()
            await data.finish()
        return

    async def inwards() -> None:
        while piece := await data.read():
            await target.write(piece)

    async def outwards() -> None:
        while piece := await target.read():
            await data.write(piece)

    sender = asyncio.ensure_future(inwards())
    try:
        await outwards()
        await data.finish()
        await error.finish()
    except ConnectionError:
        await data.reset()
    finally:
        await end(sender)
        target.close()
        session.remove(data)
        session.remove(error)


async def _websocket_forward(stream: Upgraded, protocol: str, ports: Sequence[int], connect: Connect) -> None:
    """v4.channel.k8s.io: port i of the query has the channels 2i (data) and 2i+1 (errors), each opened by the port's number."""
    socket = websocket.WebSocket(stream)
    targets: list[Duplex | None] = []

    async def send(channel: int, data: bytes) -> None:
        message, text = channels.pack(protocol, channel, data)
        await socket.send(message, text)

    for index, port in enumerate(ports):
        for channel in (2 * index, 2 * index + 1):
            await send(channel, struct.pack("<H", port))
        try:
            targets.append(await connect(port))
        except OSError as refused:
            targets.append(None)
            await send(2 * index + 1, f"an error occurred forwarding {port}: {refused}".encode())

    async def outwards(index: int, target: Duplex) -> None:
        while piece := await target.read():
            await send(2 * index, piece)

    tasks = [asyncio.ensure_future(outwards(i, t)) for i, t in enumerate(targets) if t]
    try:
        while (message := await socket.receive()) is not None:
            channel, data = channels.unpack(protocol, message)
            index, is_error = divmod(channel, 2)
            target = targets[index] if 0 <= index < len(targets) else None
            if target and not is_error:
                await target.write(data)
    except ConnectionError:
        return
    finally:
        await end(*tasks)
        for target in targets:
            if target:
                target.close()
