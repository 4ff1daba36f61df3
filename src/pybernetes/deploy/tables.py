"""Text and objects as kubeadm's commands print them; pure (upstream: text/tabwriter, cmd/kubeadm/app/util/output)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

NARROWEST, PADDING = 10, 3  # of a column
OUTPUT_VERSION = "output.kubeadm.k8s.io/v1alpha3"
FORMATS = ("text", "json", "yaml")


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lines with a cell's column as wide as its widest, the last as it is."""
    widths = [max(NARROWEST, *(len(row[column]) + PADDING for row in rows)) for column in range(len(rows[0]) - 1)]
    lines = ["".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)) + row[-1] for row in rows]
    return "".join(f"{line}\n" for line in lines)


def document(kind: str, content: Mapping[str, Any], form: str, first: bool = True) -> str:
    """An object as `json` or `yaml`, several one after the other."""
    typed = {"kind": kind, "apiVersion": OUTPUT_VERSION, **content}
    if form == "json":
        return json.dumps(typed, indent=4, ensure_ascii=False) + "\n"
    import yaml

    return ("" if first else "---\n") + yaml.safe_dump(typed, allow_unicode=True)
