"""Metrics of several processes as one text."""

from __future__ import annotations

from pybernetes.component.exposition import merged

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
