import asyncio
import json
from typing import Any

import pytest

from pybernetes.client.execute import execute, exit_code
from pybernetes.client.kubeconfig import Config
from pybernetes.client.rest import RESTClient
from pybernetes.wire import remotecommand
from pybernetes.wire.http import Request, Response, UpgradeResponse, serve
from pybernetes.wire.remotecommand import CommandStreams, Wanted


async def kubelet(request: Request) -> Response | UpgradeResponse:
    """Runs `echo`; refuses other commands."""
    if b"command=echo" not in request.query:
        return Response(404, [], b'{"kind": "Status", "code": 404, "message": "no such container"}')

    async def run(streams: CommandStreams) -> dict[str, Any]:
        await streams.write_stdout(b"out")
        await streams.write_stderr(b"err")
        return remotecommand.exit_status(3)

    return remotecommand.accept_command(request, Wanted(stdout=True, stderr=True), run)


def test_output_and_exit_code_come_back() -> None:
    async def main() -> None:
        server = await serve(kubelet)
        client = RESTClient(Config(f"http://127.0.0.1:{server.port}"))
        try:
            finished = await execute(client, "a", "p", ["echo", "x y"])
            assert (finished.code, finished.stdout, finished.stderr) == (3, b"out", b"err")
            with pytest.raises(Exception, match="no such container"):
                await execute(client, "a", "p", ["other"])
        finally:
            await client.close()
            await server.stop(0)

    asyncio.run(main())


def test_exit_code_of_a_status() -> None:
    failure = {"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": "7"}]}}
    assert exit_code(b'{"status": "Success"}') == 0
    assert exit_code(json.dumps(failure).encode()) == 7
    with pytest.raises(ConnectionError, match="gone"):
        exit_code(b'{"status": "Failure", "message": "gone"}')
