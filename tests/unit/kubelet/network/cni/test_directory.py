"""Which networks a folder has, and what they lack."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pybernetes.kubelet.network.cni.directory import lacking

ONE = {"cniVersion": "1.0.0", "name": "one", "plugins": [{"type": "bridge"}, {"type": "portmap"}]}


@pytest.mark.parametrize(
    ("files", "plugins", "words"),
    [
        ({}, [], "no networks found in"),
        ({"10-one.conflist": ONE}, ["a/bridge", "b/portmap"], ""),
        ({"10-one.conflist": ONE}, ["a/bridge"], "network one: no portmap in"),
        ({"10-one.conflist": {}, "20-one.conflist": ONE}, ["a/bridge", "a/portmap"], ""),
        ({"10-one.conflist": {}}, ["a/bridge"], "no name"),
        (
            {"10-one.conflist": {**ONE, "name": "other"}, "20-one.conflist": ONE},
            [],
            "network other: no bridge, portmap in",
        ),
        ({"10-one.txt": ONE}, ["a/bridge", "a/portmap"], "no networks found in"),
    ],
)
def test_what_lacks(files: dict[str, object], plugins: list[str], words: str, tmp_path: Path) -> None:
    folder = tmp_path / "net.d"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    for name in plugins:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    said = lacking(folder, [str(tmp_path / "a"), str(tmp_path / "b")])
    assert words in said and bool(words) is bool(said)
