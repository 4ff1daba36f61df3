"""What parts share: their client, the queue's metrics, the serving certificate."""

from __future__ import annotations

import asyncio
import os
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from pybernetes.aio.clock import VirtualClock
from pybernetes.component import servingcert
from pybernetes.component.metrics import Registry
from pybernetes.component.queuemetrics import MeteredWorkQueue, QueueMetrics
from pybernetes.component.restclient import TokenBucket

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_bucket_lets_bursts_through_and_then_so_many_a_second() -> None:
    async def main() -> list[float]:
        clock = VirtualClock()
        bucket, passed = TokenBucket(2.0, 3, clock), []

        async def one() -> None:
            await bucket.wait()
            passed.append(clock.monotonic())

        tasks = [asyncio.ensure_future(one()) for _ in range(6)]
        await clock.advance(10)
        await asyncio.gather(*tasks)
        await one()
        return passed

    assert asyncio.run(main()) == [0.0, 0.0, 0.0, 0.5, 1.0, 1.5, 10.0]


def test_queue_metrics() -> None:
    async def main() -> str:
        clock, registry = VirtualClock(), Registry()
        queue: MeteredWorkQueue[str] = MeteredWorkQueue("q", QueueMetrics(registry), clock)
        queue.add("a")
        queue.add("a")
        queue.add("b")
        await clock.advance(2)
        item = await queue.get()
        await clock.advance(3)
        busy = registry.text()
        assert 'workqueue_depth{name="q"} 1' in busy
        assert 'workqueue_longest_running_processor_seconds{name="q"} 3' in busy
        queue.add_rate_limited(item)
        queue.done(item)
        return registry.text()

    text = asyncio.run(main())
    assert 'workqueue_adds_total{name="q"} 2' in text
    assert 'workqueue_queue_duration_seconds_sum{name="q"} 2' in text
    assert 'workqueue_work_duration_seconds_sum{name="q"} 3' in text
    assert 'workqueue_retries_total{name="q"} 1' in text
    assert 'workqueue_unfinished_work_seconds{name="q"} 0' in text


def test_a_certificate_made_for_the_occasion(tmp_path: Path) -> None:
    assert servingcert.context("", "", "", "part", [], NOW).current().minimum_version == ssl.TLSVersion.TLSv1_2
    servingcert.context("", "", str(tmp_path), "part", ["127.0.0.1"], NOW)
    certificate = x509.load_pem_x509_certificate((tmp_path / "part.crt").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [os.uname().nodename.lower(), "localhost"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    kept = (tmp_path / "part.crt").read_bytes()
    servingcert.context("", "", str(tmp_path), "part", [], NOW)
    assert (tmp_path / "part.crt").read_bytes() == kept
    assert (tmp_path / "part.key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(OSError, match="No such file"):
        servingcert.context(str(tmp_path / "no"), str(tmp_path / "no"), "", "part", [], NOW)
