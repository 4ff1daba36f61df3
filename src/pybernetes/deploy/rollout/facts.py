"""What hosts say of themselves: the question as a shell script that needs no more than Debian's base, and its answer read. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..daemons.render.systemd import FOLDER as UNITS

STATE = "/var/lib/pybernetes/deploy"  # what a host remembers of deployments
PENDING = f"{STATE}/pending"  # a file for each daemon that has to be started anew: its files are newer than its process may be
HOST_STATE = "/etc/kubernetes/pybernetes/host.json"  # what init and join remember; `complete`: they came to their end
IMAGES = "/var/lib/pybernetes/images"  # where init, join and `image --load` pack
BROUGHT = "/opt/pybernetes"
DIGEST = f"{BROUGHT}/current/DIGEST"
LARGEST_FILE = 256 * 1024  # of which more is not read: none of ours is so large
LARGEST_NODES = 16 * 1024 * 1024
ASK_SECONDS = 5
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


class FactsError(ValueError):
    """An answer that is none."""


@dataclass(frozen=True, slots=True)
class Present:
    """A file that is there."""

    text: str
    mode: int


@dataclass(frozen=True, slots=True)
class Node:
    """A node in the API."""

    ready: bool
    labels: Mapping[str, str] = field(default_factory=dict)
    version: str = ""  # the kubelet's
    cordoned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A host as it is. `programs` are those of the asked for that it has; `brought` the digest of the installation that was brought."""

    python: str = ""  # 3.11
    machine: str = ""  # x86_64
    programs: frozenset[str] = frozenset()
    brought: str = ""
    files: Mapping[str, Present] = field(default_factory=dict)
    active: frozenset[str] = frozenset()
    pending: frozenset[str] = frozenset()
    joined: bool = False  # init or join has come to its end here
    run_with: str = ""  # systemd or supervisor, by init or join
    node_name: str = ""  # under which it has joined, or is about to
    control_plane: bool = False  # it has joined, or is about to, as a master
    interface: str = ""  # that has the host's address; "" where none has it
    nodes: Mapping[str, Node] | None = None  # None: this host's API server does not answer, or there is none


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask a host for: programs by name or path, files by path, daemons by name."""

    address: str
    programs: Sequence[str]
    files: Sequence[str]
    daemons: Sequence[str]
    pki: str = ""  # of a master: the folder of the certificates
    port: int = 0

    def script(self) -> str:
        """For `sh`; a line of output for each fact: its kind, what it is of, its values."""
        quoted = {name: " ".join(map(shlex.quote, values)) for name, values in self._lists().items()}
        lines = [
            "PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin",
            'echo "machine - $(uname -m)"',
            'python=$(python3 -c \'import sys; print("%d.%d" % sys.version_info[:2])\' 2>/dev/null) && echo "python - $python"',
            f'[ ! -r {DIGEST} ] || echo "brought - $(head -c 64 {DIGEST})"',
            f'for name in $(ls {PENDING} 2>/dev/null); do echo "pending $name -"; done',
            f"for one in {quoted['programs']}; do",
            '  case $one in /*) [ -e "$one" ] ;; *) command -v "$one" >/dev/null ;; esac && echo "program $one -"',
            "done",
            f"for file in {quoted['files']}; do",
            '  [ ! -f "$file" ] || '
            f'echo "file $file $(stat -c %a "$file") $(head -c {LARGEST_FILE} "$file" | base64 -w 0)"',
            "done",
            f"for name in {quoted['daemons']}; do",
            '  [ "$(systemctl is-active "$name" 2>/dev/null)" != active ] || echo "active $name -"',
            "done",
            f"interface=$(ip -o address show to {shlex.quote(self.address)} 2>/dev/null | head -n 1 | cut -d' ' -f2)",
            '[ -z "$interface" ] || echo "interface - $interface"',
            *self._nodes(),
            "echo 'end - -'",
        ]
        return "\n".join(lines) + "\n"

    def _lists(self) -> dict[str, Sequence[str]]:
        return {"programs": self.programs, "files": [HOST_STATE, *self.files], "daemons": self.daemons}

    def _nodes(self) -> list[str]:
        """Asked with the certificate by which the API server asks kubelets: kubeadm's administrators have it, and it is a file of its own."""
        if not self.pki:
            return []
        url = f"https://{f'[{self.address}]' if ':' in self.address else self.address}:{self.port}/api/v1/nodes?limit=5000"
        return [
            f"if [ -r {shlex.quote(f'{self.pki}/apiserver-kubelet-client.crt')} ]; then",
            f"  nodes=$({curl(self.pki, ASK_SECONDS)} -H 'Accept: {TABLE}' '{url}' 2>/dev/null) && "
            'echo "nodes - $(printf %s "$nodes" | base64 -w 0)"',
            "fi",
        ]


def curl(pki: str, seconds: int) -> str:
    """curl as an administrator of the cluster, on a master."""
    name = f"{pki}/apiserver-kubelet-client"
    words = ("--max-time", str(seconds), "--cacert", f"{pki}/ca.crt", "--cert", f"{name}.crt", "--key", f"{name}.key")
    return shlex.join(["curl", "-fsS", *words])


def read(answer: str) -> Facts:
    """Of the script's output. FactsError."""
    sections: dict[str, dict[str, list[str]]] = {}
    for line in answer.splitlines():
        kind, _, rest = line.partition(" ")
        of, *values = rest.split(" ")
        sections.setdefault(kind, {})[of] = values
    if "end" not in sections:
        raise FactsError(f"the host did not answer to the end: {answer[-200:]!r}")

    def one(kind: str) -> str:
        return " ".join(sections.get(kind, {}).get("-", []))

    files = {path: _file(path, values) for path, values in sections.get("file", {}).items()}
    state = _state(files.pop(HOST_STATE, None))
    return Facts(
        python=one("python"),
        machine=one("machine"),
        programs=frozenset(sections.get("program", {})),
        brought=one("brought"),
        files=files,
        active=frozenset(sections.get("active", {})),
        pending=frozenset(sections.get("pending", {})),
        joined=bool(state.get("complete")),
        run_with=str(state.get("runWith") or ""),
        node_name=str(state.get("nodeName") or ""),
        control_plane=bool(state.get("controlPlane")),
        interface=one("interface"),
        nodes=_nodes(one("nodes")) if "nodes" in sections else None,
    )


def unit_path(daemon: str) -> str:
    """Where its unit lies."""
    return f"{UNITS}/{daemon}.service"


def _file(path: str, values: Sequence[str]) -> Present:
    try:
        mode, content = values
        return Present(base64.b64decode(content, validate=True).decode("utf-8", "replace"), int(mode, 8))
    except (ValueError, binascii.Error) as error:
        raise FactsError(f"{path}: {error}") from error


def _state(file: Present | None) -> dict[str, Any]:
    try:
        content: Any = json.loads(file.text) if file is not None else {}
    except ValueError as error:
        raise FactsError(f"{HOST_STATE}: {error}") from error
    return content if isinstance(content, dict) else {}


def _nodes(text: str) -> dict[str, Node]:
    """Of kubectl's table: the columns STATUS and VERSION, and each row's metadata."""
    try:
        table: Any = json.loads(base64.b64decode(text))
        columns = [column["name"] for column in table["columnDefinitions"]]
        status, version = columns.index("Status"), columns.index("Version")
        return {
            row["object"]["metadata"]["name"]: Node(
                row["cells"][status].split(",")[0] == "Ready",
                row["object"]["metadata"].get("labels") or {},
                str(row["cells"][version]),
                "SchedulingDisabled" in row["cells"][status],
            )
            for row in table["rows"] or ()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FactsError(f"nodes: {error}") from error
