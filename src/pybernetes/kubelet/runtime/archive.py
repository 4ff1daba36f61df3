"""Images made in memory, as Docker's /images/load takes them (upstream: moby image/tarexport, the layout of docker save)."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

EXECUTABLE = 0o755


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What an image says of itself."""

    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    env: Sequence[str] = ()
    user: str = ""
    working_dir: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    exposed: Sequence[str] = ()
    volumes: Sequence[str] = ()
    architecture: str = "amd64"


def tar(files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    """A tar of executable files and symbolic links, without times, so that the same content is the same image."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), EXECUTABLE
            archive.addfile(entry, io.BytesIO(content))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return buffer.getvalue()


def config_json(config: ImageConfig, layer: bytes) -> bytes:
    """The image's configuration with one layer; its digest is the image's ID."""
    running: dict[str, Any] = {
        "User": config.user,
        "Env": list(config.env),
        "Entrypoint": list(config.entrypoint) or None,
        "Cmd": list(config.command) or None,
        "WorkingDir": config.working_dir,
        "Labels": dict(config.labels) or None,
        "ExposedPorts": {port: {} for port in config.exposed} or None,
        "Volumes": {path: {} for path in config.volumes} or None,
    }
    whole = {
        "architecture": config.architecture,
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {key: value for key, value in running.items() if value},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [{"created": "1970-01-01T00:00:00Z"}],
    }
    return json.dumps(whole, sort_keys=True).encode()


def layered_archive(name: str, config: ImageConfig, layer: bytes) -> bytes:
    """A tar for /images/load: one image of one layer under one name."""
    content = config_json(config, layer)
    config_name = f"{hashlib.sha256(content).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}]
    return tar({config_name: content, "layer.tar": layer, "manifest.json": json.dumps(manifest).encode()})


def image_archive(name: str, config: ImageConfig, files: Mapping[str, bytes]) -> bytes:
    """As layered_archive, of executable files."""
    return layered_archive(name, config, tar(files))
