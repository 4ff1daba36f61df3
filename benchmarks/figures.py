"""What a benchmark gives: `name value unit` lines, and a JSON file a release, so that a slower figure is named."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

Figures = dict[str, tuple[float, str]]  # name -> (value, unit)

RESULTS = Path(__file__).with_name("results")
HIGHER_IS_BETTER = frozenset({"1/s", "MB/s", "ratio"})
NOISE = 0.10  # on a quiet machine the same code differs by less than this from run to run
QUIET = 0.7  # load average below which nobody else keeps one of the two cores


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value, and the machine's load average (1 minute) before its suite ran."""

    value: float
    unit: str
    load: float | None = None  # None: measured before loads were kept

    @property
    def quiet(self) -> bool:
        """Whether nobody else was at work as far as is known."""
        return self.load is not None and self.load < QUIET


@dataclass(frozen=True, slots=True)
class Change:
    """A figure that differs from another release's by more than noise; `ratio` above 1 is slower or larger."""

    name: str
    before: Figure
    after: Figure
    ratio: float

    def __str__(self) -> str:
        word = "SLOWER" if self.ratio > 1 else "better"
        busy = "" if self.before.quiet and self.after.quiet else f" (load {self.before.load} and {self.after.load})"
        return f"{word} {self.name}: {self.before.value:g} -> {self.after.value:g} {self.after.unit}{busy}"


def compare(before: Mapping[str, Figure], after: Mapping[str, Figure]) -> list[Change]:
    """Figures of both that differ by more than noise, the worst first. Pure."""
    changes = []
    for name in before.keys() & after.keys():
        old, new = before[name], after[name]
        if old.value <= 0 or new.value <= 0 or old.unit != new.unit:
            continue
        ratio = old.value / new.value if new.unit in HIGHER_IS_BETTER else new.value / old.value
        if max(ratio, 1 / ratio) > 1 + NOISE:
            changes.append(Change(name, old, new, ratio))
    return sorted(changes, key=lambda change: (-change.ratio, change.name))


def newest(versions: Iterable[str], than: str) -> str | None:
    """The newest release before `than`, of names such as "0.1.0". Pure."""
    before = [version for version in versions if _order(version) < _order(than)]
    return max(before, key=_order, default=None)


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def load_average() -> float:
    """Of the last minute; asked before a suite, for the suite is itself a load."""
    return round(os.getloadavg()[0], 2)


def read(version: str) -> dict[str, Figure]:
    """The kept figures of a release; empty where there are none."""
    path = RESULTS / f"{version}.json"
    if not path.exists():
        return {}
    return {name: Figure(**figure) for name, figure in json.loads(path.read_text()).items()}


def report(version: str, figures: Figures, load: float) -> None:
    """Prints the figures, keeps them with those of other suites, and names what differs from the release before."""
    measured = {name: Figure(round(value, 2), unit, load) for name, (value, unit) in figures.items()}
    for name, figure in measured.items():
        print(f"{name} {figure.value:.2f} {figure.unit}", flush=True)
    if load >= QUIET:
        print(f"# the machine was busy: load average {load} before the suite began", flush=True)
    kept = {name: asdict(figure) for name, figure in sorted((read(version) | measured).items())}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{version}.json").write_text(json.dumps(kept, indent=1) + "\n")
    before = newest((path.stem for path in RESULTS.glob("*.json")), version)
    if before is not None:
        for change in compare(read(before), measured):
            print(f"# since {before}: {change}", flush=True)
