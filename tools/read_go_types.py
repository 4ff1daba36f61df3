"""Reads facts of upstream's Go types that the OpenAPI definitions lack, into tools/go_fields.json and tools/unserved.json.

    python tools/read_go_types.py API APIMACHINERY APIEXTENSIONS AGGREGATOR     # checkouts or git directories

go_fields.json: the definitions do not tell a pointer from a value. For each type the file lists its fields as
"a" (always written, also when zero), "z" (left out when zero); a field not listed is a pointer (left out when unset).

unserved.json: the types of which the definitions know nothing, since no path of today's API server takes them as a resource
(group-versions that have left, options, reviews sent to webhooks), in the form of definitions. "shared" are the kinds that
belong to every group-version.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import go_source

DEFINITIONS = Path(__file__).resolve().parent.parent / "src" / "pybernetes" / "api" / "data" / "definitions.json"
STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.M | re.S)
NAMED = re.compile(r"^type (\w+) (?:= )?([\w.\[\]*]+)$", re.M)
FIELD = re.compile(r'^\t(?:(\w+)\s+)?([\w.\[\]*]+)\s+`[^`]*json:"([^"]*)"', re.M)
SCALARS = {"string", "bool", "int", "int32", "int64", "uint32", "uint64", "float32", "float64", "byte"}
TIMES = {"Time", "MicroTime", "Duration", "FieldsV1"}
META = "k8s.io/apimachinery/pkg/apis/meta/v1"
# Upstream registers them in every group-version (AddToGroupVersion of meta/v1/register.go).
SHARED = ("WatchEvent", "ListOptions", "GetOptions", "DeleteOptions", "CreateOptions", "UpdateOptions", "PatchOptions")
OF_META = ("Table", "TableOptions", "PartialObjectMetadata", "PartialObjectMetadataList")
# Go types whose JSON is not that of their fields; "$" stands for a definition of this name.
SPECIAL: dict[str, dict[str, Any] | str] = {
    "k8s.io/apimachinery/pkg/api/resource.Quantity": "$",
    "k8s.io/apimachinery/pkg/util/intstr.IntOrString": "$",
    "k8s.io/apimachinery/pkg/runtime.RawExtension": "$",
    f"{META}.Time": "$",
    f"{META}.MicroTime": "$",
    f"{META}.FieldsV1": "$",
    f"{META}.Duration": {"type": "string"},
} | {
    f"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1beta1.{name}": {}
    for name in ("JSON", "JSONSchemaPropsOrBool", "JSONSchemaPropsOrArray", "JSONSchemaPropsOrStringArray")
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "[]byte": {"type": "string", "format": "byte"},
    "string": {"type": "string"},
    "bool": {"type": "boolean"},
    "float64": {"type": "number"},
    "interface{}": {},
    "any": {},
} | {name: {"type": "integer"} for name in ("int", "int32", "int64", "uint32", "uint64")}


class Unserved:
    """Collects the types that the definitions lack, from the registered kinds down."""

    def __init__(self, packages: dict[str, go_source.Package], known: set[str]) -> None:
        self.packages, self.known = packages, known
        self.made: dict[str, dict[str, Any]] = {}

    def schema(self, package: go_source.Package, go: str) -> dict[str, Any]:
        """The schema of a Go type as written in a package."""
        go = go.lstrip("*")
        if go in SCHEMAS:
            return SCHEMAS[go]
        if go.startswith("[]"):
            return {"type": "array", "items": self.schema(package, go[2:])}
        if go.startswith("map["):
            return {"type": "object", "additionalProperties": self.schema(package, go.split("]", 1)[1])}
        alias, _, cls = go.rpartition(".")
        path = package.imports[alias] if alias else package.path
        special = SPECIAL.get(f"{path}.{cls}")
        if special is not None:
            return reference(path, cls) if isinstance(special, str) else special
        if path == "k8s.io/apimachinery/pkg/types":  # UID, PatchType, ...
            return SCHEMAS["string"]
        home = self.packages[path]
        if cls in home.named:
            return self.schema(home, home.named[cls])
        if cls not in home.structs:  # struct{}
            return {"type": "object"}
        self.add(home, cls)
        return reference(path, cls)

    def add(self, package: go_source.Package, cls: str, kind: bool = False) -> None:
        """Makes the definition of a struct, and those that it needs."""
        name = definition_name(package.path, cls)
        if name in self.known:
            return
        if name not in self.made:
            made = self.made[name] = {"properties": {}}
            made["properties"] = dict(sorted(self.properties(package, cls).items()))
        if kind:
            gvk = {"group": package.group, "version": package.path.rsplit("/", 1)[1], "kind": cls}
            self.made[name]["x-kubernetes-group-version-kind"] = [gvk]

    def properties(self, package: go_source.Package, cls: str) -> dict[str, Any]:
        """The fields of a struct, those of inlined structs among them."""
        found: dict[str, Any] = {}
        for one in package.structs[cls]:
            if one.json:
                found |= {} if one.json == "-" else {one.json: self.schema(package, one.go)}
                continue
            alias, _, inner = one.go.lstrip("*").rpartition(".")
            if inner == "TypeMeta":
                found |= {"apiVersion": SCHEMAS["string"], "kind": SCHEMAS["string"]}
            else:
                found |= self.properties(self.packages[package.imports[alias]] if alias else package, inner)
        return found


def definition_name(path: str, cls: str) -> str:
    """The full name of a Go type: io.k8s.api.apps.v1.Deployment."""
    return f"io.{path.replace('k8s.io/', 'k8s.').replace('/', '.')}.{cls}"


def reference(path: str, cls: str) -> dict[str, str]:
    """A reference to the definition of a Go type."""
    return {"$ref": f"#/$defs/{definition_name(path, cls)}"}


def write_unserved(places: list[str]) -> int:
    """Writes tools/unserved.json; how many types it has."""
    packages = go_source.packages(places)
    known = {name for name, d in json.loads(DEFINITIONS.read_text()).items() if d.get("properties")}
    found = Unserved(packages, known)
    for path, package in sorted(packages.items()):
        for cls in SHARED + OF_META if path == META else package.registered:
            if cls in package.structs:
                found.add(package, cls, kind=cls not in SHARED)
    lines = [f"{json.dumps(name)}: {json.dumps(found.made[name])}" for name in sorted(found.made)]
    shared = json.dumps({cls: definition_name(META, cls) for cls in SHARED})
    text = '{"shared": ' + shared + ',\n"definitions": {\n' + ",\n".join(lines) + "\n}}\n"
    Path(__file__).with_name("unserved.json").write_text(text)
    return len(found.made)


def sources(place: str) -> dict[str, str]:
    """{"apps/v1/types.go": text} of a git directory's newest commit."""
    git = ["git", "-C", place] if Path(place, ".git").exists() else ["git", f"--git-dir={place}"]
    names = subprocess.run(
        [*git, "ls-tree", "-r", "HEAD", "--name-only"], capture_output=True, text=True, check=True
    ).stdout
    wanted = [
        n
        for n in names.split()
        if re.search(r"v\d\w*/(types\w*|micro_time|time|group_version)\.go$", n) and "testdata" not in n
    ]
    return {
        n: subprocess.run([*git, "show", f"HEAD:{n}"], capture_output=True, text=True, check=True).stdout
        for n in wanted
    }


def main() -> int:
    """Writes both files."""
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
    print(f"read_go_types: {len(result)} types, {write_unserved(sys.argv[1:])} of them unserved")
    return 0


if __name__ == "__main__":
    sys.exit(main())
