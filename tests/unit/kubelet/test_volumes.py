"""Volumes: what lies in them, and how it gets there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pybernetes.api.types import core_v1 as core
from pybernetes.kubelet import safepath
from pybernetes.kubelet.machine import config
from pybernetes.kubelet.runtime.types import RuntimeFailure
from pybernetes.kubelet.volumes import atomicwriter, hostpath, mount, ownership, payload
from pybernetes.kubelet.volumes.payload import Facts, File

FACTS = Facts(("10.0.0.2",), ("192.0.2.1",), {})
SECRET = core.Secret(data={"user": b"u", "password": b"p"})


def find(kind: str, name: str) -> core.ConfigMap | core.Secret | None:
    return SECRET if (kind, name) == ("secret", "s") else None


def make() -> core.Pod:
    pod = core.Pod()
    pod.metadata.name, pod.metadata.annotations = "p", {"q": 'say "hi"\nthere\\', "a": "b"}
    pod.spec.containers = [core.Container(name="c", image="i")]
    return pod


def test_keys_and_items() -> None:
    whole = payload.of_object("secret", "s", [], 0o400, False, find)
    assert whole == {"user": File(b"u", 0o400), "password": File(b"p", 0o400)}
    items = [core.KeyToPath(key="user", path="my/user", mode=0o777)]
    assert payload.of_object("secret", "s", items, 0o644, False, find) == {"my/user": File(b"u", 0o777)}


@pytest.mark.parametrize(
    ("name", "items", "text"),
    [
        ("none", [], 'secret "none" not found'),
        ("s", [core.KeyToPath(key="x", path="x")], "references non-existent secret key: x"),
    ],
)
def test_what_is_missing(name: str, items: list[core.KeyToPath], text: str) -> None:
    with pytest.raises(RuntimeFailure, match=text):
        payload.of_object("secret", name, items, 0o644, False, find)
    assert payload.of_object("secret", name, items, 0o644, True, find) == {}


def test_annotations_are_quoted() -> None:
    text = config.field_value(make(), "metadata.annotations", (), ())
    assert text == 'a="b"\nq="say \\"hi\\"\\nthere\\\\"'


def test_a_token_is_for_its_owner_alone() -> None:
    pod, part = make(), core.ServiceAccountTokenProjection(path="token")
    source = core.ProjectedVolumeSource(sources=[core.VolumeProjection(service_account_token=part)])
    assert payload.of_projected(pod, source, find, FACTS, lambda _: "t") == {"token": File(b"t", 0o644)}
    pod.spec.security_context = core.PodSecurityContext(run_as_user=1000)
    assert payload.of_projected(pod, source, find, FACTS, lambda _: "t") == {"token": File(b"t", 0o600, 1000)}


def test_files_change_all_at_once(tmp_path: Path) -> None:
    assert atomicwriter.write(tmp_path, {"a": File(b"1"), "d/b": File(b"2", 0o400)}, "one")
    assert (tmp_path / "a").read_bytes() == b"1" and (tmp_path / "d/b").read_bytes() == b"2"
    assert os.readlink(tmp_path / "a") == "..data/a" and os.readlink(tmp_path / "..data") == "..one"
    assert not atomicwriter.write(tmp_path, {"a": File(b"1"), "d/b": File(b"2", 0o400)}, "two")
    assert atomicwriter.write(tmp_path, {"a": File(b"3")}, "three")
    assert (tmp_path / "a").read_bytes() == b"3"
    assert sorted(os.listdir(tmp_path)) == ["..data", "..three", "a"]


@pytest.mark.parametrize("path", ["../a", "a/../b", "/etc/a", "", "..a/b", "a" * 256, "a/" * 2048 + "a"])
def test_paths_stay_in_the_volume(tmp_path: Path, path: str) -> None:
    with pytest.raises(OSError, match="invalid path"):
        atomicwriter.write(tmp_path, {path: File(b"")}, "one")
    assert os.listdir(tmp_path) == []


def test_files_do_not_follow_links_of_the_volume(tmp_path: Path) -> None:
    volume, outside = tmp_path / "v", tmp_path / "outside"
    volume.mkdir()
    outside.mkdir()
    (volume / "..data").symlink_to(outside)
    with pytest.raises(safepath.Escapes):
        atomicwriter.write(volume, {"a": File(b"1")}, "one")
    assert os.listdir(outside) == []


def test_a_link_that_is_gone_comes_again(tmp_path: Path) -> None:
    atomicwriter.write(tmp_path, {"a": File(b"1")}, "one")
    (tmp_path / "a").unlink()
    assert atomicwriter.write(tmp_path, {"a": File(b"1")}, "two")
    assert (tmp_path / "a").read_bytes() == b"1"


@pytest.mark.parametrize(
    ("kind", "text"),
    [("File", "is not a file"), ("Directory", "is not a directory"), ("Socket", "is not a socket file")],
)
def test_host_paths_that_do_not_fit(tmp_path: Path, kind: str, text: str) -> None:
    with pytest.raises(RuntimeFailure, match=f"hostPath type check failed: .* {text}"):
        hostpath.check(str(tmp_path / "none"), kind)


def test_host_paths_that_are_made(tmp_path: Path) -> None:
    hostpath.check(str(tmp_path / "a/b"), "DirectoryOrCreate")
    hostpath.check(str(tmp_path / "a/f"), "FileOrCreate")
    assert (tmp_path / "a/b").is_dir() and (tmp_path / "a/f").is_file()
    assert (tmp_path / "a/b").stat().st_mode & 0o777 == 0o755 and (tmp_path / "a/f").stat().st_mode & 0o777 == 0o644
    with pytest.raises(RuntimeFailure, match=r"open .*/x/y: no such file or directory"):
        hostpath.check(str(tmp_path / "x/y"), "FileOrCreate")
    with pytest.raises(RuntimeFailure, match=r"mkdir .*/a/f/d: not a directory"):
        hostpath.check(str(tmp_path / "a/f/d"), "DirectoryOrCreate")


def test_host_paths_through_links_of_the_host(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "var").symlink_to(tmp_path / "run")
    hostpath.check(str(tmp_path / "var/d"), "DirectoryOrCreate")
    assert (tmp_path / "run/d").is_dir()
    (tmp_path / "dangling").symlink_to(tmp_path / "elsewhere")
    for kind in ("DirectoryOrCreate", "FileOrCreate"):
        with pytest.raises(RuntimeFailure):
            hostpath.check(str(tmp_path / "dangling"), kind)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("mode", "directory", "wanted"), [(0o777, True, 0o2777), (0o755, True, 0o2775), (0o400, False, 0o660)]
)
def test_modes_with_a_group(mode: int, directory: bool, wanted: int) -> None:
    assert ownership.wanted_mode(mode, directory) == wanted


def test_mount_points_with_spaces() -> None:
    assert mount.unescaped(r"/a\040b") == "/a b"
