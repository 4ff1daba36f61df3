import pytest

from pybernetes.component.metrics import Registry, process_metrics


def test_text_format() -> None:
    registry = Registry()
    requests = registry.counter("requests_total", "Requests.", ("verb", "code"))
    requests.inc("GET", "200")
    requests.inc("GET", "200", by=2)
    requests.inc('a"b\\c\n', "500")
    depth = registry.gauge("depth", "Depth.")
    depth.set(1.5)
    assert registry.text() == (
        "# HELP requests_total Requests.\n# TYPE requests_total counter\n"
        'requests_total{verb="GET",code="200"} 3\n'
        'requests_total{verb="a\\"b\\\\c\\n",code="500"} 1\n'
        "# HELP depth Depth.\n# TYPE depth gauge\ndepth 1.5\n"
    )


def test_histogram_is_cumulative_and_bounds_are_inclusive() -> None:
    registry = Registry()
    seconds = registry.histogram("seconds", "Seconds.", ("verb",), buckets=(0.1, 1.0))
    for value in (0.1, 0.5, 7.0):
        seconds.observe(value, "GET")
    assert registry.text().splitlines()[2:] == [
        'seconds_bucket{verb="GET",le="0.1"} 1',
        'seconds_bucket{verb="GET",le="1"} 2',
        'seconds_bucket{verb="GET",le="+Inf"} 3',
        'seconds_sum{verb="GET"} 7.6',
        'seconds_count{verb="GET"} 3',
    ]


def test_a_gauge_may_ask_when_it_is_read() -> None:
    registry = Registry()
    registry.gauge("depth", "Depth.", ("queue",), lambda: {("a",): 2.0})
    assert 'depth{queue="a"} 2' in registry.text()


def test_a_name_is_registered_once() -> None:
    registry = Registry()
    registry.counter("a", "A.")
    with pytest.raises(ValueError, match="'a' is registered already"):
        registry.gauge("a", "A.")


def test_a_metric_without_samples_is_left_out() -> None:
    registry = Registry()
    registry.counter("a", "A.")
    assert registry.text() == ""


def test_process_metrics_are_of_this_process() -> None:
    registry = Registry()
    process_metrics(registry)
    samples = dict(line.rsplit(" ", 1) for line in registry.text().splitlines() if not line.startswith("#"))
    assert float(samples["process_resident_memory_bytes"]) > 1 << 20
    assert float(samples["process_open_fds"]) > 2
    assert float(samples["process_start_time_seconds"]) > 1e9
