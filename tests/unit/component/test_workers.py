"""Further processes of a part: started, asked, told, started again and ended; and ended with the first process, however that ends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from pybernetes.aio.clock import RealClock, VirtualClock
from pybernetes.component.talk import Talk
from pybernetes.component.workers import STOP_SECONDS, FirstProcess, Program, Workers

COUNTED = "# TYPE a_total counter\na_total 2\n"
PROGRAM = f"""
import json, signal, socket, sys
BEGINNING
file = socket.socket(fileno=0).makefile("rw")
say = lambda **line: print(json.dumps(line), file=file, flush=True)
say(word="ready")
for line in file:
    message = json.loads(line)
    if message.get("word") == "do":
        BEHAVIOUR
    elif "id" in message:
        say(id=message["id"], metrics={COUNTED!r})
"""
PARENT = """
import asyncio, sys
from contextlib import nullcontext
from pybernetes.aio.clock import RealClock
from pybernetes.component.workers import Program, Workers

async def main():
    workers = Workers(lambda number: nullcontext(Program(sys.argv[1:])), str, RealClock())
    await workers.resize(2)
    while not workers.ready:
        await asyncio.sleep(0.01)
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def command(beginning: str = "", behaviour: str = "pass") -> list[str]:
    return [sys.executable, "-S", "-c", PROGRAM.replace("BEGINNING", beginning).replace("BEHAVIOUR", behaviour)]


def workers(command: Sequence[str], clock: VirtualClock | None = None) -> Workers:
    return Workers(lambda number: nullcontext(Program(command)), lambda: COUNTED, clock or RealClock())


async def until(done: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not done():
            await asyncio.sleep(0.005)


def processes(some: Workers) -> list[asyncio.subprocess.Process]:
    return [worker._process for worker in some._workers if worker._process is not None]


def test_processes_answer_and_end() -> None:
    async def run() -> None:
        some = workers(command())
        assert some.ready, "nobody is waited for"
        await some.resize(2)
        assert not some.ready
        await until(lambda: some.ready)
        assert await some.metrics() == [COUNTED, COUNTED]
        assert await some.metrics(but=1) == [COUNTED]
        first, second = started = processes(some)
        assert [os.getsid(one.pid) for one in started] == [one.pid for one in started], "no terminal interrupts them"
        await some.resize(1)
        assert (first.returncode, second.returncode) == (None, -signal.SIGTERM)
        assert some.ready and await some.metrics() == [COUNTED]
        await some.resize(0)
        assert first.returncode == -signal.SIGTERM

    asyncio.run(run())


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [("sys.exit(3)", 3), ("print('?', file=file, flush=True); file.readline(); sys.exit(4)", 4), ("say(id='a')", 0)],
)
def test_one_that_ends_or_talks_nonsense_is_replaced(
    behaviour: str, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        some = workers(command(behaviour=behaviour))
        await some.resize(1)
        await until(lambda: some.ready)
        [before] = processes(some)
        some.tell("do")
        await until(lambda: some.ready and processes(some) != [before])
        await some.resize(0)

    asyncio.run(run())
    assert f"worker 1 has ended (exit code {code}); it is started again in 1 s" in caplog.text


def test_one_that_does_not_end_is_killed() -> None:
    async def run() -> None:
        clock = VirtualClock()
        some = workers(command(beginning="signal.signal(signal.SIGTERM, signal.SIG_IGN)"), clock)
        await some.resize(1)
        await until(lambda: some.ready)
        [process] = processes(some)
        stopping = asyncio.ensure_future(some.resize(0))
        await until(lambda: clock.sleepers)
        await clock.advance(STOP_SECONDS - 1)
        assert process.returncode is None
        await clock.advance(1)
        await stopping
        assert process.returncode == -signal.SIGKILL

    asyncio.run(run())


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ([sys.executable, "-S", "-c", "raise SystemExit(7)"], "has ended (exit code 7)"),
        (["/nowhere"], "cannot be started (No such file or directory)"),
    ],
)
def test_one_that_never_runs_is_tried_less_and_less_often(
    command: Sequence[str], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        clock = VirtualClock()
        some = workers(command, clock)
        await some.resize(1)
        for times, delay in enumerate([1, 2, 4, 8, 16, 30, 30], 1):
            await until(lambda times=times: caplog.text.count("it is started again") == times)
            assert f"worker 1 {why}; it is started again in {delay} s" in caplog.messages[-1]
            assert await some.metrics() == []
            await clock.advance(delay)
        await some.resize(0)

    asyncio.run(run())


def test_they_end_with_the_first_process_however_that_ends() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, *command()], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        parent.kill()
        assert parent.stdout.read() == b"", "the end of what the workers, too, have open for writing"


def test_a_worker_asks_for_all_the_others_and_hears_words(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        own, its = socket.socketpair()
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(fileno=its.fileno))
        some, heard = workers(command()), list[str]()
        await some.resize(2)
        await until(lambda: some.ready)
        with its:
            first = FirstProcess(RealClock())
        assert not first.tell("early"), "nobody hears it yet"
        talk = Talk(own, lambda: some._told(2), heard.append, RealClock())
        talking = asyncio.ensure_future(talk.run())
        ended = asyncio.ensure_future(first.ended(lambda: "mine", heard.append))
        await until(lambda: first.tell("a word") and talk.tell("another"))
        assert await talk.metrics() == "mine"
        assert await first.metrics() == ["# TYPE a_total counter\na_total 4\n"]  # of the first process and worker 1
        assert sorted(heard) == ["a word", "another"]
        talking.cancel()
        await ended
        assert await first.metrics() == [] and await talk.metrics() == ""
        await some.resize(0)

    asyncio.run(run())


def test_standard_input_that_leads_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as null:
        monkeypatch.setattr(sys, "stdin", null)
        with pytest.raises(OSError):
            FirstProcess(RealClock())
