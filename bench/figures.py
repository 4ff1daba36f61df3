"""What a benchmark gives: `name value unit` lines, and one JSON file."""

from __future__ import annotations

import json
from pathlib import Path

Figures = dict[str, tuple[float, str]]  # name -> (value, unit)

RESULTS = Path(__file__).with_name("results.json")


def report(figures: Figures) -> None:
    """Prints the figures and puts them into the JSON file, where those of other suites stay."""
    for name, (value, unit) in figures.items():
        print(f"{name} {value:.2f} {unit}", flush=True)
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    known |= {name: {"value": round(value, 2), "unit": unit} for name, (value, unit) in figures.items()}
    RESULTS.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")
