"""Backups and their return: as it was, or not at all."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import stat
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from pybernetes.cli.main import main
from pybernetes.cluster.settings import ClusterConfig
from pybernetes.deploy import archive, backup
from pybernetes.deploy.archive import ArchiveError, Entry, in_the_way
from pybernetes.store.backends import Location, open_store

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A folder as a host has it, with an odd file of each kind."""
    folder = tmp_path / "etc"
    (folder / "pki/etcd").mkdir(parents=True)
    (folder / "pki/etcd").chmod(0o700)
    for name, mode, data in (
        ("pki/ca.key", 0o600, b"secret"),
        ("pki/ca.crt", 0o644, b"public"),
        ("run.sh", 0o755, b"#!/bin/sh\n"),
        ("empty", 0o640, b""),
    ):
        (folder / name).write_bytes(data)
        (folder / name).chmod(mode)
    (folder / "current.pem").symlink_to("pki/ca.crt")
    os.mkfifo(folder / "fifo")
    return folder


def make(out: Path, *roots: Path, store: Path | None = None) -> archive.Manifest:
    return asyncio.run(backup.make(out, roots, store, "h", NOW))


def shape(folder: Path) -> dict[str, tuple[int, bytes | str]]:
    """Mode and content of everything below, without what is no file."""
    found: dict[str, tuple[int, bytes | str]] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        if stat.S_ISFIFO(status.st_mode):
            continue
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else ""
        found[str(path.relative_to(folder))] = stat.S_IMODE(status.st_mode), content
    return found


def test_all_comes_back_with_its_modes(host: Path, tmp_path: Path) -> None:
    out = tmp_path / "b.tar.gz"
    before = shape(host)
    os.umask(umask := os.umask(0o077))
    make(out, host, tmp_path / "not-there")
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.tar.gz", "etc"]
    old = os.umask(0o077)  # which changes nothing
    try:
        written = backup.restore_files(out, tmp_path / "new", overwrite=False)
    finally:
        os.umask(old)
    assert umask == old
    assert shape(tmp_path / "new" / str(host).lstrip("/")) == before
    assert len(written) == 5
    assert backup.restore_files(out, Path("/"), overwrite=False)  # the same is in nobody's way


def test_nothing_is_written_where_something_is_in_the_way(host: Path, tmp_path: Path) -> None:
    out = tmp_path / "b"
    make(out, host)
    (host / "pki/ca.key").write_bytes(b"another")
    (host / "run.sh").unlink()
    with pytest.raises(ArchiveError, match=r"pki/ca.key: there already with another content"):
        backup.restore_files(out, Path("/"), overwrite=False)
    assert not (host / "run.sh").exists()
    backup.restore_files(out, Path("/"), overwrite=True)
    assert (host / "pki/ca.key").read_bytes() == b"secret" and (host / "run.sh").exists()
    with pytest.raises(ArchiveError, match="is there already"):
        make(out, host)


def test_a_damaged_archive_is_found_before_anything_is_written(host: Path, tmp_path: Path) -> None:
    out = tmp_path / "b"
    make(out, host)
    good = out.read_bytes()
    plain = gzip.decompress(good)
    place = plain.index(b"secret", plain.index(b"ustar", 1000))
    for words, damaged in (
        ("ca.key is damaged: its SHA-256", gzip.compress(plain[:place] + b"sEcret" + plain[place + 6 :])),
        ("or damaged|not whole", good[: len(good) - 100]),
        ("or damaged", good[:100] + bytes(50) + good[150:]),
        ("is no backup", b""),
        ("is no backup", b"hello"),
        ("is no backup", gzip.compress(bytes(20_480))),
    ):
        bad = tmp_path / "bad"
        bad.write_bytes(damaged)
        with pytest.raises(ArchiveError, match=words):
            backup.restore_files(bad, tmp_path / "new", overwrite=True)
        assert not (tmp_path / "new").exists(), words


@pytest.mark.parametrize("path", ["etc/x", "/etc/../x"])
def test_no_path_leads_elsewhere(path: str, tmp_path: Path) -> None:
    manifest = archive.Manifest(
        format=archive.FORMAT,
        version=1,
        created="",
        host="",
        kubernetes="",
        files=[Entry(path=path, kind="link", target="x")],
    )
    out = io.BytesIO()
    archive.write(out, manifest, {}, None)
    (tmp_path / "b").write_bytes(out.getvalue())
    with pytest.raises(ArchiveError, match="no absolute path"):
        archive.verify(tmp_path / "b")


def test_a_file_that_the_manifest_does_not_know_is_refused(tmp_path: Path) -> None:
    manifest = archive.Manifest(format=archive.FORMAT, version=1, created="", host="", kubernetes="")
    out = io.BytesIO()
    archive.write(out, manifest, {}, None)
    content = io.BytesIO(gzip.decompress(out.getvalue()))
    with tarfile.open(fileobj=content, mode="a") as tar:
        info = tarfile.TarInfo("files/etc/x")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/shadow"
        tar.addfile(info)
    (tmp_path / "b").write_bytes(gzip.compress(content.getvalue()))
    with pytest.raises(ArchiveError, match="is not what the manifest says"):
        archive.verify(tmp_path / "b")


def test_what_is_in_the_way() -> None:
    def entry(path: str, digest: str = "", kind: str = "file", target: str = "") -> Entry:
        return Entry(path=path, kind=kind, sha256=digest, target=target)  # type: ignore[arg-type]  # of the words

    entries = [
        entry("/d", kind="directory"),
        entry("/a", "1"),
        entry("/b", "1"),
        entry("/l", kind="link", target="x"),
        entry("/m", "1"),
    ]
    present = [
        entry("/d", kind="directory"),
        entry("/a", "1"),
        entry("/b", "2"),
        entry("/l", kind="link", target="y"),
        entry("/m", kind="link"),
    ]
    assert in_the_way(entries, present) == ["/b", "/l", "/m"]
    assert in_the_way(entries, []) == []


def test_sqlite_in_use_is_taken_whole(host: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database, out = tmp_path / "data/state.db", tmp_path / "b"
    database.parent.mkdir()

    async def write_and_take() -> None:
        store = await open_store(Location((f"sqlite:{database}",)))
        for number in range(50):
            await store.put(f"/registry/{number:03}", b"{}")
        await backup.make(out, [host], database, "h", NOW)
        await store.put("/registry/later", b"{}")
        await store.close()

    asyncio.run(write_and_take())
    new = tmp_path / "new"
    assert main(["restore", str(out), "--what=list"]) == 0
    assert "sqlite" in capsys.readouterr().out
    assert main(["restore", str(out), "--what=store", f"--root={new}"]) == 0
    assert main(["restore", str(out), "--what=store", f"--root={new}"]) == 1
    assert "stop its server" in capsys.readouterr().err
    restored = new / str(database).lstrip("/")
    assert stat.S_IMODE(restored.stat().st_mode) == 0o600

    async def keys() -> tuple[int, int]:
        store = await open_store(Location((f"sqlite:{restored}",)))
        page = await store.list("/registry/")
        await store.close()
        return len(page.items), page.revision

    assert asyncio.run(keys()) == (50, 50)


def test_a_cluster_of_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its database, certificates, kubeconfigs and settings; not its logs, images and volumes."""
    place = tmp_path / "data"
    (place / "pki").mkdir(parents=True)
    (place / "logs").mkdir()
    for name in ("pki/ca.key", "admin.conf", "logs/kubelet.log"):
        (place / name).write_text(name)
    (place / "cluster.json").write_bytes(msgspec.json.encode(ClusterConfig(node_name="a", addresses=["192.0.2.2"])))

    async def fill() -> None:
        store = await open_store(Location((f"sqlite:{place}/state.db",)))
        await store.put("/registry/a", b"{}")
        await store.close()

    asyncio.run(fill())
    out = tmp_path / "b"
    assert main(["backup", str(out), f"--data-dir={place}"]) == 0
    assert "3 files, sqlite" in capsys.readouterr().out
    assert main(["restore", str(out), f"--root={tmp_path}/new"]) == 0
    new = tmp_path / "new" / str(place).lstrip("/")
    assert sorted(path.name for path in new.rglob("*") if path.is_file()) == [
        "admin.conf",
        "ca.key",
        "cluster.json",
        "state.db",
    ]
    assert main(["backup", str(out), f"--data-dir={place}"]) == 1
    assert "is there already" in capsys.readouterr().err
