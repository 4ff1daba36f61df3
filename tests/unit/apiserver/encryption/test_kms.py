"""Envelope encryption with a plug-in behind a socket: data keys, rotation, what holds while the plug-in is away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import pytest

from pybernetes.aio.clock import RealClock, VirtualClock
from pybernetes.apiserver.encryption import kmsobject
from pybernetes.apiserver.encryption.kms import KMS
from pybernetes.apiserver.encryption.kmsobject import EncryptedObject
from pybernetes.apiserver.encryption.kmsservice import KMSService
from pybernetes.apiserver.encryption.metrics import EncryptionMetrics
from pybernetes.store.transformed import Plain, TransformError, Unreadable

from .plugin import Plugin, served

VALUE, KEY = b'{"kind":"Secret"}', b"/registry/secrets/a/s"


def played(
    folder: Path, story: Callable[[Plugin, Callable[[], KMS], VirtualClock], Awaitable[None]]
) -> EncryptionMetrics:
    """With a plug-in that answers; each `KMS` is one that knows nothing yet, as after a restart."""
    plugin, metrics, socket = Plugin(), EncryptionMetrics("me"), folder / "kms.sock"

    async def main() -> None:
        clock = VirtualClock()
        made: list[KMS] = []

        def fresh() -> KMS:
            made.append(KMS("p", KMSService("p", f"unix://{socket}", 5.0, metrics), metrics, clock))
            return made[-1]

        try:
            await story(plugin, fresh, clock)
        finally:
            for one in made:
                await one.close()

    with served(plugin, socket):
        asyncio.run(main())
    return metrics


def test_a_value_and_its_message(tmp_path: Path) -> None:
    async def story(plugin: Plugin, fresh: Callable[[], KMS], clock: VirtualClock) -> None:
        one = fresh()
        assert await one.check() == ""
        sealed = await one.seal(VALUE, KEY)
        told = kmsobject.decode(sealed)
        assert (told.key_id, told.kind, told.annotations) == ("key-1", kmsobject.SEED, {"plugin.example.com": b"note"})
        assert told.source.startswith(b"key-1|") and told.encode() == sealed
        assert VALUE not in sealed
        assert await one.open(sealed, KEY) == Plain(VALUE)
        with pytest.raises(Unreadable, match="cipher: message authentication failed"):
            await one.open(sealed, b"/registry/secrets/b/s")
        assert plugin.calls == ["Status", "Encrypt"]  # the seed is known
        again = fresh()
        await again.check()
        for _ in range(3):
            assert await again.open(sealed, KEY) == Plain(VALUE)
        assert plugin.calls.count("Decrypt") == 1

    text = played(tmp_path, story).registry.text()
    assert "apiserver_storage_envelope_transformation_cache_misses_total 1\n" in text
    assert 'provider_name="p",method_name="/v2.KeyManagementService/Decrypt",grpc_status_code="OK"} 1' in text
    assert 'apiserver_envelope_encryption_key_id_hash_total{transformation_type="to_storage",provider_name="p"' in text


def test_another_key_of_the_plugin(tmp_path: Path) -> None:
    async def story(plugin: Plugin, fresh: Callable[[], KMS], clock: VirtualClock) -> None:
        one = fresh()
        await one.check()
        sealed = await one.seal(VALUE, KEY)
        plugin.key_id = "key-2"
        assert await one.open(sealed, KEY) == Plain(VALUE)
        assert await one.check(fresh=True) == ""
        assert await one.open(sealed, KEY) == Plain(VALUE, stale=True)
        assert kmsobject.decode(await one.seal(VALUE, KEY)).key_id == "key-2"

    played(tmp_path, story)


def test_writes_go_on_for_three_minutes_without_the_plugin_and_reads_for_ever(tmp_path: Path) -> None:
    async def story(plugin: Plugin, fresh: Callable[[], KMS], clock: VirtualClock) -> None:
        one = fresh()
        await one.check()
        sealed = await one.seal(VALUE, KEY)
        plugin.failing = grpc.StatusCode.INTERNAL
        words = "rpc error: code = Internal desc = the plug-in is not well"
        assert await one.check() == ""  # for 20 s
        assert words in await one.check(fresh=True)
        await clock.advance(179)
        await one.seal(VALUE, KEY)
        await clock.advance(2)
        with pytest.raises(TransformError, match=r'^encryptedDEKSource with keyID hash "sha256:[0-9a-f]+" expired at'):
            await one.seal(VALUE, KEY)
        assert await one.open(sealed, KEY) == Plain(VALUE)
        plugin.failing = None
        assert await one.check(fresh=True) == "" and one.recovered.is_set()
        await one.seal(VALUE, KEY)

    played(tmp_path, story)


def test_a_data_key_that_the_plugin_does_not_open(tmp_path: Path) -> None:
    async def story(plugin: Plugin, fresh: Callable[[], KMS], clock: VirtualClock) -> None:
        one, other = fresh(), fresh()
        await one.check()
        sealed = await one.seal(VALUE, KEY)
        await other.check()
        plugin.failing = grpc.StatusCode.UNAVAILABLE
        for _ in range(3):
            with pytest.raises(TransformError, match=r"^failed to decrypt DEK, error: rpc error: code = Unavailable"):
                await other.open(sealed, KEY)
        assert plugin.calls.count("Decrypt") == 1  # a list of many values waits once
        plugin.failing = None
        await clock.advance(3.1)
        assert await other.open(sealed, KEY) == Plain(VALUE, stale=False)

    played(tmp_path, story)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"healthz": "sick"}, "kmsv2 Provider p is not healthy, error: got unexpected healthz status: sick"),
        ({"version": "v1"}, "kmsv2 Provider p is not healthy, error: expected KMSv2 API version v2, got v1"),
        ({"key_id": ""}, 'kmsv2 Provider p is not healthy, error: got invalid KMSv2 KeyID hash "": keyID is empty'),
        ({"key_id": "k" * 1025}, "keyID is 1025 bytes, which exceeds the max size of 1024"),
    ],
)
def test_a_status_that_is_not_good(change: dict[str, str], words: str, tmp_path: Path) -> None:
    async def story(plugin: Plugin, fresh: Callable[[], KMS], clock: VirtualClock) -> None:
        vars(plugin).update(change)
        assert words in await fresh().check()

    played(tmp_path, story)


def test_a_plugin_that_comes_later(tmp_path: Path) -> None:
    plugin, metrics, socket = Plugin(), EncryptionMetrics(), tmp_path / "kms.sock"

    async def scenario() -> None:
        one = KMS("p", KMSService("p", f"unix://{socket}", 5.0, metrics), metrics, RealClock())
        assert "dial unix" in await one.check()
        with pytest.raises(TransformError, match="got unexpected nil transformer"):
            await one.seal(VALUE, KEY)
        with served(plugin, socket):
            assert await one.check(fresh=True) == ""
            await one.seal(VALUE, KEY)
        await one.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (EncryptedObject("k", b"s", {}, 7, b"d"), "unknown encryptedDEKSourceType: 7"),
        (EncryptedObject("k", b"s"), "encrypted data is empty"),
        (EncryptedObject("k", b"", data=b"d"), "failed to validate encrypted DEK source: encrypted DEK source is empty"),
        (EncryptedObject("", b"s", data=b"d"), "failed to validate key id: keyID is empty"),
        (EncryptedObject("k", b"s" * 1025, data=b"d"), "encrypted DEK source is 1025 bytes, which exceeds the max size of 1024"),
        (EncryptedObject("k", b"s", {"a.b": b"c" * 32768}, data=b"d"), "total size of annotations is 32771"),
        (EncryptedObject("k", b"s", {"a": b"c"}, data=b"d"), "should be a domain with at least two segments"),
    ],
)  # fmt: skip
def test_messages_that_break_the_rules(one: EncryptedObject, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        kmsobject.decode(one.encode())


@pytest.mark.parametrize("stored", [b"\x0a\xff", b"\x12\x01\xff", b"\x0f"])
def test_bytes_that_are_no_message(stored: bytes) -> None:
    with pytest.raises(Unreadable, match="proto: cannot parse invalid wire-format data"):
        kmsobject.decode(stored)
