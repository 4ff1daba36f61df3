"""The other processes of multisocket: started, asked, started again and ended; their metrics as one text."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pybernetes.component.exposition import merged
from pybernetes.dns.corefile import CorefileError
from pybernetes.dns.plugins import multisocket
from pybernetes.dns.workers import Workers

from .chains import context, directive

OWN = """# HELP a_total A.
# TYPE a_total counter
a_total{x="1"} 5
# HELP b A gauge.
# TYPE b gauge
b 1
# HELP h H.
# TYPE h histogram
h_bucket{le="1"} 1
h_bucket{le="+Inf"} 2
h_sum 1.5
h_count 2
"""
OTHER = """# HELP a_total A.
# TYPE a_total counter
a_total{x="1"} 7
a_total{x="2"} 1
# HELP b A gauge.
# TYPE b gauge
b 9
# HELP coredns_cache_entries E.
# TYPE coredns_cache_entries gauge
coredns_cache_entries 3
# HELP h H.
# TYPE h histogram
h_bucket{le="1"} 1
h_bucket{le="+Inf"} 1
h_sum 0.25
h_count 1
"""


def test_metrics_are_sums() -> None:
    assert merged(OWN, []) == OWN
    lines = merged(OWN, [OTHER, OTHER]).splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        *('a_total{x="1"} 19', 'a_total{x="2"} 2', "b 1", 'h_bucket{le="1"} 3', 'h_bucket{le="+Inf"} 4', "h_sum 2"),
        *("h_count 4", "coredns_cache_entries 6"),
    ]
    assert lines.index("# TYPE coredns_cache_entries gauge") == lines.index("coredns_cache_entries 6") - 1


PROGRAM = """
import json, sys
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    if line == "metrics\\n":
        print(json.dumps({"metrics": "x"}), flush=True)
    elif line == "reload\\n":
        BEHAVIOUR
"""


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not done():
            await asyncio.sleep(0.005)


def workers(behaviour: str) -> Workers:
    program = PROGRAM.replace("BEHAVIOUR", behaviour)
    return Workers(Path("Corefile"), 53, command=lambda path, port: [sys.executable, "-S", "-c", program])


def test_processes_answer_and_end() -> None:
    async def run() -> None:
        some = workers("pass")
        assert some.ready, "nobody is waited for"
        await some.resize(2)
        assert not some.ready
        await until(lambda: some.ready)
        assert await some.metrics() == ["x", "x"]
        processes = [worker._process for worker in some._workers]
        await some.resize(1)
        assert await some.metrics() == ["x"]
        await some.resize(0)
        assert [process.returncode for process in processes if process is not None] == [0, 0]

    asyncio.run(run())


@pytest.mark.parametrize("behaviour", ["sys.exit(3)", "print('?', flush=True)"])
def test_one_that_ends_or_talks_nonsense_is_replaced(behaviour: str, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        some = workers(behaviour)
        await some.resize(1)
        await until(lambda: some.ready)
        (worker,) = some._workers
        before = worker._process
        some.reload()
        await until(lambda: some.ready and worker._process not in (None, before))
        await some.resize(0)

    asyncio.run(run())
    assert "a process of multisocket" in caplog.text


def test_a_program_that_is_not_there_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        some = Workers(Path("Corefile"), 53, command=lambda path, port: ["/nowhere"])
        await some.resize(1)
        await until(lambda: "No such file" in caplog.text)
        assert await some.metrics() == []
        await some.resize(0)

    asyncio.run(run())


def test_the_directive() -> None:
    block = context()
    plugin = multisocket.setup(directive("multisocket 3"), block)
    assert (block.sockets, plugin.ready()) == (3, True)
    block = context()
    multisocket.setup(directive("multisocket"), block)
    assert block.sockets >= 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("multisocket 0", "num sockets can not be zero or negative: 0"),
        ("multisocket 65", "num sockets exceeds maximum (64): 65"),
        ("multisocket x", 'invalid num sockets: strconv.Atoi: parsing "x": invalid syntax'),
        ("multisocket 1 2", "Wrong argument count"),
    ],
)
def test_mistakes(text: str, message: str) -> None:
    with pytest.raises(CorefileError) as caught:
        multisocket.setup(directive(text), context())
    assert message in str(caught.value)
