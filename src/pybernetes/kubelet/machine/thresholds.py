"""Eviction thresholds: which are met, since when, and what conditions of the node they make (upstream: pkg/kubelet/eviction/helpers.go). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pybernetes.api.durations import parse_duration
from pybernetes.api.quantity import Quantity

from .reservation import amount_of

CONDITIONS = {
    "memory.available": "MemoryPressure",
    "nodefs.available": "DiskPressure",
    "nodefs.inodesFree": "DiskPressure",
    "imagefs.available": "DiskPressure",
    "imagefs.inodesFree": "DiskPressure",
    "pid.available": "PIDPressure",
}
EVERYTHING_OR_NOTHING = ("0%", "100%")  # upstream's words for a threshold that is none
MAX_PERCENT = 1_000_000.0
TRANSITION_SECONDS = 300.0  # a condition stays so long after the last shortage, so that it does not flap


@dataclass(frozen=True, slots=True)
class Amount:
    """What is there of something: bytes, inodes or processes."""

    available: int
    capacity: int


@dataclass(frozen=True, slots=True)
class Threshold:
    """`value` and `reclaim` are 100Mi, or 10% of the capacity; one without `grace` (seconds) is a hard one."""

    signal: str
    value: str
    grace: float = 0.0
    reclaim: str = ""

    def quantity(self, capacity: int, *, reclaimed: bool = False) -> int:
        """Under how much it is met; `reclaimed`: with what is to be got back once it was."""
        more = amount_of(self.reclaim, capacity) if reclaimed and self.reclaim else 0
        return amount_of(self.value, capacity) + more


def _known(signal: str) -> str:
    if signal not in CONDITIONS:
        raise ValueError(f"unrecognized eviction signal {signal}")
    return signal


def _percent(text: str) -> float:
    """ValueError also for what no capacity can be multiplied by: inf, 1e300."""
    digits = text.removesuffix("%")
    try:
        number = float(digits)
    except ValueError:
        raise ValueError(f'strconv.ParseFloat: parsing "{digits}": invalid syntax') from None
    if not abs(number) <= MAX_PERCENT:
        raise ValueError(f'strconv.ParseFloat: parsing "{digits}": value out of range')
    return number


def _value(signal: str, text: str) -> str:
    """A threshold that is one. ValueError."""
    if not text.endswith("%"):
        amount = Quantity.parse(text)
        if amount.sign() <= 0:
            raise ValueError(f"eviction threshold {signal} must be positive: {amount}")
    elif not _percent(text) >= 0:
        raise ValueError(f"eviction percentage threshold {signal} must be >= 0%: {text}")
    elif _percent(text) > 100:
        raise ValueError(f"eviction percentage threshold {signal} must be <= 100%: {text}")
    return text


def _reclaim(signal: str, text: str) -> str:
    """A minimum to be got back that is one. ValueError."""
    if not text.endswith("%"):
        if Quantity.parse(text).sign() < 0:
            raise ValueError(f"negative eviction minimum reclaim specified for {signal}")
    elif not _percent(text) > 0:
        raise ValueError(f"eviction percentage minimum reclaim {signal} must be positive: {text}")
    return text


def _grace(text: str) -> float:
    seconds = parse_duration(text)
    if seconds < 0:
        raise ValueError(f"invalid eviction grace period specified: {text}, must be a positive value")
    return seconds


def thresholds(
    hard: Mapping[str, str],
    soft: Mapping[str, str],
    soft_grace: Mapping[str, str],
    minimum_reclaim: Mapping[str, str],
) -> tuple[Threshold, ...]:
    """Of evictionHard, evictionSoft, evictionSoftGracePeriod and evictionMinimumReclaim (ParseThresholdConfig). ValueError."""
    values = {
        kind: {_known(name): _value(name, text) for name, text in amounts.items()}
        for kind, amounts in (("hard", hard), ("soft", soft))
    }
    grace = {_known(name): _grace(text) for name, text in soft_grace.items()}
    reclaim = {_known(name): _reclaim(name, text) for name, text in minimum_reclaim.items()}
    for signal in values["soft"]:
        if signal not in grace and values["soft"][signal] not in EVERYTHING_OR_NOTHING:
            raise ValueError(f"grace period must be specified for the soft eviction threshold {signal}")
    return tuple(
        Threshold(signal, text, grace[signal] if kind == "soft" else 0.0, reclaim.get(signal, ""))
        for kind, amounts in values.items()
        for signal, text in amounts.items()
        if text not in EVERYTHING_OR_NOTHING
    )


def met(among: Iterable[Threshold], amounts: Mapping[str, Amount], *, reclaimed: bool = False) -> tuple[Threshold, ...]:
    """Those that there is less of than they say; `reclaimed`: or not yet their minimum reclaim more."""
    return tuple(
        threshold
        for threshold in among
        if (amount := amounts.get(threshold.signal)) is not None
        and amount.available < threshold.quantity(amount.capacity, reclaimed=reclaimed)
    )


@dataclass(frozen=True, slots=True)
class Watched:
    """What has been seen so far, by the seconds of a monotonic clock."""

    met: tuple[Threshold, ...] = ()  # whose grace has passed
    since: Mapping[Threshold, float] = field(default_factory=dict)
    last: Mapping[str, float] = field(default_factory=dict)  # condition -> when it was last so

    def seen(self, all_of_them: Sequence[Threshold], amounts: Mapping[str, Amount], now: float) -> Watched:
        """After one more look (synchronize). A soft threshold makes its condition at once, and evicts after its grace."""
        under = dict.fromkeys((*met(all_of_them, amounts), *met(self.met, amounts, reclaimed=True)))
        since = {threshold: self.since.get(threshold, now) for threshold in under}
        ready = tuple(threshold for threshold, begun in since.items() if now - begun >= threshold.grace)
        return Watched(ready, since, {**self.last, **{CONDITIONS[threshold.signal]: now for threshold in under}})

    def pressure(self, now: float, transition: float) -> tuple[str, ...]:
        """The node's conditions that are true, in upstream's order."""
        under = {CONDITIONS[threshold.signal] for threshold in self.since}
        held = {name for name, when in self.last.items() if now - when < transition} | under
        return tuple(name for name in ("MemoryPressure", "DiskPressure", "PIDPressure") if name in held)
