"""Encryption at rest by the command line: what lies in the file, what a rotation does, what is said of values without a key."""

from __future__ import annotations

import base64
import json
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..unit.apiserver.encryption.plugin import Plugin, served
from ..unit.apiserver.encryption.test_provider import IDENTITY, configured, provider
from .test_command import Running

SECRETS = "/api/v1/namespaces/default/secrets"
KEY = "/registry/core/secrets/default/s"
WORD = "correct horse battery staple"
SECRET = {"metadata": {"name": "s"}, "data": {"word": base64.b64encode(WORD.encode()).decode()}}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path)
    running.flags.append(f"--encryption-provider-config={tmp_path}/encryption.yaml")
    yield running
    if running.process.poll() is None:
        running.kill()


def configure(server: Running, folder: Path, *providers: dict[str, Any]) -> None:
    """A new configuration, and a server that has read it."""
    if hasattr(server, "process"):
        server.kill()
    configured(folder / "encryption.yaml", (["secrets"], list(providers)))
    server.start()


def stored(folder: Path, key: str = KEY) -> bytes:
    """The value as it lies in the file."""
    with sqlite3.connect(f"file:{folder}/data/state.db?mode=ro", uri=True) as file:
        [table] = [
            name
            for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type='table'")
            if {"key", "value"} <= {row[1] for row in file.execute(f"PRAGMA table_info({name})")}
        ]
        found = file.execute(f"SELECT value FROM {table} WHERE key=? ORDER BY rowid DESC", (key,)).fetchone()
    return bytes(found[0])


def refused(server: Running, path: str) -> Any:
    with pytest.raises(urllib.error.HTTPError) as error:
        server.ask("GET", path)
    with error.value as answer:
        return json.loads(answer.read())


def test_rotation_on_a_file(server: Running, tmp_path: Path) -> None:
    configure(server, tmp_path, IDENTITY)
    server.ask("POST", SECRETS, SECRET)
    assert SECRET["data"]["word"].encode() in stored(tmp_path)  # type: ignore[index]
    configure(server, tmp_path, provider("aesgcm", "1"), IDENTITY)
    kept = server.ask("GET", f"{SECRETS}/s")
    server.ask("PUT", f"{SECRETS}/s", kept)  # no change, and yet it is written
    assert stored(tmp_path).startswith(b"k8s:enc:aesgcm:v1:1:")
    again = server.ask("GET", f"{SECRETS}/s")
    assert (
        again["data"] == SECRET["data"] and again["metadata"]["resourceVersion"] != kept["metadata"]["resourceVersion"]
    )
    same = server.ask("PUT", f"{SECRETS}/s", again)
    assert same["metadata"]["resourceVersion"] == again["metadata"]["resourceVersion"]  # nothing is stale any more
    configure(server, tmp_path, provider("secretbox", "2"), provider("aesgcm", "1"))
    server.ask("PUT", f"{SECRETS}/s", server.ask("GET", f"{SECRETS}/s"))
    assert stored(tmp_path).startswith(b"k8s:enc:secretbox:v1:2:")
    configure(server, tmp_path, provider("secretbox", "2"))
    assert server.ask("GET", f"{SECRETS}/s")["data"] == SECRET["data"]
    server.ask("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "c"}})
    assert stored(tmp_path, "/registry/core/configmaps/default/c").startswith(b"{")
    for file in (tmp_path / "data").iterdir():
        assert WORD.encode() not in file.read_bytes()


def test_a_key_that_is_lost_harms_what_it_had_encrypted_alone(server: Running, tmp_path: Path) -> None:
    configure(server, tmp_path, provider("aescbc", "1"))
    server.ask("POST", SECRETS, SECRET)
    configure(server, tmp_path, provider("aescbc", "2"))
    words = f'Internal error occurred: unable to transform key "{KEY}": no matching key was found for the provided AES transformer'
    for path in (SECRETS, f"{SECRETS}/s"):
        answer = refused(server, path)
        assert (answer["code"], answer["reason"], answer["message"]) == (500, "InternalError", words)
    server.ask("POST", SECRETS, {**SECRET, "metadata": {"name": "other"}})
    assert server.ask("GET", f"{SECRETS}/other")["data"] == SECRET["data"]
    server.ask("GET", "/api/v1/namespaces/default/configmaps")
    server.kill()
    server.flags.pop()
    server.start()
    assert "identity transformer tried to read encrypted data" in refused(server, f"{SECRETS}/s")["message"]


def test_a_kms_plugin_that_is_away_at_the_start(server: Running, tmp_path: Path) -> None:
    plugin, socket = Plugin(), tmp_path / "kms.sock"
    kms = {"kms": {"apiVersion": "v2", "name": "p", "endpoint": f"unix://{socket}", "timeout": "1s"}}
    with served(plugin, socket):
        configure(server, tmp_path, kms)
        server.ask("POST", SECRETS, SECRET)
        assert stored(tmp_path).startswith(b"k8s:enc:kms:v2:p:")
        assert WORD.encode() not in stored(tmp_path)
    configure(server, tmp_path, kms)
    assert "unable to transform key" in refused(server, f"{SECRETS}/s")["message"]
    end = time.monotonic() + 60
    while _status(server, "/livez") != 200:  # it has only just begun
        assert time.monotonic() < end, "it lives, whatever its plug-ins do"
        time.sleep(0.05)
    assert (_status(server, "/readyz"), _status(server, "/readyz/kms-providers")) == (500, 500)


def _status(server: Running, path: str) -> int:
    headers = {"Authorization": "Bearer secret"}
    request = urllib.request.Request(f"https://127.0.0.1:{server.port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, context=server.context, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
