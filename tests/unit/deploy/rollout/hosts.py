"""Hosts that are no more than what they say of themselves: what a plan's scripts would do to them is done to that."""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

from pybernetes.api.version import KUBELET
from pybernetes.deploy.daemons.model import MASTER, Cluster, Host
from pybernetes.deploy.rollout import clusterfile, facts, wanted
from pybernetes.deploy.rollout.execute import Program, Rollout
from pybernetes.deploy.rollout.plan import Stage
from pybernetes.deploy.rollout.ssh import Result, Unreachable

PROGRAM = Program("", "d" * 64, "3.11", "x86_64", lambda: b"packed")
TOKEN = "abcdef.0123456789abcdef"
KEY = "k" * 64
WRITTEN = re.compile(r"cat >(\S+)\.new\) <<'(END-*)'\n(.*?)\2\nchmod (\d+) ", re.DOTALL)
SHOWN_SECRETS = (TOKEN, "ab" * 32)


class Cut(Exception):
    """Stands for the kill of who deploys."""


@dataclass
class World:
    """All hosts by name. `cut_after`: so many scripts are run to their end before everything stops."""

    rollout: Rollout
    hosts: dict[str, FakeHost]
    scripts: list[tuple[str, str]] = field(default_factory=list)
    cut_after: int = -1

    @property
    def cluster(self) -> Cluster:
        return clusterfile.cluster(self.rollout.description, {name: "eth0" for name in self.hosts})


@dataclass
class FakeHost:
    """`fails` is a pattern of scripts that fail on it; `away` why it cannot be reached."""

    name: str
    address: str
    master: bool
    world: World | None = None
    files: dict[str, tuple[str, int]] = field(default_factory=dict)
    programs: set[str] = field(default_factory=set)
    active: set[str] = field(default_factory=set)
    pending: set[str] = field(default_factory=set)
    labels: dict[str, str] = field(default_factory=dict)
    brought: str = ""
    version: str = KUBELET
    ready: bool = True
    joined: bool = False
    fails: str = ""
    away: str = ""

    async def run(self, script: str, data: bytes = b"", seconds: float = 600.0) -> Result:
        if self.away:
            raise Unreachable(self.away)
        if script.endswith("echo 'end - -'\n"):
            return Result(0, "".join(f"{line}\n" for line in self.answer(script)), "")
        assert self.world is not None
        if self.world.cut_after == 0:
            raise Cut
        self.world.cut_after -= 1
        if script.startswith("exec flock"):
            script = shlex.split(script)[-1]
        self.world.scripts.append((self.name, script))
        if self.fails and re.search(self.fails, script):
            return Result(1, "", f"{self.name} says no")
        return Result(0, self.done(script), "")

    def answer(self, script: str) -> list[str]:
        """As the script's."""
        lines = ["python - 3.11", "machine - x86_64", "interface - eth0", f"brought - {self.brought}"]
        lines += [f"program {name} -" for name in ("python3", "ip", *sorted(self.programs))]
        lines += [f"active {name} -" for name in self.active]
        lines += [f"pending {name} -" for name in self.pending]
        known = dict(self.files)
        if self.joined:
            known[facts.HOST_STATE] = (
                json.dumps(
                    {"complete": True, "runWith": "systemd", "nodeName": self.name, "controlPlane": self.master}
                ),
                0o600,
            )
        for path, (text, mode) in known.items():
            lines.append(f"file {path} {mode:o} {base64.b64encode(text.encode()).decode()}")
        if self.master and self.joined:
            assert self.world is not None
            rows = [
                {
                    "cells": [host.name, "Ready" if host.ready else "NotReady", host.version],
                    "object": {"metadata": {"name": host.name, "labels": host.labels}},
                }
                for host in self.world.hosts.values()
                if host.joined
            ]
            table = {"columnDefinitions": [{"name": "Name"}, {"name": "Status"}, {"name": "Version"}], "rows": rows}
            lines.append(f"nodes - {base64.b64encode(json.dumps(table).encode()).decode()}")
        return [*lines, "end - -"]

    def done(self, script: str) -> str:
        """What it prints."""
        assert self.world is not None
        for path, _, text, mode in WRITTEN.findall(script):
            self.files[path] = (text, int(mode, 8))
        for old, new in re.findall(r"^mv (\S+) (\S+)$", script, re.MULTILINE):
            if old in self.files:
                self.files[new] = self.files.pop(old)
        if found := re.search(r" backup (\S+)$", script):
            self.programs.add(found[1])
        if "apt-get install" in script:
            aim = wanted.wanted(self.world.cluster, self._host())
            self.programs |= set(aim.needs)
        if found := re.search(r"printf %s (\w{64})", script):
            self.brought = found[1]
        self.pending |= set(re.findall(r"^: >/var/lib/pybernetes/deploy/pending/(\S+)$", script, re.MULTILINE))
        self.pending -= set(re.findall(r"^rm -f /var/lib/pybernetes/deploy/pending/(\S+)$", script, re.MULTILINE))
        self.active |= set(re.findall(r"systemctl (?:restart --no-block|enable --now) (\S+)", script))
        self.active -= set(re.findall(r"systemctl disable --now (\S+)", script))
        if f"rm -f {facts.IMAGES}/*.tar" in script:
            self.programs = {name for name in self.programs if not name.startswith(facts.IMAGES)}
        self.programs |= {f"{facts.IMAGES}/{name}.tar" for name in re.findall(r"image --load --contents=(\S+)", script)}
        if " init --config=" in script or " join --config=" in script:
            self.joined = True
            self.programs |= set(wanted.wanted(self.world.cluster, self._host()).images.values())
            for daemon in wanted.wanted(self.world.cluster, self._host()).daemons:
                self.active.add(daemon.name)
                for file in wanted.files(daemon):
                    self.files[file.path] = (file.text, file.mode)
        for patch, node in re.findall(r"--data '(\{.*\})' \S*/nodes/(\S+)$", script, re.MULTILINE):
            self.world.hosts[node].labels |= json.loads(patch)["metadata"]["labels"]
        if "token create" in script:
            join = f"pybernetes join 10.0.0.1:6443 --token {TOKEN} --discovery-token-ca-cert-hash sha256:{'0' * 64}\n"
            return join + ("key:\n" + "ab" * 32 + "\n" if "upload-certs" in script else "")
        return ""

    def _host(self) -> Host:
        assert self.world is not None
        return next(host for host in self.world.cluster.hosts if host.name == self.name)


class Silent:
    """Keeps what was shown."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.shown: list[str] = []

    def stage(self, stage: Stage) -> None:
        self.stages.append(stage.title)

    def action(self, host: str, title: str) -> None:
        self.shown.append(f"{host}: {title}")

    def ended(self, host: str, problem: str = "") -> None:
        self.shown.append(f"{host}: {problem or 'ended'}")


def world(text: str, limit: Sequence[str] = (), before: World | None = None) -> World:
    """Of a file's text; `before` has the hosts as they are."""
    description = clusterfile.read(text)
    hosts = {} if before is None else dict(before.hosts)
    for entry in description.entry.hosts:
        hosts.setdefault(entry.name, FakeHost(entry.name, entry.address, MASTER in entry.roles))
    made = World(Rollout(description, hosts, PROGRAM, frozenset(limit)), hosts)
    for host in hosts.values():
        host.world = made
    return made
