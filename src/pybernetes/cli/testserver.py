"""`pybernetes testserver`: prints where it answers, and ends with its parent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pybernetes.aio import collector
from pybernetes.api.errors import StatusError
from pybernetes.component import flags, logs
from pybernetes.component.flags import Flag, FlagError, HelpAsked
from pybernetes.pki import files

if TYPE_CHECKING:
    from pybernetes.testing.cluster import RunningCluster

_log = logging.getLogger(__name__)

FLAGS = (
    Flag(
        "json",
        flags.boolean,
        False,
        "Print one line of JSON (kubeconfig, url, token, ca, certificate, key, pid) instead of text.",
    ),
    Flag("port", flags.integer, 0, "The port; 0 for any that is free."),
    Flag("bind", flags.string, "127.0.0.1", "The address to listen on; 0.0.0.0 for all, so that containers reach it."),
    Flag("kubeconfig", flags.string, "", "Writes the administrator's kubeconfig there, too."),
    Flag(
        "crds",
        flags.strings,
        [],
        "Files or folders of manifests, definitions first, that are applied before it answers.",
    ),
    Flag(
        "faults",
        flags.string,
        "",
        "A file with a list of rules, in YAML or JSON, by which requests fail (docs/testing.md).",
    ),
    Flag("record", flags.string, "", "Appends a line of JSON for each request to this file."),
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
        "Place pods on nodes; hollow nodes have the node-lifecycle-controller then.",
    ),
    Flag(
        "virtual-time",
        flags.boolean,
        False,
        "The clock can be sent ahead by POST /testing/clock. It runs on asyncio's own loop then, and answers a third slower.",
    ),
    Flag("parent-pid", flags.integer, None, "The process to end with; 0: none. The parent unless told otherwise."),
    Flag("detach", flags.boolean, False, "Return when it answers; it runs on until it is ended by its number (pid)."),
    Flag("v", flags.integer, 0, "Verbosity of the log on stderr."),
)
POLL_SECONDS = 1.0  # between looks at the parent where the system has no descriptors of processes


class FileError(Exception):
    """A file that a flag names cannot be written, or what is in it be applied; names the flag."""


def main(arguments: list[str]) -> int:
    """Runs until a signal or the parent's end."""
    try:
        values = flags.parse("pybernetes testserver", FLAGS, arguments)
        parent = os.getppid() if values["parent-pid"] is None else _pid(values["parent-pid"])
        _check(values)
    except HelpAsked as asked:
        print(asked)
        return 0
    except FlagError as error:
        print(f"pybernetes testserver: {error}", file=sys.stderr)
        return 2
    if values["detach"]:
        return _detached(arguments, values["parent-pid"] is not None)
    logs.setup(values["v"])
    from pybernetes.testing.arguments import WrongArgument
    from pybernetes.testing.cluster import NotStarted

    try:
        if values["virtual-time"]:
            # Of asyncio's own loop it can be told when it is at rest: an advance is over when nothing more happens.
            return asyncio.run(_serve(values, parent))
        import uvloop

        return uvloop.run(_serve(values, parent))
    except FileError as error:
        print(f"pybernetes testserver: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"pybernetes testserver: {error.strerror or error}: choose another --port or --bind", file=sys.stderr)
        return 1
    except (NotStarted, WrongArgument, StatusError) as error:
        print(f"pybernetes testserver: {error}", file=sys.stderr)
        return 1


def _detached(arguments: list[str], has_parent: bool) -> int:
    """Starts it as a process of its own session, whose number is in the line it prints; returns when that line is there.

    Nothing of ours stays open in it: whoever reads our output to its end does not wait for the server's. What it says later is in a file.
    """
    descriptor, log = tempfile.mkstemp(prefix="pybernetes-testserver-", suffix=".log")
    own = [*arguments, "--detach=false", *(() if has_parent else ("--parent-pid=0",))]
    command = [sys.executable, "-m", "pybernetes", "testserver", *own]
    with open(descriptor) as errors:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
        )
        assert server.stdout is not None
        with server.stdout:
            line = server.stdout.readline()
        if line:
            print(line, end="", flush=True)
            print(f"pybernetes testserver: runs on as process {server.pid}, and logs to {log}", file=sys.stderr)
            return 0
        code = server.wait()
        errors.seek(0)
        print(errors.read(), end="", file=sys.stderr)
        Path(log).unlink()
        return code or 1


def _pid(number: int) -> int:
    if number < 0:
        raise FlagError(f"--parent-pid={number}: want the number of a process, or 0 for none")
    if number:
        try:
            os.kill(number, 0)
        except (ProcessLookupError, OverflowError):
            raise FlagError(f"--parent-pid={number}: there is no such process; 0 has it end with nobody") from None
        except PermissionError:
            pass  # somebody else's, but there
    return number


def _check(values: flags.Values) -> None:
    """FlagError in the flags' own words, before anything is started."""
    from pybernetes.testing import arguments

    for flag, check in (
        ("port", arguments.port),
        ("hollow-nodes", arguments.hollow_nodes),
        ("controllers", arguments.controllers),
    ):
        try:
            check(values[flag])
        except arguments.WrongArgument as error:
            shown = ",".join(values[flag]) if isinstance(values[flag], list) else values[flag]
            raise FlagError(f"--{flag}={shown}: {str(error).partition(': ')[2]}") from error
    if not values["bind"]:
        raise FlagError("--bind=: want an address; 0.0.0.0 is for all")
    _read_files(values)


def _read_files(values: flags.Values) -> None:
    """What --crds and --faults name, into the values `crds-objects` and `faults-rules`. FlagError."""
    import yaml

    from pybernetes.apiserver.filters.faultrules import Fault, FaultError
    from pybernetes.testing import manifests
    from pybernetes.testing.arguments import WrongArgument

    try:
        values["crds-objects"] = manifests.objects([Path(path) for path in values["crds"]])
    except (WrongArgument, OSError) as error:
        raise FlagError(f"--crds={','.join(values['crds'])}: {error}") from error
    try:
        rules = yaml.safe_load(Path(values["faults"]).read_text()) if values["faults"] else []
        if not isinstance(rules, list):
            raise FaultError("want a list of rules")
        values["faults-rules"] = [Fault.read(rule) for rule in rules]
    except OSError as error:
        raise FlagError(f"--faults={values['faults']}: {error.strerror}") from error
    except (FaultError, ValueError, yaml.YAMLError) as error:
        raise FlagError(f"--faults={values['faults']}: {' '.join(str(error).split())}") from error


async def _serve(values: flags.Values, parent: int) -> int:
    from pybernetes.testing import launch
    from pybernetes.testing.arguments import WrongArgument
    from pybernetes.testing.httpapi import TestingAPI

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    watch = asyncio.ensure_future(_parents_end(parent, stop))
    with contextlib.ExitStack() as ending:
        record = None
        if values["record"]:
            with _file_of(values, "record"):
                record = ending.enter_context(Path(values["record"]).open("a", buffering=1))
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="pybernetes-")))
        api, nodes, controllers = TestingAPI(values["virtual-time"]), values["hollow-nodes"], values["controllers"]
        core = launch.make(folder, nodes, controllers, values["scheduler"], host=values["bind"], outermost=[api])
        api.core = core
        await core.start(values["port"])
        try:
            try:
                await core.apply(values["crds-objects"], "default")
            except (StatusError, WrongArgument) as error:
                raise FileError(f"--crds={','.join(values['crds'])}: {error}") from error
            await core.mark()
            core.faults.add(values["faults-rules"])
            if record is not None:
                core.recorder.listeners.append(lambda request: _record(record, request.line()))
            if values["kubeconfig"]:
                with _file_of(values, "kubeconfig"):
                    files.write(Path(values["kubeconfig"]), Path(core.running.kubeconfig).read_bytes())
            _tell(core.running, values["json"])
            collector.own_process()
            await stop.wait()
            watch.cancel()
        finally:
            await core.stop()
    return 0


@contextlib.contextmanager
def _file_of(values: flags.Values, flag: str) -> Iterator[None]:
    """FileError for an OSError."""
    try:
        yield
    except OSError as error:
        raise FileError(f"--{flag}={values[flag]}: {error.strerror or error}") from error


def _tell(running: RunningCluster, as_json: bool) -> None:
    """The line that says where it answers."""
    if as_json:
        where = {
            "kubeconfig": running.kubeconfig,
            "url": running.url,
            "token": running.token,
            "ca": running.ca_file,
            "certificate": running.certificate_file,
            "key": running.key_file,
            "pid": os.getpid(),
        }
        print(json.dumps(where), flush=True)
    else:
        print(f"{running.url} answers; try: kubectl --kubeconfig={running.kubeconfig} get namespaces", flush=True)


def _record(file: TextIO, line: str) -> None:
    """A disk that is full ends the record, not the server; whoever looks at it sees where."""
    try:
        file.write(f"{line}\n")
    except OSError as error:
        _log.error("a request could not be recorded: %s", error)


async def _parents_end(parent: int, stop: asyncio.Event) -> None:
    """Sets `stop` when the process has ended, and says so: whoever finds the server gone looks for the reason here.

    The process, not the thread that started us: test runners start their servers on threads that end at once.
    """
    if parent == 0:
        return
    with contextlib.suppress(ProcessLookupError):  # it had ended before we looked
        await (_ended_on_linux(parent) if hasattr(os, "pidfd_open") else _ended_elsewhere(parent))
    print(
        f"pybernetes testserver: ends, as its parent has (process {parent}); --parent-pid=0 has it stay, "
        "--parent-pid=PID end with another",
        file=sys.stderr,
        flush=True,
    )
    stop.set()


async def _ended_on_linux(pid: int) -> None:
    """ProcessLookupError where there is no such process."""
    descriptor = os.pidfd_open(pid)
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    try:
        loop.add_reader(descriptor, ended.set)
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def _ended_elsewhere(pid: int) -> None:
    """ProcessLookupError when there is no such process any more."""
    while True:
        with contextlib.suppress(PermissionError):  # somebody else's, but there
            os.kill(pid, 0)
        await asyncio.sleep(POLL_SECONDS)
