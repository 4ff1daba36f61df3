"""The transformers of a configuration: which key writes, which read, what is stale, and what a change of the file does."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest

from pybernetes.aio.clock import RealClock
from pybernetes.apiserver.configdocument import DocumentError
from pybernetes.apiserver.encryption.metrics import EncryptionMetrics
from pybernetes.apiserver.encryption.provider import Encryption
from pybernetes.store.transformed import Plain, Unreadable

SECRETS = ("", "secrets")
KEY = "/registry/secrets/a/s"


def provider(kind: str, *names: str) -> dict[str, Any]:
    """Keys whose secret is their name, repeated."""
    return {
        kind: {
            "keys": [
                {"name": name, "secret": base64.b64encode(name.encode() * 32)[:43].decode() + "="} for name in names
            ]
        }
    }


IDENTITY: dict[str, Any] = {"identity": {}}


def configured(path: Path, *entries: tuple[list[str], list[dict[str, Any]]]) -> str:
    resources = [{"resources": names, "providers": providers} for names, providers in entries]
    head = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration"}
    path.write_text(json.dumps({**head, "resources": resources}))
    return str(path)


def encryption(path: Path, *entries: tuple[list[str], list[dict[str, Any]]], reload: bool = False) -> Encryption:
    return Encryption(configured(path, *entries), reload, EncryptionMetrics("me"), RealClock())


@pytest.mark.parametrize("kind", ["aesgcm", "aescbc", "secretbox"])
def test_rotation(kind: str, tmp_path: Path) -> None:
    """The steps of upstream's documentation: identity, a key, a second one for reading, first, alone; and away from encryption."""
    file = tmp_path / "file"

    async def scenario() -> None:
        plain = await encryption(file, (["secrets"], [IDENTITY])).of(SECRETS).to_storage(KEY, b"{}")
        assert plain == b"{}"
        first = encryption(file, (["secrets"], [provider(kind, "1"), IDENTITY])).of(SECRETS)
        sealed = await first.to_storage(KEY, b"{}")
        assert sealed.startswith(f"k8s:enc:{kind}:v1:1:".encode())
        assert await first.from_storage(KEY, sealed) == Plain(b"{}")
        assert await first.from_storage(KEY, plain) == Plain(b"{}", stale=True)
        reading = encryption(file, (["secrets"], [provider(kind, "1", "2")])).of(SECRETS)
        assert await reading.from_storage(KEY, sealed) == Plain(b"{}")
        writing = encryption(file, (["secrets"], [provider(kind, "2", "1")])).of(SECRETS)
        assert await writing.from_storage(KEY, sealed) == Plain(b"{}", stale=True)
        apart = encryption(file, (["secrets"], [provider(kind, "2"), provider(kind, "1")])).of(SECRETS)
        assert await apart.from_storage(KEY, sealed) == Plain(b"{}", stale=True)
        away = encryption(file, (["secrets"], [IDENTITY, provider(kind, "1")])).of(SECRETS)
        assert await away.from_storage(KEY, sealed) == Plain(b"{}", stale=True)
        gone = encryption(file, (["secrets"], [provider(kind, "2")])).of(SECRETS)
        with pytest.raises(Unreadable, match="no matching key was found for the provided"):
            await gone.from_storage(KEY, sealed)
        with pytest.raises(Unreadable, match=r"^no matching prefix found$"):
            await gone.from_storage(KEY, plain)

    asyncio.run(scenario())


def test_which_entry_is_whose(tmp_path: Path) -> None:
    one = encryption(
        tmp_path / "file",
        (["configmaps"], [provider("aescbc", "a")]),
        (["*."], [provider("aescbc", "b")]),
        (["deployments.apps"], [IDENTITY]),
        (["*.*"], [provider("aescbc", "c")]),
    )

    async def key_of(group: str, resource: str) -> str:
        stored = await one.of((group, resource)).to_storage(KEY, b"{}")
        return stored[:20].decode("latin-1").removeprefix("k8s:enc:aescbc:v1:")[:1]

    async def scenario() -> None:
        assert [
            await key_of(*name)
            for name in (
                ("", "configmaps"),
                ("", "secrets"),
                ("apps", "deployments"),
                ("apps", "daemonsets"),
                ("example.com", "widgets"),
            )
        ] == ["a", "b", "{", "c", "c"]

    asyncio.run(scenario())


@pytest.mark.parametrize(("wide", "narrow"), [("*.", "secrets"), ("*.apps", "deployments.apps"), ("*.*", "secrets")])
def test_an_entry_that_an_earlier_one_masks(wide: str, narrow: str, tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as refused:
        encryption(tmp_path / "file", ([wide], [IDENTITY]), ([narrow], [IDENTITY]))
    words = f'error while building transformers: resource "{narrow}" is masked by earlier rule "{wide}"'
    assert str(refused.value) == words


def test_what_no_entry_names_is_plain_and_nothing_else(tmp_path: Path) -> None:
    other = encryption(tmp_path / "file", (["secrets"], [provider("aesgcm", "1")])).of(("", "configmaps"))

    async def scenario() -> None:
        assert await other.to_storage(KEY, b"{}") == b"{}"
        with pytest.raises(Unreadable, match="identity transformer tried to read encrypted data"):
            await other.from_storage(KEY, b"k8s:enc:aesgcm:v1:1:...")

    asyncio.run(scenario())


def test_kms_v1_is_refused(tmp_path: Path) -> None:
    kms = {"kms": {"name": "old", "endpoint": "unix:///a"}}
    with pytest.raises(
        DocumentError, match=r"KMSv1 is deprecated and will only receive security updates going forward\."
    ):
        encryption(tmp_path / "file", (["secrets"], [kms]))


def test_the_file_is_followed(tmp_path: Path) -> None:
    file, told = tmp_path / "file", []

    async def scenario() -> None:
        one = encryption(file, (["secrets"], [provider("aescbc", "1")]), reload=True)

        async def readable() -> None:
            told.append(1)

        one.readable.append(readable)
        await one.start()
        before = await one.of(SECRETS).to_storage(KEY, b"{}")
        await one.look()
        assert not told  # it is the same
        configured(file, (["secrets"], [provider("aescbc", "2", "1")]))
        await one.look()
        assert told and await one.healthy()
        assert (await one.of(SECRETS).to_storage(KEY, b"{}")).startswith(b"k8s:enc:aescbc:v1:2:")
        assert await one.of(SECRETS).from_storage(KEY, before) == Plain(b"{}", stale=True)
        file.write_text("kind: Nonsense")
        with pytest.raises(DocumentError):
            await one.look()
        assert await one.of(SECRETS).from_storage(KEY, before) == Plain(b"{}", stale=True)  # what was stays
        await one.close()
        text = one.metrics.registry.text()
        assert 'apiserver_encryption_config_controller_automatic_reloads_total{status="success"' in text
        for labels in ('"k8s:enc:aescbc:v1:",status="OK"', '"2:",status="OK"'):
            assert f'transformation_type="to_storage",transformer_prefix={labels}' in text

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "error while parsing file: error while loading file: error reading"), ("", "is empty")],
)
def test_files_that_are_none(content: str | None, words: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_text(content)
    with pytest.raises(DocumentError, match=words):
        Encryption(str(file), False, EncryptionMetrics(), RealClock())
