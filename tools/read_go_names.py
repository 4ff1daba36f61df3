"""Reads how Go calls the types of fields that have a name of their own, into src/pybernetes/api/data/go_types.json.

    python tools/read_go_names.py API APIMACHINERY APIEXTENSIONS [AGGREGATOR]     # checkouts or git directories

The definitions say "string" where Go says v1.PullPolicy, and a client that sends a number there is told the latter. For each type
the file lists the fields whose type is a named one and no struct: {"core.v1.Container": {"imagePullPolicy": "v1.PullPolicy"}}.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import go_source

TARGET = Path(__file__).resolve().parent.parent / "src" / "pybernetes" / "api" / "data" / "go_types.json"
NAMES = "k8s.io/apimachinery/pkg/types"  # UID, NodeName, ...: all of them strings
OPAQUE = (
    "RawExtension",
    "Time",
    "MicroTime",
    "Duration",
    "FieldsV1",
    "Quantity",
    "IntOrString",
    "JSON",
)  # read themselves


def printed(packages: dict[str, go_source.Package], package: go_source.Package, go: str) -> tuple[str, bool]:
    """(the type as Go prints it, whether a named type that is no struct is in it)."""
    go = go.lstrip("*")
    if go.startswith("[]"):
        text, named = printed(packages, package, go[2:])
        return f"[]{text}", named
    if go.startswith("map["):
        key, _, value = go[4:].partition("]")
        (key, named_key), (value, named_value) = printed(packages, package, key), printed(packages, package, value)
        return f"map[{key}]{value}", named_key or named_value
    alias, _, cls = go.rpartition(".")
    path = package.imports.get(alias, "") if alias else package.path
    if not alias and cls not in package.named:
        return (f"{path.rsplit('/', 1)[1]}.{cls}" if cls in package.structs else cls), False
    home = packages.get(path)
    named = path == NAMES or (home is not None and cls in home.named)
    return f"{path.rsplit('/', 1)[-1]}.{cls}", named and cls not in OPAQUE


def fields(packages: dict[str, go_source.Package], package: go_source.Package, cls: str) -> dict[str, str]:
    """JSON name -> type, of a struct and those that it inlines."""
    found: dict[str, str] = {}
    for one in package.structs.get(cls, ()):
        if one.json == "-":
            continue
        if not one.json:
            alias, _, inner = one.go.lstrip("*").rpartition(".")
            home = packages.get(package.imports.get(alias, "")) if alias else package
            found |= fields(packages, home, inner) if home is not None else {}
            continue
        text, named = printed(packages, package, one.go)
        if named:
            found[one.json] = text
    return found


def main() -> int:
    """Writes the file."""
    packages = go_source.packages(sys.argv[1:])
    lines = []
    for path, package in sorted(packages.items()):
        group, version = path.split("/")[-2:]
        for cls in sorted(package.structs):
            if found := fields(packages, package, cls):
                lines.append(f"{json.dumps(f'{group}.{version}.{cls}')}: {json.dumps(found, sort_keys=True)}")
    TARGET.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"read_go_names: {len(lines)} types")
    return 0


if __name__ == "__main__":
    sys.exit(main())
