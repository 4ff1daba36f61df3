"""Copies between stores: nothing lost, nothing misled, and what was cut off says so.

The kind is a move of a cluster by somebody in a hurry: into a store that is used, cut off half way, from a damaged file, with revisions that
are far ahead.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from pybernetes.apiserver.generic.keys import Keys
from pybernetes.apiserver.storage import copying, snapshot
from pybernetes.apiserver.storage.copying import Place
from pybernetes.cli.store import main
from pybernetes.store.backends import Location, open_store
from pybernetes.store.memory import MemoryStore
from pybernetes.store.types import Compacted, Store, StoreError

from ..encryption.test_provider import IDENTITY, configured, provider
from .values import VALUES, TTLMemory, form

ROOT = "/registry/"
KEYS = Keys()


def plain(store: Store) -> Place:
    return Place(store, store, KEYS, lambda key: bool(KEYS.resource_of(key)))


def upstreams(store: TTLMemory) -> Place:
    over = form(store)
    return Place(over, store, KEYS, over.served)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_all_comes_round_in_its_order(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Upstream's objects -> a file -> ours -> upstream's form again."""

    async def scenario() -> None:
        etcd, own, again = TTLMemory(), MemoryStore(), TTLMemory()
        for key, value in VALUES.items():
            await etcd.put(key, value)
        await etcd.put("/registry/podsecuritypolicy/p", b"of another time")
        taken = await copying.whole(upstreams(etcd))
        snapshot.write(tmp_path / "s", taken)
        assert snapshot.read(tmp_path / "s") == taken
        last = await copying.fill(plain(own), taken)
        second = await copying.whole(plain(own))
        assert [(item.key, item.value) for item in second.items] == [(item.key, item.value) for item in taken.items]
        assert last > second.items[0].revision > taken.revision
        assert [item.revision for item in second.items] == sorted(item.revision for item in second.items)
        await copying.fill(upstreams(again), second)
        third = await copying.whole(upstreams(again))
        ports = "ranges/servicenodeports"
        assert {i.key: json.loads(bytes(i.value)) for i in third.items if ports not in i.key} == {
            i.key: json.loads(bytes(i.value)) for i in taken.items if ports not in i.key
        }
        with pytest.raises(Compacted):
            await anext(aiter(own.watch(ROOT, taken.revision)))

    run(scenario)
    assert "/registry/podsecuritypolicy/p is left out" in caplog.text


def test_what_is_used_is_not_copied_into() -> None:
    async def scenario() -> None:
        source, target = MemoryStore(), MemoryStore()
        await target.put(f"{ROOT}core/pods/a/p", b"{}")
        with pytest.raises(StoreError, match="not empty below /registry/"):
            await copying.fill(plain(target), await copying.whole(plain(source)))
        assert await target.revision() == 1

    run(scenario)


def test_a_copy_that_was_cut_off_is_used_by_nobody() -> None:
    class Failing(MemoryStore):
        async def put(self, key: str, value: bytes, expected: int | None = None) -> object:  # type: ignore[override]
            if key.endswith("/b"):
                raise StoreError("the power is out")
            return await super().put(key, value, expected)

    async def scenario() -> None:
        source, target = MemoryStore(), Failing()
        for name in "abc":
            await source.put(f"{ROOT}core/pods/x/{name}", b"{}")
        with pytest.raises(StoreError, match="power"):
            await copying.fill(plain(target), await copying.whole(plain(source)))
        for action in (copying.whole(plain(target)), copying.check_finished(target, KEYS)):
            with pytest.raises(StoreError, match="was cut off"):
                await action
        with pytest.raises(StoreError, match="was cut off"):
            await copying.fill(plain(target), await copying.whole(plain(source)))

    run(scenario)


def test_a_store_far_behind_is_brought_above(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "COMPACT_EVERY", 100)

    async def scenario() -> None:
        source, target = MemoryStore(), MemoryStore()
        for n in range(1000):
            await source.put(f"{ROOT}core/pods/x/p", b'{"n":%d}' % n)
        await copying.fill(plain(target), await copying.whole(plain(source)))
        [item] = (await target.list("")).items
        assert (item.value, item.mod_revision > 1000) == (b'{"n":999}', True)

    run(scenario)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines[:-1], "is not whole"),
        (lambda lines: [*lines[:1], *lines[2:]], "1 of 2 objects"),
        (lambda lines: [], "line 1"),
        (lambda lines: [b'{"format":"tar","version":1,"revision":1}\n'], "want pybernetes-snapshot version 1"),
        (lambda lines: [lines[0].replace(b":1,", b":2,"), *lines[1:]], "is pybernetes-snapshot version 2"),
        (lambda lines: [lines[0], b"{\n", *lines[1:]], "line 3"),
        (lambda lines: [lines[0], b"\xff\n", *lines[1:]], "line 3"),
        (lambda lines: [lines[0].replace(b'"revision":2', b'"revision":1'), *lines[1:]], "newer than"),
    ],
)
def test_damaged_files_are_refused_in_words(
    tmp_path: Path, change: Callable[[list[bytes]], list[bytes]], words: str
) -> None:
    async def scenario() -> None:
        source = MemoryStore()
        for name in "ab":
            await source.put(f"{ROOT}core/pods/x/{name}", b'{"metadata":{}}')
        snapshot.write(tmp_path / "s", await copying.whole(plain(source)))

    run(scenario)
    path = tmp_path / "s"
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))
    with pytest.raises(StoreError, match=words):
        snapshot.read(path)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario() -> None:
        store = await open_store(Location((f"sqlite:{tmp_path}/a.db",)))
        await store.put(f"{ROOT}core/configmaps/x/m", b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m"}}')
        assert await asyncio.to_thread(main, ["copy", f"sqlite:{tmp_path}/a.db", f"file:{tmp_path}/s"]) == 1
        await store.close()

    run(scenario)
    assert "a.db" in capsys.readouterr().err  # held by a running server
    assert not (tmp_path / "s").exists()
    assert main(["copy", f"sqlite:{tmp_path}/a.db", f"file:{tmp_path}/s"]) == 0
    assert main(["copy", f"file:{tmp_path}/s", f"sqlite:{tmp_path}/b.db"]) == 0
    assert "1 objects copied" in capsys.readouterr().out
    assert json.loads((tmp_path / "s").read_text().splitlines()[1])["key"] == "core/configmaps/x/m"
    for arguments, code, words in (
        (["copy", f"file:{tmp_path}/s", f"sqlite:{tmp_path}/b.db"], 1, "not empty"),
        (["copy", f"sqlite:{tmp_path}/b.db", f"file:{tmp_path}/s"], 1, "File exists"),
        (["copy", f"sqlite:{tmp_path}/none.db", f"file:{tmp_path}/t"], 1, "there is no such file"),
        (["copy", "memory:", f"file:{tmp_path}/t"], 2, "want sqlite:PATH, file:PATH"),
        (["copy", "file:a"], 2, "want FROM and TO, are file:a"),
        (["move"], 2, "want copy FROM TO, is move"),
        ([], 2, "want copy FROM TO, is nothing"),
    ):
        assert main(arguments) == code
        assert words in capsys.readouterr().err


def test_keys_change_on_the_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Plain -> key 1 -> key 2 -> plain; who has not the key is told which value, and writes nothing."""
    one = configured(tmp_path / "one", (["secrets"], [provider("aesgcm", "1"), IDENTITY]))
    two = configured(tmp_path / "two", (["secrets"], [provider("aescbc", "2")]))
    plain_text = configured(tmp_path / "plain", (["secrets"], [IDENTITY, provider("aescbc", "2")]))
    objects = {
        f"{ROOT}core/secrets/x/s": b'{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"data":{"w":"aG9yc2U="}}',
        f"{ROOT}core/configmaps/x/m": b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m"}}',
    }

    async def values(name: str) -> dict[str, bytes]:
        store = await open_store(Location((f"sqlite:{tmp_path}/{name}.db",)))
        found = {item.key: item.value for item in (await store.list(ROOT)).items}
        await store.close()
        return found

    async def begin() -> None:
        store = await open_store(Location((f"sqlite:{tmp_path}/a.db",)))
        for key, value in objects.items():
            await store.put(key, value)
        await store.close()

    def copied(source: str, target: str, *options: str) -> int:
        return main(["copy", f"sqlite:{tmp_path}/{source}.db", f"sqlite:{tmp_path}/{target}.db", *options])

    run(begin)
    for source, target, options, begins in (
        ("a", "b", (f"--encryption-provider-config={one}",), b"k8s:enc:aesgcm:v1:1:"),
        (
            "b",
            "c",
            (f"--encryption-provider-config={one}", f"--target-encryption-provider-config={two}"),
            b"k8s:enc:aescbc:v1:2:",
        ),
        (
            "c",
            "d",
            (f"--encryption-provider-config={two}", f"--target-encryption-provider-config={plain_text}"),
            b'{"apiVersion"',
        ),
    ):
        assert copied(source, target, *options) == 0, capsys.readouterr().err
        found = asyncio.run(values(target))
        assert found[f"{ROOT}core/secrets/x/s"].startswith(begins)
        assert found[f"{ROOT}core/configmaps/x/m"] == objects[f"{ROOT}core/configmaps/x/m"]
    assert found == objects
    capsys.readouterr()
    for options, words in (
        ((), f"the value of {ROOT}core/secrets/x/s is encrypted: give the server's --encryption-provider-config"),
        ((f"--encryption-provider-config={two}",), f"the value of {ROOT}core/secrets/x/s cannot be read"),
    ):
        assert copied("b", "e", *options) == 1
        assert words in capsys.readouterr().err
    assert not (tmp_path / "e.db").exists()
    for source, target in (("sqlite", "file"), ("file", "file")):
        flag = "target-" if source == "sqlite" else ""
        arguments = ["copy", f"{source}:{tmp_path}/a.db", f"{target}:{tmp_path}/f"]
        assert main([*arguments, f"--{flag}encryption-provider-config={one}"]) == 2
        assert "snapshots never are" in capsys.readouterr().err
