"""What can be done to a host, as data: each action is a shell script to run there as root, and words for people. Pure.

Each may be run again after it was cut off anywhere. None has a secret in it: keys are made where they are used, and what a host needs to
join is got by `execute` at the moment of joining.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from ..daemons.model import Check, Daemon, File
from .facts import BROUGHT, IMAGES, PENDING, curl

WELL_SECONDS = 60  # for a daemon to be well after its start; etcd waits for a second member, an API server for etcd
RUN_JOIN = "/run/pybernetes/join.yaml"
INIT_FILE = "/etc/pybernetes/init.yaml"
LOG_LINES = 20
RUN_WITH = "--run-with=systemd"
# Of `upgrade apply`, which deploy has done by itself.
HOSTS_PHASES = "preflight,backup,control-plane,upload-config,kubelet-config"
DRAIN_TIMEOUT = "10m"  # ACTION_SECONDS of `execute` are twice as long


@dataclass(frozen=True, slots=True)
class Install:
    """Packages of Debian's."""

    packages: tuple[str, ...]

    def title(self) -> str:
        return f"install {', '.join(self.packages)}"

    def script(self) -> str:
        """What they start by themselves is not what is wanted here: it is kept from starting."""
        names = " ".join(map(shlex.quote, self.packages))
        return (
            "export DEBIAN_FRONTEND=noninteractive\n"
            "kept=/usr/sbin/policy-rc.d\n"
            "if [ ! -e $kept ]; then printf '#!/bin/sh\\nexit 101\\n' >$kept; chmod +x $kept; trap 'rm -f $kept' EXIT; fi\n"
            f"apt-get install -y --no-install-recommends {names} || "
            f"{{ apt-get update && apt-get install -y --no-install-recommends {names}; }}"
        )


@dataclass(frozen=True, slots=True)
class Bring:
    """This installation, packed: `execute` sends it to the script's input. `daemons` run from an older one, and have to be started anew."""

    digest: str
    daemons: tuple[str, ...] = ()

    def title(self) -> str:
        return f"bring pybernetes ({self.digest[:12]}) to {BROUGHT}/{self.digest[:12]}"

    def script(self) -> str:
        """Complete or not there. The one before stays, since it runs still; older ones go."""
        notes = "".join(f": >{PENDING}/{name}\n" for name in self.daemons)
        place = f"{BROUGHT}/{self.digest[:12]}"
        return (
            f"rm -rf {place}.new\n"
            f"mkdir -p {place}.new\n"
            f"tar -xz -C {place}.new\n"
            f"printf %s {self.digest} >{place}.new/DIGEST\n"
            f"rm -rf {place}\n"
            f"mv {place}.new {place}\n"
            f"mkdir -p {PENDING}\n"
            f"{notes}"
            f"for old in {BROUGHT}/*/DIGEST; do\n"
            f"  old=${{old%/DIGEST}}\n"
            f'  case $old in {place} | {BROUGHT}/current | $(readlink -f {BROUGHT}/current)) ;; *) rm -rf "$old" ;; esac\n'
            "done\n"
            f"ln -sfn {self.digest[:12]} {BROUGHT}/current.new\n"
            f"rm -f {IMAGES}/*.tar\n"  # of the one before
            f"mv -T {BROUGHT}/current.new {BROUGHT}/current\n"
            f"ln -sf {BROUGHT}/current/bin/pybernetes /usr/local/bin/pybernetes\n"
            "pybernetes version >/dev/null"
        )


@dataclass(frozen=True, slots=True)
class Enable:
    """A unit that a package brings."""

    unit: str

    def title(self) -> str:
        return f"start {self.unit}"

    def script(self) -> str:
        return f"systemctl enable --now {self.unit}"


@dataclass(frozen=True, slots=True)
class Disable:
    """A unit that a package brings, and that is in the way of what is to run here."""

    unit: str

    def title(self) -> str:
        return f"stop {self.unit}"

    def script(self) -> str:
        return f"systemctl disable --now {self.unit}"


@dataclass(frozen=True, slots=True)
class Pack:
    """Images of add-ons, by name, for the host's Docker: of its pybernetes and, for Ingresses, its nginx."""

    images: tuple[str, ...]
    program: str = "pybernetes"

    def title(self) -> str:
        return f"pack {', '.join(self.images)}"

    def script(self) -> str:
        return "\n".join(f"{self.program} image --load --contents={name}" for name in self.images)


@dataclass(frozen=True, slots=True)
class Renew:
    """A daemon's files and its new start. `before` has the texts of the files that are there, by path."""

    daemon: Daemon
    files: tuple[File, ...]  # those that differ
    before: tuple[tuple[str, str], ...] = ()
    reload: bool = False  # reading its files anew is enough

    def title(self) -> str:
        names = f"write {', '.join(file.path for file in self.files)}; " if self.files else ""
        return f"{names}{'reload' if self.reload else 'start'} {self.daemon.name}"

    def script(self) -> str:
        """The note that it is to be started anew comes before its files, and goes when it is well."""
        name = self.daemon.name
        note = f"{PENDING}/{name}"
        start = f"systemctl enable {name} 2>/dev/null\nsystemctl restart --no-block {name}"
        run = shlex.join(self.daemon.reload) if self.reload else start
        lines = [f"mkdir -p {PENDING}", f": >{note}", *map(written, self.files), "systemctl daemon-reload", run]
        if self.daemon.check is not None:
            lines.append(well(self.daemon.name, self.daemon.check))
        return "\n".join([*lines, f"rm -f {note}"])


@dataclass(frozen=True, slots=True)
class Initialise:
    """The first master: `pybernetes init` with this file. `daemons` are what it then runs, for who reads the plan."""

    configuration: str
    daemons: tuple[Daemon, ...]
    program: str = "pybernetes"

    def title(self) -> str:
        return "make it the cluster's first master"

    def script(self) -> str:
        file = File(INIT_FILE, self.configuration, 0o600)
        return f"{written(file)}\n{self.program} init --config={INIT_FILE} --skip-token-print {RUN_WITH}"


@dataclass(frozen=True, slots=True)
class Join:
    """A further host: `pybernetes join`, with a file that is made when it is done, since it holds a token; `shown` is it without that."""

    control_plane: bool
    shown: str
    daemons: tuple[Daemon, ...]
    program: str = "pybernetes"

    def title(self) -> str:
        return "join it as a master" if self.control_plane else "join it as a worker"

    def script(self) -> str:
        """The file comes by the script's input, and stays for the time of the command."""
        return (
            f"mkdir -p {RUN_JOIN.rpartition('/')[0]}\n"
            f"trap 'rm -f {RUN_JOIN}' EXIT\n"
            f"(umask 077; cat >{RUN_JOIN})\n"
            f"{self.program} join --config={RUN_JOIN} {RUN_WITH}"
        )


@dataclass(frozen=True, slots=True)
class Label:
    """Labels of a node, by the API server of a master; what the file does not name stays."""

    node: str
    labels: tuple[tuple[str, str], ...]
    pki: str
    url: str

    def title(self) -> str:
        return f"label the node {self.node}: {', '.join(f'{key}={value}' for key, value in self.labels)}"

    def script(self) -> str:
        import json

        patch = json.dumps({"metadata": {"labels": dict(self.labels)}})
        header = "Content-Type: application/merge-patch+json"
        return (
            f"{curl(self.pki, 10)} --output /dev/null -X PATCH -H {shlex.quote(header)} --data {shlex.quote(patch)} "
            f"{shlex.quote(f'{self.url}/api/v1/nodes/{self.node}')}"
        )


@dataclass(frozen=True, slots=True)
class Upload:
    """The cluster's own copy of its configuration, for hosts that join later; by a master. `version`: it is another one from now on, and
    rights and add-ons are those of the new release. `addons`: others than before are asked for."""

    configuration: str
    program: str = "pybernetes"
    version: str = ""
    addons: bool = False

    def title(self) -> str:
        rest = f", rights and add-ons: it is {self.version}" if self.version else ", and its add-ons" * self.addons
        return f"have the cluster remember its new configuration{rest}"

    def script(self) -> str:
        """The file is there when the cluster has it."""
        new = f"{INIT_FILE}.uploaded"
        upgrade = f"{self.program} upgrade apply --yes --skip-phases={HOSTS_PHASES}\n" if self.version else ""
        if self.addons and not self.version:
            upgrade = f"{self.program} init phase addon further --config={new}\n"
        return (
            f"{written(File(new, self.configuration, 0o600))}\n"
            f"{self.program} init phase upload-config all --config={new}\n"
            f"{upgrade}"
            f"mv {new} {INIT_FILE}"
        )


@dataclass(frozen=True, slots=True)
class Backup:
    """Of a master with all objects, before the cluster goes to another version."""

    file: str
    program: str = "pybernetes"

    def title(self) -> str:
        return f"write a backup, {self.file}"

    def script(self) -> str:
        folder = self.file.rpartition("/")[0]
        return f"mkdir -p -m 0700 {shlex.quote(folder)}\n{self.program} backup {shlex.quote(self.file)}"


@dataclass(frozen=True, slots=True)
class Drain:
    """By a master: a node's pods leave before its kubelet becomes one of another minor version, as upstream asks for; `back`: new ones may come."""

    node: str
    back: bool = False
    program: str = "pybernetes"

    def title(self) -> str:
        return f"uncordon {self.node}" if self.back else f"drain {self.node}"

    def script(self) -> str:
        """Pods that no controller makes anew, or whose data would be lost, are somebody's business: it fails, and names them."""
        if self.back:
            return f"{self.program} node uncordon {self.node}"
        return f"{self.program} node drain {self.node} --ignore-daemonsets --timeout={DRAIN_TIMEOUT}"


Action = Install | Bring | Enable | Disable | Pack | Renew | Initialise | Join | Label | Upload | Backup | Drain


def written(file: File) -> str:
    """The shell's words for a file: it is replaced in one step."""
    marker = "END"
    while marker in file.text:
        marker += "-"
    new = shlex.quote(f"{file.path}.new")
    folder = shlex.quote(file.path.rpartition("/")[0])
    text = file.text if file.text.endswith("\n") else f"{file.text}\n"
    return (
        f"mkdir -p {folder}\n"
        f"(umask 077; cat >{new}) <<'{marker}'\n{text}{marker}\n"
        f"chmod {file.mode:04o} {new}\n"
        f"sync {new}\n"
        f"mv {new} {shlex.quote(file.path)}"
    )


def well(name: str, check: Check, seconds: int = WELL_SECONDS) -> str:
    """Waits until a daemon is well; else its last words and exit code 1."""
    return (
        f"end=$(($(date +%s) + {seconds}))\n"
        f"until {probe(check)}; do\n"
        f"  if [ $(date +%s) -ge $end ]; then\n"
        f"    echo '{name} is not well after {seconds} s. Its last words:' >&2\n"
        f"    journalctl -u {name} -n {LOG_LINES} --no-pager >&2\n"
        "    exit 1\n"
        "  fi\n"
        "  sleep 0.5\n"
        "done"
    )


def probe(check: Check) -> str:
    """A command that succeeds where the daemon is well."""
    if check.url:
        words: Sequence[str] = ("curl", "-fs", "--max-time", "3", "--output", "/dev/null")
        trust = ["--cacert", check.authority] if check.authority else ["--insecure"]
        return shlex.join([*words, *trust, check.url])
    return shlex.join(["timeout", "3", "bash", "-c", f"</dev/tcp/{_slashed(check.address)}"]) + " 2>/dev/null"


def _slashed(address: str) -> str:
    host, _, port = address.rpartition(":")
    return f"{host.strip('[]')}/{port}"
