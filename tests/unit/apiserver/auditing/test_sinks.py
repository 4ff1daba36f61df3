"""Where records go: a file that is set aside, a queue that is full, a server that does not answer. No request is harmed but where it is to be."""

from __future__ import annotations

import asyncio
import errno
import gzip
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.apiserver.audit import AuditEvent, Decision, Level, Stage
from pybernetes.apiserver.auditing import rotation as rotation_module
from pybernetes.apiserver.auditing.batch import Batch, BatchSettings
from pybernetes.apiserver.auditing.metrics import AuditMetrics
from pybernetes.apiserver.auditing.record import Record, event_list
from pybernetes.apiserver.auditing.rotation import RotatingFile, Rotation
from pybernetes.apiserver.auditing.sinks import Blocking, LogSink, Sink, Truncating
from pybernetes.apiserver.authentication.user import User
from pybernetes.apiserver.types import RequestInfo
from pybernetes.wire.http import Request

NOW = datetime(2026, 11, 30, 13, 5, 7, 250000, tzinfo=UTC)
INFO = RequestInfo("create", "/api/v1/pods", True, "api", "", "v1", "default", "pods")


def record(number: int = 0, body: bytes = b"{}", level: Level = Level.REQUEST) -> Record:
    request = Request("POST", b"/api/v1/pods", b"a=<b>", (("user-agent", "kubectl"),), b"", peer="192.0.2.1")
    event = AuditEvent(f"id-{number}", request, INFO, NOW, decision=Decision(level))
    event.user = User("tim", ("humans",), "7", {"k": ("v",)})
    event.request_object = body
    event.annotate("a", "b")
    event.reach(Stage.RESPONSE_COMPLETE, 0.5)
    event.respond(201)
    return Record(event, line=True)


def test_what_is_written() -> None:
    one = record()
    assert json.loads(one.alone) == {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Request",
        "auditID": "id-0",
        "stage": "ResponseComplete",
        "requestURI": "/api/v1/pods?a=<b>",
        "verb": "create",
        "user": {"username": "tim", "uid": "7", "groups": ["humans"], "extra": {"k": ["v"]}},
        "sourceIPs": ["192.0.2.1"],
        "userAgent": "kubectl",
        "objectRef": {"resource": "pods", "namespace": "default", "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 201},
        "requestObject": {},
        "requestReceivedTimestamp": "2026-11-30T13:05:07.250000Z",
        "stageTimestamp": "2026-11-30T13:05:07.750000Z",
        "annotations": {"a": "b"},
    }
    assert b"a=\\u003cb\\u003e" in one.alone and one.alone.endswith(b"}\n")
    assert one.line == (
        '2026-11-30T13:05:07.25Z AUDIT: id="id-0" stage="ResponseComplete" ip="192.0.2.1" method="create" user="tim" '
        'groups="\\"humans\\"" as="<self>" asgroups="<lookup>" user-agent="kubectl" namespace="default" '
        'uri="/api/v1/pods?a=<b>" response="201"'
    )
    listed = json.loads(event_list([one, one]))
    assert listed["kind"] == "EventList" and "kind" not in listed["items"][0] and len(listed["items"]) == 2


def rotating(folder: Path, clock: list[datetime], **settings: int | bool) -> RotatingFile:
    return RotatingFile(str(folder / "logs" / "audit.log"), Rotation(**settings), lambda: clock[0])  # type: ignore[arg-type]


def test_files_that_are_set_aside(tmp_path: Path) -> None:
    clock = [NOW]
    file = rotating(tmp_path, clock, max_bytes=10, max_backups=2, max_age_days=1, compress=True)
    folder = tmp_path / "logs"
    assert folder.stat().st_mode & 0o777 == 0o700 and (folder / "audit.log").stat().st_mode & 0o777 == 0o600
    for number in range(4):
        clock[0] = NOW + timedelta(hours=number)
        file.write([b"12345\n"])
    assert sorted(path.name for path in folder.iterdir()) == [
        *(f"audit-2026-11-30T1{4 + n}-05-07.250.log" for n in range(3)),
        "audit.log",
    ]
    file.tidy()
    kept = [f"audit-2026-11-30T1{n}-05-07.250.log.gz" for n in (5, 6)]
    assert sorted(path.name for path in folder.iterdir()) == [*kept, "audit.log"]
    assert gzip.decompress((folder / kept[0]).read_bytes()) == b"12345\n"
    clock[0] = NOW + timedelta(hours=27, minutes=-30)
    file.tidy()
    assert sorted(path.name for path in folder.iterdir()) == [kept[1], "audit.log"]
    file.close()
    again = rotating(tmp_path, clock, max_bytes=10)
    again.write([b"a\n"])  # what was there stays
    assert (folder / "audit.log").read_bytes() == b"12345\na\n"
    again.close()


def test_a_line_that_is_larger_than_the_file(tmp_path: Path) -> None:
    file = rotating(tmp_path, [NOW], max_bytes=4)
    with pytest.raises(OSError, match="write length 6 exceeds maximum file size 4"):
        file.write([b"12345\n"])
    file.close()


def test_a_disk_that_gets_full_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, metrics, room = rotating(tmp_path, [NOW]), AuditMetrics(VirtualClock()), [10]

    def write(descriptor: int, data: memoryview) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = os.writev(descriptor, [data[: room[0]]])
        room[0] -= taken
        return taken

    async def scenario() -> None:
        log = LogSink(file, True, metrics, threaded=False)
        with monkeypatch.context() as patched:
            patched.setattr(rotation_module.os, "write", write)
            assert await Blocking(log, strict=False).process([record(1)])  # no request is harmed
            assert not await Blocking(log, strict=True).process([record(2)])  # but by blocking-strict
        assert await log.process([record(3)])
        await log.close()

    asyncio.run(scenario())
    [line] = (tmp_path / "logs" / "audit.log").read_text().splitlines()
    assert 'id="id-3"' in line
    assert 'apiserver_audit_error_total{plugin="log"} 2' in metrics.registry.text()


class Kept:
    """A sink that waits as long as it is told to."""

    def __init__(self, clock: VirtualClock, seconds: float = 0.0) -> None:
        self.batches: list[list[Record]] = []
        self._clock, self._seconds = clock, seconds
        self.closed = False

    async def start(self) -> None: ...

    async def process(self, records: Sequence[Record]) -> bool:
        if self._seconds:
            await self._clock.sleep(self._seconds)
        self.batches.append(list(records))
        return True

    async def close(self) -> None:
        self.closed = True

    @property
    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.batches]


WEBHOOK = BatchSettings(buffer_size=10, max_size=4, max_wait=30, qps=10, burst=15, at_once=True)


def test_batches_wait_to_become_full() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        kept = Kept(clock)
        batch = Batch(kept, WEBHOOK, AuditMetrics(clock), clock)
        await batch.start()
        await batch.process([record(n) for n in range(6)])
        await clock.settle()
        assert kept.sizes == [4]
        await clock.advance(29)
        assert kept.sizes == [4]
        await clock.advance(2)
        assert kept.sizes == [4, 2]
        await batch.process([record()])
        await batch.close()  # what waits is sent still
        assert kept.sizes == [4, 2, 1] and kept.closed
        assert await batch.process([record()])  # too late, and harms nobody

    asyncio.run(scenario())


def test_a_dead_server_fills_the_queue_and_harms_nobody() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        kept, metrics = Kept(clock, seconds=3600), AuditMetrics(clock)
        settings = BatchSettings(buffer_size=10, max_size=1)  # one after the other
        batch = Batch(kept, settings, metrics, clock)
        await batch.start()
        await batch.process([record()])
        await clock.settle()
        for number in range(25):
            assert await batch.process([record(number)])
        assert 'apiserver_audit_error_total{plugin="buffered"} 15' in metrics.registry.text()
        closing = asyncio.ensure_future(batch.close())
        await clock.settle()
        await clock.advance(11)
        await closing
        assert kept.closed
        assert 'apiserver_audit_error_total{plugin="buffered"} 25' in metrics.registry.text()

    asyncio.run(scenario())


def test_the_rate_is_bounded() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        kept = Kept(clock)
        settings = BatchSettings(buffer_size=1000, max_size=2, max_wait=30, qps=10, burst=3, at_once=True)
        batch = Batch(kept, settings, AuditMetrics(clock), clock)
        await batch.start()
        await batch.process([record(n) for n in range(100)])
        await clock.settle()
        assert len(kept.batches) == 3
        await clock.advance(1)
        assert len(kept.batches) in (12, 13)
        closing = asyncio.ensure_future(batch.close())
        await clock.settle()
        await clock.advance(1)
        await closing
        assert sum(kept.sizes) == 100  # a stop sends what is left at once

    asyncio.run(scenario())


def test_what_is_too_large_goes_without_its_objects() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        kept, metrics = Kept(clock), AuditMetrics(clock)
        sink: Sink = Truncating(kept, 2000, 4500, metrics)
        large = record(2, b'"' + b"x" * 3000 + b'"')
        metadata = record(3, level=Level.METADATA)
        assert metadata.truncated() is metadata
        assert await sink.process([record(1), large, *(record(n) for n in range(4, 12))])
        sent = [json.loads(one.json) for batch in kept.batches for one in batch]
        assert len(sent) == 10 and len(kept.batches) > 1
        assert sent[1]["annotations"] == {"a": "b", "audit.k8s.io/truncated": "true"} and "requestObject" not in sent[1]
        assert "audit.k8s.io/truncated" not in sent[0]["annotations"] and sent[0]["requestObject"] == {}
        assert await Truncating(kept, 100, 4500, metrics).process([record()])
        assert 'apiserver_audit_error_total{plugin="truncate"} 1' in metrics.registry.text()

    asyncio.run(scenario())
