"""docs/security.md does what it says: its files are taken, its commands run, in its order."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from .test_command import Running
from .test_encryption import SECRET, SECRETS, WORD, stored

DOCUMENT = Path(__file__).parents[2] / "docs" / "security.md"
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", DOCUMENT.read_text(), re.S | re.M)
BEFORE = [
    "{",
    "k8s:enc:aesgcm:v1:key1:",
    "k8s:enc:aesgcm:v1:key1:",
]  # what is stored when each encryption.yaml is there


def test_the_document(tmp_path: Path) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    server = Running(tmp_path)
    cluster = {"server": f"https://127.0.0.1:{server.port}", "insecure-skip-tls-verify": True}
    config = {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    environment = {**os.environ, "KUBECONFIG": str(tmp_path / "kubeconfig"), "HOME": str(tmp_path)}
    own, seen = list(server.flags), []
    server.start()
    server.ask("POST", SECRETS, SECRET)
    try:
        for language, text in BLOCKS:
            if language == "yaml":
                name = text.partition("\n")[0].removeprefix("# ")
                (tmp_path / name).write_text(text)
                assert yaml.safe_load(text)["kind"] in ("EncryptionConfiguration", "Policy")
                if name == "encryption.yaml":
                    seen.append(stored(tmp_path))
                    server.kill()
                    server.flags = [*own, f"--encryption-provider-config={tmp_path}/{name}"]
                    server.start()
            elif language == "sh" and "kubectl" in text:
                subprocess.run(text, shell=True, check=True, env=environment, capture_output=True, timeout=60)
            elif language == "sh":
                key = subprocess.run(text, shell=True, check=True, capture_output=True, timeout=60).stdout
                assert len(base64.b64decode(key)) == 32
            else:
                server.kill()
                given = re.sub(r"=(\w+\.(?:yaml|log))", rf"={tmp_path}/\1", text).split()
                assert given[:2] == [".venv/bin/pybernetes", "kube-apiserver"]
                server.flags = [*own, *given[2:]]
                if "encryption" not in text:
                    server.flags.append(f"--encryption-provider-config={tmp_path}/encryption.yaml")
                server.start()
        assert [value.decode("latin-1")[: len(start)] for value, start in zip(seen, BEFORE, strict=True)] == BEFORE
        assert stored(tmp_path).startswith(b"k8s:enc:aesgcm:v1:key2:")
        assert base64.b64decode(server.ask("GET", f"{SECRETS}/s")["data"]["word"]).decode() == WORD
        server.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}})
    finally:
        server.kill()
    log = (tmp_path / "audit.log").read_text()
    events = [json.loads(line) for line in log.splitlines()]
    assert [(one["level"], one["verb"], one["objectRef"]["resource"]) for one in events] == [
        ("Metadata", "get", "secrets"),
        ("Request", "create", "namespaces"),
    ]
    assert WORD not in log and SECRET["data"]["word"] not in log  # type: ignore[index]
