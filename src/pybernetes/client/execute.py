"""Runs a command in a container through the API (client-go's remotecommand over WebSocket)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import msgspec

from pybernetes.wire.websocket import WebSocket

from .http import Answer
from .rest import RESTClient, raise_for

PROTOCOL = "v4.channel.k8s.io"
STDOUT, STDERR, ERROR = 1, 2, 3  # channels: the first byte of each message


@dataclass(frozen=True, slots=True)
class Finished:
    """What a command left."""

    code: int
    stdout: bytes
    stderr: bytes


async def execute(
    client: RESTClient, namespace: str, pod: str, command: Sequence[str], container: str = ""
) -> Finished:
    """Waits for its end. StatusError where the command cannot be started, ConnectionError where the stream is cut."""
    query = [("command", word) for word in command] + [("stdout", "true"), ("stderr", "true")]
    if container:
        query.append(("container", container))
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/exec?{urlencode(query)}"
    stream = await client.websocket(path, PROTOCOL)
    if isinstance(stream, Answer):
        raise_for(stream, "GET", path)
        raise ConnectionError(f"{path} was answered {stream.status} and no stream")
    socket = WebSocket(stream, client=True)
    output: dict[int, list[bytes]] = {STDOUT: [], STDERR: [], ERROR: []}
    try:
        while (message := await socket.receive()) is not None:
            if message:
                output.setdefault(message[0], []).append(message[1:])
    finally:
        stream.close()
    if not output[ERROR]:
        raise ConnectionError(f"the stream of {command[0]!r} in {namespace}/{pod} ended without a status")
    return Finished(exit_code(b"".join(output[ERROR])), b"".join(output[STDOUT]), b"".join(output[STDERR]))


def exit_code(status: bytes) -> int:
    """0 for Success, the cause ExitCode of a Failure; ConnectionError for a Status that tells of another trouble."""
    decoded = msgspec.json.decode(status)
    if decoded.get("status") == "Success":
        return 0
    for cause in (decoded.get("details") or {}).get("causes") or []:
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    raise ConnectionError(str(decoded.get("message", status)))
