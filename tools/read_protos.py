"""Reads field numbers from upstream's generated.proto files into src/pybernetes/api/data/protobuf.json.

    python tools/read_protos.py API APIMACHINERY APIEXTENSIONS AGGREGATOR     # git directories

message -> field number -> [JSON name, type, "r" repeated | "m" map | "i" inlined into its owner | ""]; a type that is a message
is its full name without "k8s.io.".
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "src" / "pybernetes" / "api" / "data"
MESSAGE = re.compile(r"^message (\w+) \{\n(.*?)^\}", re.M | re.S)
FIELD = re.compile(r"^  (optional |repeated )?(map<[\w., ]+>|[\w.]+) (\w+) = (\d+);", re.M)


def main() -> int:
    """Writes the file."""
    definitions = json.loads((DATA / "definitions.json").read_text())
    properties = {".".join(n.rsplit(".", 3)[1:]): d.get("properties", {}) for n, d in definitions.items()}
    result: dict[str, dict[str, list[str]]] = {}
    for place in sys.argv[1:]:
        git = ["git", f"--git-dir={place}"]
        names = subprocess.run(
            [*git, "ls-tree", "-r", "HEAD", "--name-only"], capture_output=True, text=True, check=True
        ).stdout
        for name in names.split():
            if not name.endswith("generated.proto") or "testdata" in name:
                continue
            text = subprocess.run([*git, "show", f"HEAD:{name}"], capture_output=True, text=True, check=True).stdout
            found = re.search(r"^package k8s\.io\.([\w.]+);", text, re.M)
            if found is None:
                continue
            package = found[1]
            own = {m for m, _ in MESSAGE.findall(text)}
            for message, body in MESSAGE.findall(text):
                short = ".".join([*package.split(".")[-2:], message])
                known = properties.get(short)
                fields = {}
                for repeated, kind, field, number in FIELD.findall(body):
                    mark = "r" if repeated.strip() == "repeated" else ""
                    if kind.startswith("map<"):
                        mark, kind = "m", kind[4:-1].split(",")[1].strip()
                    if kind in own:
                        kind = f"{package}.{kind}"
                    kind = kind.removeprefix(".k8s.io.").removeprefix("k8s.io.")
                    if known and field not in known:
                        # Webhooks, aPIGroup, uID: the JSON name differs in case only
                        field = next((k for k in known if k.lower() == field.lower()), field)
                    if known and field not in known and "." in kind and not mark:
                        mark = "i"
                    fields[number] = [field, kind, mark]
                result[f"{package}.{message}"] = fields
    lines = [f"{json.dumps(n)}:{json.dumps(result[n], separators=(',', ':'))}" for n in sorted(result)]
    (DATA / "protobuf.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"read_protos: {len(result)} messages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
