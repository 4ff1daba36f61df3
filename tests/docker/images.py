"""The images of the recordings, made from busybox-static, and a registry to pull one of them from (see golden/node/README.md)."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pybernetes.kubelet.runtime.archive import ImageConfig, config_json, layered_archive, tar
from pybernetes.wire.http import Request, Response

BUSYBOX = "busybox:1.29"
REGISTRY_PORT = 5000
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
PASSWD = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n"
GROUP = b"root:x:0:\n"

CONFIGS = {
    "img/nonroot:1": ImageConfig(command=("sh",), env=(PATH,), user="1234"),
    "img/named:1": ImageConfig(command=("sh",), env=(PATH,), user="nobody"),
    "img/full:1": ImageConfig(
        entrypoint=("/bin/sh", "-c"),
        command=("echo image-cmd; sleep 3600",),
        env=("IMAGE_VAR=from-image", "OVERRIDE=image", "PATH=/bin:/usr/bin"),
        working_dir="/srv",
        labels={"image.label": "x"},
        exposed=("8080/tcp",),
        volumes=("/data",),
    ),
}
PLAIN = ImageConfig(command=("sh",), env=(PATH,))


@cache
def layer() -> bytes:
    """A root file system of busybox and its applets."""
    binary = shutil.which("busybox")
    if binary is None:
        raise RuntimeError("busybox is not installed: install the package busybox-static")
    applets = subprocess.run([binary, "--list"], capture_output=True, check=True, text=True).stdout.split()
    files = {"bin/busybox": Path(binary).read_bytes(), "etc/passwd": PASSWD, "etc/group": GROUP}
    links = {f"bin/{applet}": "busybox" for applet in applets if applet != "busybox"}
    return tar(files, links)


def archives() -> Iterator[bytes]:
    """For /images/load."""
    for name, config in CONFIGS.items():
        yield layered_archive(name, config, layer())


class Registry:
    """Serves one image as ok:1; everything else is unknown, in the words of Docker's registry."""

    def __init__(self) -> None:
        config, packed = config_json(PLAIN, layer()), gzip.compress(layer(), 1, mtime=0)
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._descriptor("application/vnd.docker.container.image.v1+json", config),
            "layers": [self._descriptor("application/vnd.docker.image.rootfs.diff.tar.gzip", packed)],
        }
        self._manifest = json.dumps(manifest).encode()
        self.digest = self._digest(self._manifest)
        self._blobs = {self._digest(data): data for data in (config, packed, self._manifest)}

    @staticmethod
    def _digest(data: bytes) -> str:
        return f"sha256:{hashlib.sha256(data).hexdigest()}"

    def _descriptor(self, kind: str, data: bytes) -> dict[str, Any]:
        return {"mediaType": kind, "size": len(data), "digest": self._digest(data)}

    async def handle(self, request: Request) -> Response:
        path = request.raw_path.decode()
        if path == "/v2/":
            return Response(200, [("Docker-Distribution-API-Version", "registry/2.0")], b"{}")
        match = re.fullmatch(r"/v2/(.+)/(manifests|blobs)/([^/]+)", path)
        if match and match[1] == "ok" and match[2] == "manifests" and match[3] in ("1", self.digest):
            headers = [("Content-Type", MANIFEST), ("Docker-Content-Digest", self._digest(self._manifest))]
            return Response(200, headers, self._manifest)
        if match and match[2] == "blobs" and match[3] in self._blobs:
            return Response(200, [("Content-Type", "application/octet-stream")], self._blobs[match[3]])
        detail = {"Tag": path.rpartition("/")[2]}
        error = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown", "detail": detail}]}
        return Response(404, [("Content-Type", "application/json")], json.dumps(error).encode())
