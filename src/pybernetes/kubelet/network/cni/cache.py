"""What plugins did to whom, in libcni's files: DEL and CHECK are told it, also by the next kubelet (upstream: libcni/api.go cachedInfo).

libcni writes a file once a chain is through. Here it is there before the first plugin runs, and has the result of each that has:
whatever a kubelet was killed in the midst of is undone by the next one. Until the chain is through it says `"incomplete": true`.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pybernetes.files import PRIVATE_DIRECTORY, make_private_directory, open_private

from .arguments import SANDBOX_ARGUMENT, UID_ARGUMENT, RuntimeConf
from .configuration import Config

logger = logging.getLogger(__name__)

KIND = "cniCacheV1"
FOLDER = "results"
MAX_BYTES = 8 << 20  # of a file: configuration, results and a pod's annotations


@dataclass(frozen=True, slots=True)
class Attachment:
    """A container on a network, or on its way onto it or off it. `config`: the network's document that it was added by."""

    network: str
    config: bytes
    conf: RuntimeConf
    result: Config | None = None
    incomplete: bool = False

    @property
    def pod_uid(self) -> str:
        return dict(self.conf.args).get(UID_ARGUMENT, "")

    @property
    def is_sandbox(self) -> bool:
        """Whether a kubelet's pod has it; other programs may use the folder, too."""
        return dict(self.conf.args).get(SANDBOX_ARGUMENT) == self.conf.container_id

    @property
    def file_name(self) -> str:
        return file_name(self.network, self.conf)


def file_name(network: str, conf: RuntimeConf) -> str:
    return f"{network}-{conf.container_id}-{conf.ifname}"


def encode(attachment: Attachment) -> bytes:
    conf = attachment.conf
    document: Config = {
        "kind": KIND,
        "containerId": conf.container_id,
        "config": base64.b64encode(attachment.config).decode(),
        "ifName": conf.ifname,
        "networkName": attachment.network,
        "netns": conf.netns,
        "cniArgs": [list(pair) for pair in conf.args],
        "capabilityArgs": dict(conf.capability_args),
    }
    if attachment.result is not None:
        document["result"] = attachment.result
    if attachment.incomplete:
        document["incomplete"] = True
    return json.dumps(document).encode()


def decode(data: bytes) -> Attachment | None:
    """None for what is no attachment's file, or of libcni's first form, which names no container."""
    try:
        document = json.loads(data)
        if not isinstance(document, dict) or document.get("kind") != KIND:
            return None
        config = base64.b64decode(_typed(document, "config", str, ""), validate=True)
        args = tuple((str(key), str(value)) for key, value in _typed(document, "cniArgs", list, []))
        conf = RuntimeConf(
            _typed(document, "containerId", str, ""),
            _typed(document, "netns", str, ""),
            _typed(document, "ifName", str, ""),
            args,
            _typed(document, "capabilityArgs", dict, {}),
        )
        network, result = _typed(document, "networkName", str, ""), _typed(document, "result", dict, None)
    except (ValueError, TypeError, RecursionError, binascii.Error):
        return None
    if not (network and conf.container_id and conf.ifname):
        return None
    return Attachment(network, config, conf, result, document.get("incomplete") is True)


def _typed(document: Mapping[str, Any], name: str, kind: type, default: Any) -> Any:
    value = document.get(name)
    if value is None:
        return default
    if not isinstance(value, kind):
        raise TypeError(name)
    return value


@dataclass(slots=True)
class Cache:
    """--cni-cache-dir. Blocking, but short: files of some kB. OSError."""

    directory: Path
    _unreadable: set[str] = field(default_factory=set)

    @property
    def folder(self) -> Path:
        return self.directory / FOLDER

    def write(self, attachment: Attachment, durable: bool = False) -> None:
        """In one step. `durable`: it is on the disk when this returns."""
        make_private_directory(self.folder, PRIVATE_DIRECTORY)
        path = self.folder / attachment.file_name
        fresh = path.with_name(f".{path.name}")
        with os.fdopen(open_private(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as file:
            file.write(encode(attachment))
            if durable:
                file.flush()
                os.fsync(file.fileno())
        fresh.replace(path)

    def read(self, network: str, conf: RuntimeConf) -> Attachment | None:
        return self._read(self.folder / file_name(network, conf))

    def remove(self, network: str, conf: RuntimeConf) -> None:
        """One that is gone is no error."""
        (self.folder / file_name(network, conf)).unlink(missing_ok=True)

    def attachments(self, container_id: str = "") -> list[Attachment]:
        """By file name: all, or a container's."""
        try:
            names = sorted(os.listdir(self.folder))
        except FileNotFoundError:
            return []
        named = (name for name in names if not name.startswith(".") and f"-{container_id}" in name)
        attachments = [self._read(self.folder / name) for name in named]
        return [one for one in attachments if one is not None and container_id in ("", one.conf.container_id)]

    def _read(self, path: Path) -> Attachment | None:
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        attachment = decode(data) if len(data) <= MAX_BYTES else None
        if attachment is not None and attachment.file_name == path.name:
            return attachment
        if path.name not in self._unreadable:
            self._unreadable.add(path.name)
            logger.warning("%s tells of no attachment to a network; it is left as it is", path)
        return None
