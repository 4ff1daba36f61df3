"""Writes src/pybernetes/api/data/legacy*.json: the group-versions of 1.17 to 1.24 that later left, as upstream's Go types have them.

    python tools/read_legacy.py API APIMACHINERY APIEXTENSIONS AGGREGATOR     # git directories with upstream's tags

legacy.json: definitions as in definitions.json, with the Warning of each kind ("x-deprecated"). legacy_descriptions.json.gz: their
texts. protobuf_legacy.json: messages that are in none of the files of read_protos.py. A type is taken from the newest of REFERENCES
that has it: later releases only added to them what their successors got, so that both hold the same.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from pathlib import Path
from typing import Any

import go_source
import read_protos
from read_go_types import Unserved, definition_name

DATA = Path(__file__).resolve().parent.parent / "src" / "pybernetes" / "api" / "data"
REFERENCES = ("HEAD", "v0.24.17", "v0.20.15")
WARNED = "v0.20.15"  # whose lifecycles are told: a client of that time hears what it heard then
WARNED_MINOR = 20
# Import path below k8s.io/api -> kinds; also where a later release serves others of the same group-version by default.
KINDS = {
    "admissionregistration/v1beta1": "MutatingWebhookConfiguration ValidatingWebhookConfiguration",
    "apps/v1beta1": "ControllerRevision Deployment DeploymentRollback Scale StatefulSet",
    "apps/v1beta2": "ControllerRevision DaemonSet Deployment ReplicaSet Scale StatefulSet",
    "authentication/v1beta1": "TokenReview",
    "authorization/v1beta1": "LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview",
    "autoscaling/v2beta1": "HorizontalPodAutoscaler",
    "autoscaling/v2beta2": "HorizontalPodAutoscaler",
    "batch/v1beta1": "CronJob JobTemplate",
    "batch/v2alpha1": "CronJob JobTemplate",
    "certificates/v1beta1": "CertificateSigningRequest",
    "coordination/v1beta1": "Lease",
    "discovery/v1beta1": "EndpointSlice",
    "events/v1beta1": "Event",
    "extensions/v1beta1": "DaemonSet Deployment DeploymentRollback Ingress NetworkPolicy ReplicaSet Scale",
    "flowcontrol/v1alpha1": "FlowSchema PriorityLevelConfiguration",
    "flowcontrol/v1beta1": "FlowSchema PriorityLevelConfiguration",
    "flowcontrol/v1beta2": "FlowSchema PriorityLevelConfiguration",
    "flowcontrol/v1beta3": "FlowSchema PriorityLevelConfiguration",
    "networking/v1beta1": "Ingress IngressClass",
    "node/v1alpha1": "RuntimeClass",
    "node/v1beta1": "RuntimeClass",
    "policy/v1beta1": "Eviction PodDisruptionBudget PodSecurityPolicy",
    "rbac/v1alpha1": "ClusterRole ClusterRoleBinding Role RoleBinding",
    "rbac/v1beta1": "ClusterRole ClusterRoleBinding Role RoleBinding",
    "scheduling/v1alpha1": "PriorityClass",
    "scheduling/v1beta1": "PriorityClass",
    "storage/v1alpha1": "CSIStorageCapacity VolumeAttachment",
    "storage/v1beta1": "CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment",
}
MACHINERY = {
    "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1beta1": "CustomResourceDefinition",
    "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1beta1": "APIService",
}
LIFECYCLE = re.compile(r"^// \+k8s:prerelease-lifecycle-gen:(\w+)=(\S+)$", re.M)
LINE = re.compile(r"^\t(?:(\w+)\s+)?([\w.\[\]*]+(?:\{\})?)\s+`([^`]*)`")
ANYTHING = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON"
INTEGERS = {"int32": "int32", "int": "int32", "int64": "int64"}


class Facts:
    """What comments and tags say of the fields of one package at one reference."""

    def __init__(self) -> None:
        self.fields: dict[tuple[str, str], dict[str, Any]] = {}
        self.lifecycles: dict[str, dict[str, str]] = {}
        self.texts: dict[str, str] = {}

    def read(self, text: str) -> None:
        """Adds a file."""
        end = 0
        for found in go_source.STRUCT.finditer(text):
            above = comments_before(text[end : found.start()])
            end = found.end()
            cls, body = found.groups()
            self.lifecycles[cls] = dict(LIFECYCLE.findall(above))
            self.texts[cls] = described(above.splitlines())
            comments: list[str] = []
            for line in body.splitlines():
                field = LINE.match(line)
                if line.strip().startswith("//"):
                    comments.append(line.strip())
                elif field:
                    self.fields[cls, json_name(field[3])] = facts(comments, field[2], field[3])
                    comments = []
                else:
                    comments = []


def comments_before(text: str) -> str:
    """The comments that a text ends with; there may be empty lines between them."""
    lines = text.splitlines()
    start = len(lines)
    while start and (not lines[start - 1] or lines[start - 1].startswith("//")):
        start -= 1
    return "\n".join(lines[start:])


def json_name(tags: str) -> str:
    """Of a field's tags."""
    return (re.search(r'json:"([^",]*)', tags) or ["", ""])[1]


def described(comments: list[str]) -> str:
    """Comments as a description: markers and what stands after `---` are none of it."""
    lines: list[str] = []
    for comment in comments:
        text = comment.removeprefix("//").strip()
        if text.startswith("---"):
            break
        if not text.startswith(("+", "TODO")):
            lines.append(text)
    return " ".join(" ".join(lines).split())


def facts(comments: list[str], go: str, tags: str) -> dict[str, Any]:
    """Keywords of a definition, beside "go", "text", "optional" and "omit"."""
    made: dict[str, Any] = {"go": go, "text": described(comments)}
    options = (re.search(r'json:"[^",]*,?([^"]*)"', tags) or ["", ""])[1].split(",")
    made["omit"] = "omitempty" in options or "omitzero" in options
    made["zero"] = "omitzero" in options
    made["optional"] = made["omit"] or any("+optional" in comment for comment in comments)
    keywords = {}
    for tag, keyword in (("patchStrategy", "patch-strategy"), ("patchMergeKey", "patch-merge-key")):
        if found := re.search(rf'{tag}:"([^"]*)"', tags):
            keywords[f"x-kubernetes-{keyword}"] = found[1]
    keys = []
    for comment in comments:
        if found := re.fullmatch(r"// \+listType=(\w+)", comment):
            keywords["x-kubernetes-list-type"] = found[1]
        elif found := re.fullmatch(r"// \+listMapKey=(\w+)", comment):
            keys.append(found[1])
        elif found := re.fullmatch(r"// \+(?:structType|mapType)=(\w+)", comment):
            keywords["x-kubernetes-map-type"] = found[1]
    if keys:
        keywords["x-kubernetes-list-map-keys"] = keys
    made["keywords"] = keywords
    return made


class Legacy(Unserved):
    """As `Unserved`, with all that a served definition has."""

    def __init__(self, packages: dict[str, go_source.Package], known: set[str], facts: dict[str, Facts]) -> None:
        super().__init__(packages, known)
        self.facts = facts
        self.texts: dict[str, str] = {}

    def schema(self, package: go_source.Package, go: str) -> dict[str, Any]:
        """With the formats of integers."""
        plain = go.lstrip("*")
        if plain in INTEGERS:
            return {"type": "integer", "format": INTEGERS[plain]}
        return super().schema(package, go) or {"$ref": f"#/$defs/{ANYTHING}"}

    def add(self, package: go_source.Package, cls: str, kind: bool = False) -> None:
        """With what is required and how zero values are written."""
        name = definition_name(package.path, cls)
        if name in self.known or name in self.made:
            return
        super().add(package, cls, kind)
        self._finish(package, cls, self.made[name], name)

    def _finish(self, package: go_source.Package, cls: str, made: dict[str, Any], name: str) -> None:
        own = self.facts[package.path]
        required, written = [], {}
        self.texts[name] = own.texts.get(cls, "")
        for field, schema in made["properties"].items():
            known = own.fields.get((cls, field))
            if known is None:  # of an inlined type: apiVersion and kind
                continue
            made["properties"][field] = {**schema, **known["keywords"]}
            self.texts[f"{name}.{field}"] = known["text"]
            if not known["optional"]:
                required.append(field)
            mark = self._written(package, known)
            if mark and (cls, field) not in go_source.EMPTY_COUNTS:
                written[field] = mark
        made["type"] = "object"
        if required:
            made["required"] = required
        made["x-go"] = written
        for gvk in made.get("x-kubernetes-group-version-kind", ()):
            version = f"{gvk['group']}/{gvk['version']}"
            made["properties"]["apiVersion"] = {"enum": [version], "type": "string"}
            made["properties"]["kind"] = {"enum": [gvk["kind"]], "type": "string"}

    def _written(self, package: go_source.Package, known: dict[str, Any]) -> str:
        """ "a", "z" or "" as in go_fields.json."""
        go = known["go"]
        if go.startswith("*") or go.rsplit(".", 1)[-1] in ("Time", "MicroTime", "Duration"):
            return ""
        if go.startswith(("[]", "map[")):
            return "z" if known["omit"] else "a"
        schema = self.schema(package, go)
        if "$ref" in schema or not schema:
            target = schema.get("$ref", "").rsplit(".", 1)[-1]
            if target in ("RawExtension", "JSON", "FieldsV1"):
                return ""
            return "z" if known["zero"] else "a"
        return "z" if known["omit"] else "a"


def merged(places: list[str]) -> tuple[dict[str, go_source.Package], dict[str, Facts]]:
    """The packages, with the types that only older references have, and what is said of them."""
    packages: dict[str, go_source.Package] = {}
    said: dict[str, Facts] = {}
    for reference in REFERENCES:
        for path, package in go_source.packages([f"{place}@{reference}" for place in places]).items():
            facts = Facts()
            for text in package.texts:
                facts.read(text)
            if path not in packages:
                packages[path], said[path] = package, facts
                continue
            for cls in package.structs.keys() - packages[path].structs.keys():
                packages[path].structs[cls] = package.structs[cls]
                said[path].fields |= {key: value for key, value in facts.fields.items() if key[0] == cls}
                said[path].texts[cls] = facts.texts.get(cls, "")
                said[path].lifecycles[cls] = facts.lifecycles.get(cls, {})
            packages[path].named |= {k: v for k, v in package.named.items() if k not in packages[path].named}
            packages[path].imports |= {k: v for k, v in package.imports.items() if k not in packages[path].imports}
            if reference == WARNED:
                said[path].lifecycles |= {k: {**v, "warned": "yes"} for k, v in facts.lifecycles.items()}
    return packages, said


def deprecation(gvk: dict[str, str], life: dict[str, str]) -> str:
    """The text of the Warning (upstream: apiserver/pkg/endpoints/deprecation); "" where the kind is not deprecated yet."""
    if "introduced" not in life:
        return ""
    introduced = int(life["introduced"].split(".")[1])
    alpha = "alpha" in gvk["version"]
    deprecated = int(life["deprecated"].split(".")[1]) if "deprecated" in life else introduced + 3
    removed = int(life["removed"].split(".")[1]) if "removed" in life else deprecated + 3
    if (alpha and "deprecated" not in life) or ("warned" in life and deprecated > WARNED_MINOR):
        return ""
    text = (
        f"{gvk['group']}/{gvk['version']} {gvk['kind']} is deprecated in v1.{deprecated}+, unavailable in v1.{removed}+"
    )
    if "replacement" in life:
        group, version, kind = life["replacement"].split(",")
        text += f"; use {group}/{version} {kind}"
    return text


def main() -> int:
    """Writes the files."""
    places = sys.argv[1:]
    packages, said = merged(places)
    known = {n for n, d in json.loads((DATA / "definitions.json").read_text()).items() if d.get("properties")}
    kinds = {f"k8s.io/api/{path}": names for path, names in KINDS.items()} | MACHINERY
    own = {definition_name(path, cls) for path in kinds for cls in packages[path].structs}
    found = Legacy(packages, known, said)
    for path, names in kinds.items():
        for kind in names.split():
            for cls in (kind, f"{kind}List"):
                if cls in packages[path].structs:
                    found.add(packages[path], cls, kind=True)
            made = found.made.get(definition_name(path, kind))
            life = said[path].lifecycles.get(kind, {})
            if made is not None and (text := deprecation(made["x-kubernetes-group-version-kind"][0], life)):
                made["x-deprecated"] = text
    write(found, own)
    messages = write_messages(places)
    print(f"read_legacy: {len(found.made)} types, {messages} messages")
    return 0


def write(found: Legacy, own: set[str]) -> None:
    """The definitions and their texts."""
    missing = set(found.made) - own
    lines = [
        f"{json.dumps(n)}:{json.dumps(found.made[n], separators=(',', ':'), sort_keys=True)}"
        for n in sorted(found.made)
    ]
    (DATA / "legacy.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    texts = json.dumps({k: v for k, v in found.texts.items() if v}, separators=(",", ":"), sort_keys=True).encode()
    (DATA / "legacy_descriptions.json.gz").write_bytes(gzip.compress(texts, 9, mtime=0))
    if missing:
        print(f"read_legacy: besides the group-versions: {', '.join(sorted(missing))}", file=sys.stderr)


def write_messages(places: list[str]) -> int:
    """The messages that other files lack; how many there are."""
    have = {
        name for file in ("protobuf", "protobuf_unserved") for name in json.loads((DATA / f"{file}.json").read_text())
    }
    wanted = tuple(f"api.{path.replace('/', '.')}." for path in KINDS)
    made: dict[str, Any] = {}
    for reference in REFERENCES[1:]:
        for name, message in read_protos.messages([f"{place}@{reference}" for place in places]).items():
            if name.startswith(wanted) and name not in have:
                made.setdefault(name, message)
    lines = [f"{json.dumps(n)}:{json.dumps(made[n], separators=(',', ':'))}" for n in sorted(made)]
    (DATA / "protobuf_legacy.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    return len(made)


if __name__ == "__main__":
    sys.exit(main())
