"""What kubelets say, and what is made of it."""

from __future__ import annotations

import pytest

from pybernetes.metricsserver import points
from pybernetes.metricsserver.points import Malformed, Point, decode
from pybernetes.metricsserver.storage import PodFacts, Storage, Usage, admitted, usage

SECOND = points.NANOS
TEXT = """# HELP node_cpu_usage_seconds_total [STABLE] Cumulative cpu time
# TYPE node_cpu_usage_seconds_total counter
node_cpu_usage_seconds_total 357.35491 1633253809720
node_memory_working_set_bytes 1.616273408e+09 1633253809720
container_cpu_usage_seconds_total{container="nginx",namespace="default",pod="web-0"} 4.710169 1633253812125
container_memory_working_set_bytes{container="nginx",namespace="default",pod="web-0"} 1.253376e+07 1633253812125
container_start_time_seconds{container="nginx",namespace="default",pod="web-0"} 1.633252712e+09
pod_cpu_usage_seconds_total{namespace="default",pod="web-0"} 4.67812 1633253803935
machine_cpu_cores 4
resource_scrape_error 0
"""
WEB = ("default", "web-0")


def test_a_kubelets_text() -> None:
    batch = decode(TEXT, "n1", 5)
    at = 1633253809720 * 1_000_000
    assert batch.nodes == {"n1": Point(at, 357354910000, 1616273408)}
    began = 1633252712 * SECOND
    assert batch.pods == {WEB: {"nginx": Point(1633253812125 * 1_000_000, 4710169000, 12533760, None, began)}}


@pytest.mark.parametrize(
    ("lines", "nodes", "containers"),
    [
        ("node_cpu_usage_seconds_total 1\nnode_memory_working_set_bytes 2", {"n": Point(5, SECOND, 2)}, {}),
        ("node_cpu_usage_seconds_total 1 7", {}, {}),  # no memory
        ("node_cpu_usage_seconds_total 0 7\nnode_memory_working_set_bytes 2 7", {}, {}),
        ('container_cpu_usage_seconds_total{pod="p",namespace="s",container="c"} 1 7', {}, {}),
        ("node_cpu_usage_seconds_total_more 1", {}, {}),
        ("", {}, {}),
    ],
)
def test_what_is_not_whole_does_not_count(lines: str, nodes: object, containers: object) -> None:
    batch = decode(lines, "n", 5)
    assert (batch.nodes, batch.pods) == (nodes, containers)


def test_a_pod_counts_with_all_its_containers_alone() -> None:
    more = (
        TEXT + 'container_cpu_usage_seconds_total{container="late",namespace="default",pod="web-0"} 1 1633253812125\n'
    )
    assert decode(more, "n", 5).pods == {}


@pytest.mark.parametrize(
    "line",
    [
        "node_cpu_usage_seconds_total",
        "node_cpu_usage_seconds_total one",
        "node_cpu_usage_seconds_total NaN",
        "node_cpu_usage_seconds_total +Inf",
        "node_cpu_usage_seconds_total -1",
        "node_memory_working_set_bytes 1e300",
        'container_cpu_usage_seconds_total{container="c" 1',
    ],
)
def test_what_is_no_metric_is_refused(line: str) -> None:
    with pytest.raises(Malformed, match="failed parsing metrics"):
        decode(line, "n", 5)


def node(at: int, cpu: int, memory: int = 7, start: int = 0) -> points.Batch:
    return points.Batch({"n": Point(at * SECOND, cpu, memory, None, start * SECOND)})


def pod(start: int, **containers: tuple[int, int]) -> points.Batch:
    made = {name: Point(at * SECOND, cpu, 7, None, start * SECOND) for name, (at, cpu) in containers.items()}
    return points.Batch({}, {WEB: made})


@pytest.mark.parametrize(
    ("batches", "use"),
    [
        ([node(10, 100)], None),
        ([node(10, 100), node(20, 1100)], Usage(20 * SECOND, 10 * SECOND, 100, 7)),
        ([node(10, 100), node(20, 1100), node(20, 1100)], Usage(20 * SECOND, 10 * SECOND, 100, 7)),  # nothing newer
        ([node(10, 100), node(10, 100)], None),
        ([node(10, 100), node(20, 50)], None),  # restarted
        ([node(10, 100), points.Batch(), node(20, 1100)], None),  # it was away
    ],
)
def test_use_of_a_node(batches: list[points.Batch], use: Usage | None) -> None:
    storage = Storage(60 * SECOND)
    for batch in batches:
        storage.store(batch)
    assert storage.of_node("n") == use


@pytest.mark.parametrize(
    ("batches", "cpu"),
    [
        ([pod(1, a=(100, 500))], None),
        ([pod(85, a=(100, 1500))], {"a": 100}),  # of its first 15 s
        ([pod(95, a=(100, 1500))], None),  # of 5 s nothing can be said
        ([pod(1, a=(100, 500)), pod(1, a=(160, 6500))], {"a": 100}),
        ([pod(1, a=(100, 500), b=(100, 1)), pod(1, a=(160, 6500), b=(160, 61))], {"a": 100, "b": 1}),
        ([pod(1, a=(100, 500)), pod(1, a=(160, 6500), b=(160, 61))], None),  # the sum would be too small
        ([pod(1, a=(100, 500)), pod(155, a=(160, 6500))], None),  # another container by now
    ],
)
def test_use_of_a_pod(batches: list[points.Batch], cpu: dict[str, int] | None) -> None:
    storage = Storage(60 * SECOND)
    for batch in batches:
        storage.store(batch)
    uses = storage.of_pod(WEB)
    assert (None if uses is None else {name: int(one.cpu) for name, one in uses.items()}) == cpu
    assert storage.ready == bool(storage.pods_before)


def test_counters_that_go_back_say_nothing() -> None:
    assert usage(Point(20, 5, 1), Point(10, 6, 1)) is None
    assert usage(Point(20, 5, 1, None, 3), Point(10, 4, 1, None, 4)) is None


def test_a_kubelet_speaks_of_its_own_pods_alone() -> None:
    facts = PodFacts("n", True, frozenset({"nginx"}), {})
    batch = decode(TEXT, "n", 5)
    batch.pods[WEB]["invented"] = batch.pods[WEB]["nginx"]
    batch.pods["default", "unknown"] = batch.pods[WEB]
    kept, foreign = admitted(batch, "n", {WEB: facts})
    assert (list(kept.pods), list(kept.pods[WEB]), foreign) == ([WEB], ["nginx"], [])
    kept, foreign = admitted(batch, "other", {WEB: facts})
    assert (kept.pods, list(foreign)) == ({}, [WEB])


def test_blanks_between_labels_and_a_comma_at_their_end_say_nothing() -> None:
    labels = 'namespace="n", pod="p" ,container="c", '
    text = "".join(
        f"{name}{{{labels}}} 1\n"
        for name in ("container_cpu_usage_seconds_total", "container_memory_working_set_bytes")
    )
    assert decode(text, "node", 5).pods[("n", "p")]["c"].memory == 1


def test_labels_that_are_none_are_told() -> None:
    with pytest.raises(Malformed, match="labels that are none"):
        decode('container_cpu_usage_seconds_total{namespace="n" pod} 1', "node", 0)
