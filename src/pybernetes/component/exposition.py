"""Metrics of several processes as those of one, as text. Pure."""

from __future__ import annotations

from collections.abc import Sequence

# Gauges that are sizes of what each process has; others (when it began, what is enabled) are the first one's.
ADDED_GAUGES = frozenset(
    {
        "process_resident_memory_bytes",
        "process_open_fds",
        "coredns_cache_entries",
        "apiserver_longrunning_requests",
        "apiserver_current_inflight_requests",
        "apiserver_current_inqueue_requests",
        "apiserver_flowcontrol_current_executing_requests",
        "apiserver_flowcontrol_current_executing_seats",
        "apiserver_flowcontrol_current_inqueue_requests",
        "apiserver_flowcontrol_current_inqueue_seats",
    }
)

Family = tuple[list[str], dict[str, float]]  # HELP and TYPE, samples by name and labels


def merged(own: str, others: Sequence[str]) -> str:
    """The first text with the counters and histograms of the others added."""
    families = _families(own)
    for text in others:
        for name, (head, samples) in _families(text).items():
            kind = head[-1].rpartition(" ")[2]
            if kind not in ("counter", "histogram") and name not in ADDED_GAUGES:
                continue
            _, sums = families.setdefault(name, (head, {}))
            for key, value in samples.items():
                sums[key] = sums.get(key, 0.0) + value
    lines = [line for head, samples in families.values() for line in (*head, *_lines(samples))]
    return "".join(f"{line}\n" for line in lines)


def _families(text: str) -> dict[str, Family]:
    families: dict[str, Family] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("#"):
            name = line.split(" ", 3)[2]
            families.setdefault(name, ([], {}))[0].append(line)
        elif line:
            key, _, value = line.rpartition(" ")
            families[name][1][key] = float(value)
    return families


def _lines(samples: dict[str, float]) -> list[str]:
    return [f"{key} {int(value) if value.is_integer() else repr(value)}" for key, value in samples.items()]
