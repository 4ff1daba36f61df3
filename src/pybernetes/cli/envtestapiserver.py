"""What the wrapper `kube-apiserver` of `pybernetes envtest-assets` runs: the API server, as envtest starts, asks and ends it.

Its flags are those of `pybernetes kube-apiserver`, and the port without TLS that controller-runtime waits for until 0.8. Objects are where the
stand-in for etcd says, or in the etcd that --etcd-servers leads to.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pybernetes.apiserver.options import FLAGS
from pybernetes.component import command
from pybernetes.component.command import Failure
from pybernetes.component.flags import FlagError, Values
from pybernetes.envtest import plan, where

from . import apiserver

if TYPE_CHECKING:
    from pybernetes.wire.http import Handler, Request, Response, StreamingResponse, UpgradeResponse

PROGRAM = "kube-apiserver"
# --help says which flags there are: envtest passes --insecure-port=0 where it finds that one.
SHOWN = (*(flag for flag in FLAGS if flag.name not in {own.name for own in plan.INSECURE}), *plan.INSECURE)


def main(arguments: list[str]) -> int:
    """Runs until SIGTERM or SIGINT."""
    if {"--help", "-h"} & set(arguments):
        return command.main(PROGRAM, SHOWN, apiserver.run, ["--help"])
    with ExitStack() as ending:
        try:
            insecure, others = plan.insecure(arguments)
            others = _with_store(plan.joined(others))
            token = ""
            if insecure is not None:
                token, folder = secrets.token_hex(), ending.enter_context(tempfile.TemporaryDirectory())
                file = Path(folder, "tokens")  # in a folder that is its owner's alone
                file.write_text(plan.token_file(token))
                others = plan.with_token(others, str(file))
        except (FlagError, OSError) as error:
            print(f"{PROGRAM}: {error}", file=sys.stderr)
            return 2
        return command.main(PROGRAM, FLAGS, partial(_run, insecure=insecure, token=token), others)


def _with_store(arguments: list[str]) -> list[str]:
    """OSError where nobody listens at --etcd-servers."""
    url = plan.etcd_server(arguments)
    if url is None:
        return arguments
    try:
        store = where.store(url)
    except OSError as error:
        raise OSError(f"--etcd-servers={url}: {error.strerror or error}") from error
    return plan.with_store(arguments, store) if store is not None else arguments


async def _run(values: Values, insecure: plan.Insecure | None, token: str) -> None:
    from pybernetes.wire.http import serve

    async with apiserver.running(values) as server:
        if insecure is None:
            await asyncio.Event().wait()
            return
        handler = _as_user(server.handle, token)
        try:
            port = await serve(handler, insecure.host, insecure.port, asks_for_bodies=True)
        except OSError as error:
            raise Failure(f"--insecure-port={insecure.port}: {error.strerror or error}") from error
        try:
            await asyncio.Event().wait()
        finally:
            await port.stop(0)


def _as_user(handler: Handler, token: str) -> Handler:
    """As upstream's port: whatever credentials a request has, it is the one user's."""

    async def handle(request: Request) -> Response | StreamingResponse | UpgradeResponse:
        others = (header for header in request.headers if header[0] != "authorization")
        return await handler(replace(request, headers=(*others, ("authorization", f"Bearer {token}"))))

    return handle


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
