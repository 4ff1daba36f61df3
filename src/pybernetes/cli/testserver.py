"""`pybernetes testserver`: prints where it answers, and ends with its parent."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

from pybernetes.component import flags, logs
from pybernetes.component.flags import Flag, FlagError, HelpAsked

FLAGS = (
    Flag("json", flags.boolean, False, "Print one line of JSON (kubeconfig, url, pid) instead of text."),
    Flag("port", flags.integer, 0, "The port on 127.0.0.1; 0 for any that is free."),
    Flag("hollow-nodes", flags.integer, 0, "So many nodes hollow-0, hollow-1, ... whose pods run without containers."),
    Flag(
        "controllers",
        flags.strings,
        ["none"],
        "Controllers to run: none, all, or names as kube-controller-manager's --controllers takes them.",
    ),
    Flag(
        "scheduler",
        flags.boolean,
        False,
        "Place pods on nodes.",
    ),
    Flag("v", flags.integer, 0, "Verbosity of the log on stderr."),
)
PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Runs until a signal or the parent's end."""
    try:
        values = flags.parse("pybernetes testserver", FLAGS, arguments)
        controllers = _controllers(values["controllers"])
    except HelpAsked as asked:
        print(asked)
        return 0
    except FlagError as error:
        print(f"pybernetes testserver: {error}", file=sys.stderr)
        return 2
    logs.setup(values["v"])
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the line above
        return 0
    import uvloop

    try:
        return uvloop.run(
            _serve(values["port"], values["json"], values["hollow-nodes"], controllers, values["scheduler"])
        )
    except OSError as error:
        print(f"pybernetes testserver: {error.strerror or error}: choose another --port", file=sys.stderr)
        return 1


def _controllers(chosen: list[str]) -> list[str]:
    """The names to run. FlagError where one is unknown."""
    if chosen in ([], ["none"]):
        return []
    from pybernetes.controllers import selected

    names = ["*" if name == "all" else name for name in chosen]
    try:
        selected(names)
    except ValueError as error:
        raise FlagError(f"--controllers: {error}") from error
    return names


async def _serve(port: int, as_json: bool, hollow_nodes: int, controllers: list[str], scheduler: bool) -> int:
    from pybernetes.testing.cluster import TestCluster

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with tempfile.TemporaryDirectory(prefix="pybernetes-") as folder:
        cluster = TestCluster(Path(folder), hollow_nodes, controllers, scheduler)
        running = await cluster.start(port)
        if as_json:
            print(json.dumps({"kubeconfig": running.kubeconfig, "url": running.url, "pid": os.getpid()}), flush=True)
        else:
            print(f"{running.url} answers; try: kubectl --kubeconfig={running.kubeconfig} get namespaces", flush=True)
        await stop.wait()
        await cluster.stop()
    return 0
