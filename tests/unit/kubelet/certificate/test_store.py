"""Pairs on disk: dated files and a link."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pybernetes.kubelet.certificate.store import FileStore, StoreError
from pybernetes.pki.certificates import Authority, Subject
from pybernetes.pki.contexts import ServerContext
from pybernetes.pki.files import Pair

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def pair(now: datetime = NOW) -> Pair:
    return Authority.create("ca", now).issue(Subject("u", ("g",), names=("h",)), now)


def test_the_link_names_the_last_one_and_each_file_holds_both(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "pki", "kubelet-client")
    assert store.leaf() is None
    store.update(pair(), NOW)
    assert store.current_path.readlink() == tmp_path / "pki" / "kubelet-client-2026-01-02-03-04-05.pem"
    assert store.current_path.stat().st_mode & 0o777 == 0o600
    ServerContext(store.current_path)
    store.update(pair(), NOW + timedelta(seconds=1))
    leaf = store.leaf()
    assert leaf is not None and (leaf.common_name, leaf.organizations, leaf.names) == ("u", ("g",), ("h",))
    assert [path.name for path in sorted((tmp_path / "pki").iterdir())] == [
        "kubelet-client-2026-01-02-03-04-05.pem",
        "kubelet-client-2026-01-02-03-04-06.pem",
        "kubelet-client-current.pem",
    ]


def test_a_file_in_place_of_the_link_stays(tmp_path: Path) -> None:
    store = FileStore(tmp_path, "x")
    store.current_path.write_text("mine")
    with pytest.raises(StoreError, match="to be a symlink but it is a file"):
        store.update(pair(), NOW)
    assert store.current_path.read_text() == "mine" and store.leaf() is None


def test_what_is_no_certificate_changes_nothing(tmp_path: Path) -> None:
    store = FileStore(tmp_path, "x")
    store.update(pair(), NOW)
    before = store.current_path.read_bytes()
    with pytest.raises(ValueError):
        store.update(Pair(b"none", b"none"), NOW + timedelta(days=1))
    assert store.current_path.read_bytes() == before


def test_a_link_that_a_kill_left_is_replaced(tmp_path: Path) -> None:
    store = FileStore(tmp_path, "x")
    (tmp_path / "x-updated.pem").symlink_to(tmp_path / "nothing")
    store.current_path.symlink_to(tmp_path / "nothing")
    store.update(pair(), NOW)
    assert store.leaf() is not None and not (tmp_path / "x-updated.pem").is_symlink()
