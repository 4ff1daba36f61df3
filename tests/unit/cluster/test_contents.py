"""Other users of the machine read nothing of a cluster: neither of a new one nor of one that an older release made."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pybernetes.cluster import contents, credentials
from pybernetes.cluster.credentials import Endpoint
from pybernetes.cluster.layout import Layout

ENDPOINT = Endpoint("node1", ("192.0.2.2",), "10.96.0.1")
SECRETS = ("state.db", "state.db-wal", "state.db-shm", "logs/kubelet.log", "logs/kubelet.log.1", "supervisor.json")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def as_older_releases_left_it(root: Path) -> Layout:
    layout = Layout(root)
    credentials.ensure(layout, ENDPOINT, datetime.now(UTC))
    layout.logs.mkdir()
    volume = layout.kubelet / "pods/uid/volumes/kubernetes.io~secret/s"
    volume.mkdir(parents=True)
    for name in (*SECRETS, "cluster.json"):
        (root / name).write_text("secret")
    for path in [root, *root.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return layout


def test_a_new_cluster_is_closed_whatever_the_umask(tmp_path: Path) -> None:
    layout, before = Layout(tmp_path / "data"), os.umask(0)
    try:
        contents.make(layout)
        credentials.ensure(layout, ENDPOINT, datetime.now(UTC))
    finally:
        os.umask(before)
    assert (mode(layout.root), mode(layout.pki)) == (0o700, 0o700)
    assert {mode(path) for path in (*layout.pki.glob("*.key"), *layout.root.glob("*.conf"))} == {0o600}
    assert contents.close_to_others(layout) == ""


def test_an_open_cluster_is_closed_and_one_line_says_so(tmp_path: Path) -> None:
    layout = as_older_releases_left_it(tmp_path)
    said = contents.close_to_others(layout)
    assert "\n" not in said
    assert all(
        word in said for word in ("the directory itself", "state.db,", "state.db-wal", "pki/ca.key", "admin.conf")
    )
    assert [mode(path) for path in (layout.root, layout.pki, layout.logs)] == [0o700] * 3
    assert {mode(tmp_path / name) for name in (*SECRETS, "cluster.json")} == {0o600}
    assert {mode(path) for path in (*layout.pki.glob("*.key"), *tmp_path.glob("*.conf"))} == {0o600}
    assert contents.close_to_others(layout) == ""


def test_pods_volumes_keep_the_modes_that_pods_asked_for(tmp_path: Path) -> None:
    layout = as_older_releases_left_it(tmp_path)
    contents.close_to_others(layout)
    assert {mode(path) for path in layout.kubelet.rglob("*")} == {0o755}


@pytest.mark.parametrize("bits", [0o755, 0o1777])
def test_a_directory_that_others_use_stays_open_and_our_files_in_it_do_not(tmp_path: Path, bits: int) -> None:
    layout = as_older_releases_left_it(tmp_path)
    (tmp_path / "somebody").mkdir()
    tmp_path.chmod(bits)
    assert "the directory itself" not in contents.close_to_others(layout)
    assert tmp_path.stat().st_mode & 0o7777 == bits
    assert (mode(tmp_path / "state.db"), mode(layout.pki)) == (0o600, 0o700)
