"""What is seen of a pod on the engine, in the recordings' words."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pybernetes.kubelet.runtime import dockerconfig as d
from pybernetes.kubelet.runtime.types import LogOptions

from .node import NODE, TestNode

COMMANDS = {
    "env": ["env"],
    "resolv.conf": ["cat", "/etc/resolv.conf"],
    "hosts": ["cat", "/etc/hosts"],
    "etc-hostname": ["cat", "/etc/hostname"],
    "hostname": ["sh", "-c", "hostname; hostname -f"],
    "id": ["id"],
    "caps": ["grep", "-E", "CapPrm|CapEff|CapBnd|NoNewPrivs", "/proc/self/status"],
}
# The account's token: a secret then, projected today.
TOKEN_VOLUME = re.compile(r"kubernetes\.io~projected/kube-api-access-[a-z0-9]{5}")
HOST_NETWORK_HOSTS = "# Kubernetes-managed hosts file (host network).\n"


@dataclass(slots=True)
class Seen:
    """`docker inspect` of a pod's newest containers."""

    sandbox: dict[str, Any] = field(default_factory=dict)
    containers: dict[str, Any] = field(default_factory=dict)
    created: list[str] = field(default_factory=list)


class Observer:
    """For one case."""

    def __init__(self, node: TestNode, saved: dict[str, str]) -> None:
        self._node, self._saved = node, saved

    def neutral(self, value: Any) -> Any:
        """With this run's paths and addresses as the recordings have them."""
        if isinstance(value, str):
            text = value.replace(str(self._node.folder / "kubelet"), "/var/lib/kubelet")
            text = text.replace(str(self._node.folder / "logs"), "/var/log/pods")
            return TOKEN_VOLUME.sub("kubernetes.io~secret/default-token-<hash>", text)
        if isinstance(value, list):
            return [self.neutral(v) for v in value]
        return {self.neutral(k): self.neutral(v) for k, v in value.items()} if isinstance(value, dict) else value

    async def containers(self, pod: dict[str, Any]) -> Seen:
        uid = (
            pod["metadata"]["annotations"].get("kubernetes.io/config.hash")
            if pod["metadata"].get("annotations")
            else None
        )
        label = f"{d.POD_UID}={uid or pod['metadata']['uid']}"
        entries = await self._node.runtime.api.get("/containers/json", {"all": True, "filters": {"label": [label]}})
        seen = Seen()
        inspected = [await self._node.runtime.api.get(f"/containers/{e['Id']}/json") for e in entries]
        for one in sorted(inspected, key=lambda c: str(c["Created"])):
            labels = one["Config"]["Labels"]
            name = labels[d.CONTAINER_NAME]
            seen.created.append(name)
            neutral = self._node_names(
                self.neutral(one), one["HostConfig"]["NetworkMode"] == "host" or one["HostConfig"]["UTSMode"] == "host"
            )
            if labels[d.CONTAINER_TYPE] == d.SANDBOX:
                seen.sandbox = neutral
            else:
                seen.containers[name] = neutral
        return seen

    @staticmethod
    def _node_names(inspected: dict[str, Any], host: bool) -> dict[str, Any]:
        """The recorded machine was called as its node."""
        if host and inspected["Config"]["Hostname"] == socket.gethostname():
            inspected["Config"]["Hostname"] = NODE
        return inspected

    async def log(self, container: dict[str, Any]) -> str:
        pieces = [p async for p in self._node.runtime.logs(container["Id"], LogOptions())]
        return b"".join(pieces).decode(errors="replace")

    async def inside(self, container: dict[str, Any], command: str) -> str:
        words = COMMANDS.get(command) or ["sh", "-c", command.replace("{ns}", self._saved["ns"])]
        result = await self._node.runtime.exec_sync(container["Id"], words, 20)
        text = str(self.neutral(result.output.decode(errors="replace")))
        if container["HostConfig"]["UTSMode"] == "host":
            text = (
                re.sub(rf"\b{re.escape(socket.gethostname())}\b", NODE, text)
                if command in ("env", "hostname", "etc-hostname")
                else text
            )
        if command == "hosts" and text.startswith(HOST_NETWORK_HOSTS):
            recorded = f"127.0.0.1 localhost\n{self._node.ip} {NODE}\n"
            text = text.replace(Path("/etc/hosts").read_text(), recorded)
        return text


def history_entry(event: dict[str, Any]) -> dict[str, Any]:
    """A watch event as the recordings sum it up."""
    pod, status = event["object"], event["object"].get("status", {})
    entry: dict[str, Any] = {"event": event["type"], "pod": pod["metadata"]["name"], "phase": status.get("phase")}
    if pod["metadata"].get("deletionTimestamp"):
        entry["deleting"] = pod["metadata"].get("deletionGracePeriodSeconds", 0)
    entry["conditions"] = {
        c["type"]: " ".join(part for part in (c["status"], c.get("reason", "")) if part)
        for c in status.get("conditions", [])
    }
    containers = {}
    for one in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        (kind, state), *_ = [*one.get("state", {}).items(), ("waiting", {})]
        words = [kind, state.get("reason", "")]
        containers[one["name"]] = " ".join([*words, *([str(state["exitCode"])] if "exitCode" in state else [])])
    if containers:
        entry["containers"] = containers
    return entry
