"""What is remembered of attachments, in libcni's files."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from pybernetes.kubelet.network.cni.arguments import RuntimeConf
from pybernetes.kubelet.network.cni.cache import Attachment, Cache, decode, encode

ARGS = (("IgnoreUnknown", "1"), ("K8S_POD_INFRA_CONTAINER_ID", "c1"), ("K8S_POD_UID", "u1"))
CONF = RuntimeConf("c1", "/var/run/netns/cni-c1", "eth0", ARGS, {"portMappings": [{"hostPort": 80}]})
WHOLE = Attachment("pods", b'{"name": "pods"}', CONF, {"cniVersion": "1.0.0"})


@pytest.mark.parametrize(
    "attachment", [WHOLE, Attachment("pods", b"", CONF, None, True), Attachment("n", b"{}", RuntimeConf("c", "", "lo"))]
)
def test_it_comes_back(attachment: Attachment) -> None:
    assert decode(encode(attachment)) == attachment


def test_libcnis_fields() -> None:
    assert json.loads(encode(WHOLE)) == {
        "kind": "cniCacheV1",
        "containerId": "c1",
        "config": base64.b64encode(b'{"name": "pods"}').decode(),
        "ifName": "eth0",
        "networkName": "pods",
        "netns": "/var/run/netns/cni-c1",
        "cniArgs": [list(pair) for pair in ARGS],
        "capabilityArgs": {"portMappings": [{"hostPort": 80}]},
        "result": {"cniVersion": "1.0.0"},
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "cniCacheV2"},
        {"containerId": 5},
        {"containerId": ""},
        {"networkName": None},
        {"config": "%"},
        {"config": {}},
        {"cniArgs": [["a"]]},
        {"cniArgs": {}},
        {"capabilityArgs": []},
        {"result": "x"},
    ],
)
def test_what_tells_of_no_attachment(changes: dict[str, Any]) -> None:
    assert decode(json.dumps(json.loads(encode(WHOLE)) | changes).encode()) is None


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"cniVersion": "0.3.1", "ips": []}'])
def test_what_is_no_record(data: bytes) -> None:
    assert decode(data) is None


def test_a_file_under_another_name_is_nobodys(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.write(WHOLE, durable=True)
    (tmp_path / "results" / "pods-c2-eth0").write_bytes(encode(WHOLE))
    (tmp_path / "results" / ".pods-c3-eth0").write_bytes(encode(WHOLE))  # half of a write
    assert cache.attachments() == [WHOLE] == cache.attachments("c1") and cache.attachments("c2") == []
    assert cache.read("pods", CONF) == WHOLE and WHOLE.is_sandbox and WHOLE.pod_uid == "u1"
    assert (tmp_path / "results" / "pods-c1-eth0").stat().st_mode & 0o777 == 0o600
    cache.remove("pods", CONF)
    cache.remove("pods", CONF)
    assert cache.attachments() == [] and cache.read("pods", CONF) is None
