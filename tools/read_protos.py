"""Reads field numbers from upstream's generated.proto files into src/pybernetes/api/data/protobuf.json and protobuf_unserved.json.

    python tools/read_protos.py API APIMACHINERY APIEXTENSIONS AGGREGATOR     # checkouts or git directories

message -> field number -> [JSON name, type, mark]; a type that is a message is its full name without "k8s.io.". Marks: "r" repeated,
"m" map, "i" inlined into its owner, "p" a pointer in Go (not written when unset), "z" a value that JSON leaves out when zero,
"" any other value (both forms always write it). Messages that no kind of today's definitions needs are in the second file.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import go_source

DATA = Path(__file__).resolve().parent.parent / "src" / "pybernetes" / "api" / "data"
PACKAGE = re.compile(r"^package (k8s\.io\.[\w.]+);", re.M)
MESSAGE = re.compile(r"^message (\w+) \{\n(.*?)^\}", re.M | re.S)
FIELD = re.compile(r"^  (optional |repeated )?(map<[\w., ]+>|[\w.]+) (\w+) = (\d+);", re.M)
Messages = dict[str, dict[str, list[str]]]


def one(known: go_source.Field | None, repeated: str, kind: str, name: str, own: dict[str, str]) -> list[str]:
    """A field from its line in the .proto file and what Go says of it: the JSON name may differ from the protobuf one."""
    mark = "r" if repeated.strip() == "repeated" else ""
    if kind.startswith("map<"):
        mark, kind = "m", kind[4:-1].split(",")[1].strip()
    kind = own.get(kind, kind).lstrip(".").removeprefix("k8s.io.")  # without the dot in older files
    if known is None:
        return [name, kind, mark]
    if not known.json and not mark:
        return [name, kind, "i"]
    if not mark and known.go.startswith("*"):
        mark = "p"
    elif not mark and ("omitzero" in known.options or ("omitempty" in known.options and "." not in kind)):
        mark = "z"  # omitempty alone does nothing to a struct
    return [known.json or name, kind, mark]


def messages(places: list[str]) -> Messages:
    """Every message of the repositories."""
    packages = go_source.packages(places)
    result: Messages = {}
    for place in places:
        for name in go_source.names(place):
            if not name.endswith("generated.proto") or any(part in name for part in go_source.LEFT_OUT):
                continue
            text = go_source.show(place, name)
            package = PACKAGE.search(text)
            if package is None:
                continue
            path = package[1].replace("k8s.io.", "k8s.io/", 1).replace(".", "/").replace("k8s/io/", "k8s.io/")
            structs = next((p.structs for key, p in packages.items() if key.replace("-", "_") == path), {})
            prefix = package[1].removeprefix("k8s.io.")
            own = {message: f"{prefix}.{message}" for message, _ in MESSAGE.findall(text)}
            for message, body in MESSAGE.findall(text):
                known = {field.number: field for field in structs.get(message, ())}
                result[own[message]] = {
                    number: one(known.get(number), repeated, kind, field, own)
                    for repeated, kind, field, number in FIELD.findall(body)
                }
    return result


def served(found: Messages) -> set[str]:
    """The messages of today's definitions and of apimachinery, and all that they need."""
    definitions = json.loads((DATA / "definitions.json").read_text())
    waiting = [name.removeprefix("io.k8s.").replace("-", "_") for name in definitions]
    waiting += [name for name in found if name.startswith("apimachinery.")]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in found and name not in seen:
            seen.add(name)
            waiting += [kind for _, kind, _ in found[name].values()]
    return seen


def main() -> int:
    """Writes the files."""
    found = messages(sys.argv[1:])
    today = served(found)
    for file, names in (("protobuf.json", today), ("protobuf_unserved.json", found.keys() - today)):
        lines = [f"{json.dumps(n)}:{json.dumps(found[n], separators=(',', ':'))}" for n in sorted(names)]
        (DATA / file).write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"read_protos: {len(today)} messages, {len(found) - len(today)} unserved")
    return 0


if __name__ == "__main__":
    sys.exit(main())
