"""Parses upstream's Go type files: what the readers of facts share (a library; the commands are read_go_types.py and read_protos.py)."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

FILES = re.compile(r"(v\d\w*)/(?:types\w*|micro_time|time|group_version|register)\.go$")
LEFT_OUT = ("testdata", "examples/", "testapigroup", "pkg/runtime/", "_test.go", "swagger_doc")
STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.M | re.S)
NAMED = re.compile(r"^type (\w+) (?:= )?([\w.\[\]*]+)$", re.M)
FIELD = re.compile(r"^\t(?:(\w+)\s+)?([\w.\[\]*]+(?:\{\})?)\s+`([^`]*)`", re.M)
IMPORT = re.compile(r'^(?:\t|import )(?:(\w+) )?"(k8s\.io/[^"]+)"$', re.M)
GROUP = re.compile(r'^const GroupName = "([^"]*)"', re.M)
REGISTERED = re.compile(r"&(\w+)\{\}")
# Lists of which an empty one is refused, while one that is not there has a default: (type, field). They are no lists to leave out when empty.
EMPTY_COUNTS = {("HPAScalingRules", "policies")}


@dataclass(frozen=True)
class Field:
    """One field: its Go type, JSON name ("" where it is inlined, "-" where JSON has none) and options, protobuf number."""

    go: str
    json: str
    options: tuple[str, ...]
    number: str


@dataclass
class Package:
    """One group-version: the import path, its types, and the kinds that it registers."""

    path: str
    group: str = ""
    structs: dict[str, list[Field]] = field(default_factory=dict)
    named: dict[str, str] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)
    registered: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


def git(place: str) -> list[str]:
    """The command on a checkout or a bare git directory, `PATH` or `PATH@REFERENCE`."""
    place = place.partition("@")[0]
    return ["git", "-C", place] if Path(place, ".git").exists() else ["git", f"--git-dir={place}"]


def show(place: str, name: str) -> str:
    """A file of the reference, else of the newest commit."""
    reference = place.partition("@")[2] or "HEAD"
    return subprocess.run(
        [*git(place), "show", f"{reference}:{name}"], capture_output=True, text=True, check=True
    ).stdout


def names(place: str) -> list[str]:
    """Every file of the reference, else of the newest commit."""
    command = [*git(place), "ls-tree", "-r", place.partition("@")[2] or "HEAD", "--name-only"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def packages(places: Iterable[str]) -> dict[str, Package]:
    """The group-versions of the repositories by import path ("k8s.io/api/apps/v1")."""
    found: dict[str, Package] = {}
    for place in places:
        module = next(line.split()[1] for line in show(place, "go.mod").splitlines() if line.startswith("module "))
        for name in names(place):
            if FILES.search(name) and not any(part in name for part in LEFT_OUT):
                path = f"{module}/{name.rsplit('/', 1)[0]}"
                read(found.setdefault(path, Package(path)), name, show(place, name))
    return found


def read(package: Package, name: str, text: str) -> None:
    """Adds what one file says."""
    if name.endswith("register.go"):
        group = GROUP.search(text)
        package.group = group[1] if group else package.group
        package.registered = REGISTERED.findall(text)
        return
    package.texts.append(text)
    for alias, path in IMPORT.findall(text):
        package.imports.setdefault(alias or path.rsplit("/", 1)[1], path)
    for cls, body in STRUCT.findall(text):
        package.structs[cls] = [parsed(go, tags) for _, go, tags in FIELD.findall(body)]
    for alias, target in NAMED.findall(text):
        package.named.setdefault(alias, target)


def parsed(go: str, tags: str) -> Field:
    """A field from its type and its tags."""
    json_name, *options = (re.search(r'json:"([^"]*)"', tags) or ["", ""])[1].split(",")
    number = re.search(r'protobuf:"\w+,(\d+)', tags)
    return Field(go, json_name, tuple(options), number[1] if number else "")
