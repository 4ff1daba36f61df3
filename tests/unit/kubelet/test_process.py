"""The kubelet's --root-dir: pods' Secrets lie below it."""

import logging
import os
from pathlib import Path

import pytest

from pybernetes.kubelet.process import make_root_directory


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_root_directory_is_made_as_upstream_makes_it_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_root_directory(tmp_path / "kubelet")
    finally:
        os.umask(before)
    assert mode(tmp_path / "kubelet") == 0o750


def test_an_open_root_directory_is_closed_and_what_pods_read_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    volume = tmp_path / "pods/uid/volumes/kubernetes.io~secret/s"
    volume.mkdir(parents=True)
    (tmp_path / "network").mkdir()
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(0o755)
    with caplog.at_level(logging.WARNING):
        make_root_directory(tmp_path)
        make_root_directory(tmp_path)
    assert mode(tmp_path) == 0o750
    assert {mode(path) for path in tmp_path.rglob("*")} == {0o755}
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path} was open to other users of this machine and is no longer"
    ]


def test_a_directory_that_others_use_stays_open(tmp_path: Path) -> None:
    (tmp_path / "somebody").mkdir()
    tmp_path.chmod(0o755)
    make_root_directory(tmp_path)
    assert mode(tmp_path) == 0o755
