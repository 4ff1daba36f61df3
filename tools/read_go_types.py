"""Reads from upstream's Go types how each JSON field is written when it is zero, into tools/go_fields.json.

    python tools/read_go_types.py API APIMACHINERY APIEXTENSIONS AGGREGATOR     # checkouts or git directories

The OpenAPI definitions do not tell a pointer from a value. For each type the file lists its fields as
"a" (always written, also when zero), "z" (left out when zero); a field not listed is a pointer (left out when unset).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.M | re.S)
NAMED = re.compile(r"^type (\w+) (?:= )?([\w.\[\]*]+)$", re.M)
FIELD = re.compile(r'^\t(?:(\w+)\s+)?([\w.\[\]*]+)\s+`[^`]*json:"([^"]*)"', re.M)
SCALARS = {"string", "bool", "int", "int32", "int64", "uint32", "uint64", "float32", "float64", "byte"}
TIMES = {"Time", "MicroTime", "Duration", "FieldsV1"}


def sources(place: str) -> dict[str, str]:
    """{"apps/v1/types.go": text} of a git directory's newest commit."""
    git = ["git", "-C", place] if Path(place, ".git").exists() else ["git", f"--git-dir={place}"]
    names = subprocess.run(
        [*git, "ls-tree", "-r", "HEAD", "--name-only"], capture_output=True, text=True, check=True
    ).stdout
    wanted = [
        n for n in names.split() if re.search(r"v\d\w*/(types\w*|micro_time|time)\.go$", n) and "testdata" not in n
    ]
    return {
        n: subprocess.run([*git, "show", f"HEAD:{n}"], capture_output=True, text=True, check=True).stdout
        for n in wanted
    }


def main() -> int:
    """Writes tools/go_fields.json."""
    structs: dict[str, dict[str, list[tuple[str, str, str]]]] = {}
    named: dict[str, str] = {"Quantity": "struct", "IntOrString": "struct", "RawExtension": "struct"}
    for place in sys.argv[1:]:
        for name, text in sources(place).items():
            group, version = name.split("/")[-3:-1]
            package = f"{group}.{version}"
            for cls, body in STRUCT.findall(text):
                structs.setdefault(package, {})[cls] = FIELD.findall(body)
                named[cls] = "struct"
            for alias, target in NAMED.findall(text):
                named.setdefault(alias, target)

    def fields(package: str, cls: str) -> dict[str, str]:
        out: dict[str, str] = {}
        for _, kind, tag in structs[package].get(cls, ()):
            json_name, *options = tag.split(",")
            base = kind.lstrip("*").rsplit(".", 1)[-1]
            if not json_name:
                home = (
                    package if base in structs[package] else next((p for p in structs if base in structs[p]), package)
                )
                if base not in ("TypeMeta",):
                    out |= fields(home, base)
                continue
            if kind.startswith("*") or json_name == "-" or (base in TIMES and kind[0] != "["):
                continue
            seen = base
            while seen in named and named[seen] not in ("struct", seen) and not seen.startswith(("[", "map[")):
                seen = named[seen] if named[seen].startswith(("[", "map[")) else named[seen].rsplit(".", 1)[-1]
            container = kind.startswith(("[]", "map[")) or seen.startswith(("[", "map["))
            is_struct = not container and named.get(seen) == "struct"
            omit = "omitempty" in options or "omitzero" in options
            if is_struct:
                out[json_name] = "z" if "omitzero" in options else "a"
            else:
                out[json_name] = "z" if omit else "a"
        return out

    result = {f"{p}.{c}": fields(p, c) for p in sorted(structs) for c in sorted(structs[p])}
    path = Path(__file__).with_name("go_fields.json")
    lines = [f"{json.dumps(name)}: {json.dumps(result[name], sort_keys=True)}" for name in sorted(result)]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"read_go_types: {len(result)} types")
    return 0


if __name__ == "__main__":
    sys.exit(main())
