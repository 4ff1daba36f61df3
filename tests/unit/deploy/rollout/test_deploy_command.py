"""The command line, the guide that it prints, and what is packed for hosts."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from pybernetes.cli import deploy
from pybernetes.deploy.rollout import bundle, ssh

from .test_clusterfile import EXAMPLE, ONE

SECRETS = ("PRIVATE KEY", "abcdef.", "client-key-data")


def test_the_guide_of_the_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert deploy.main(["--dry-run", "--offline", str(EXAMPLE)]) == 0
    guide = capsys.readouterr().out
    headings = [line for line in guide.splitlines() if line.startswith("# ") and line[2].isdigit()]
    assert [heading.partition(". ")[2].partition(",")[0] for heading in headings] == [
        "Prepare the hosts",
        "The first master",
        "Further masters",
        "Workers",
        "Labels of nodes",
    ]
    for unit in ("etcd", "kube-apiserver", "nginx", "keepalived", "kubelet", "kube-proxy", "flanneld"):
        assert f"/etc/systemd/system/{unit}.service (mode 0644):" in guide
    assert "pybernetes init --config=/etc/pybernetes/init.yaml" in guide and "apt-get install" in guide
    assert guide.count("--initial-cluster-state=existing") == 2
    assert "token: TOKEN" in guide and not [secret for secret in SECRETS if secret in guide]
    assert guide.count("```") % 2 == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "want one file"),
        (["none.yaml"], "none.yaml: No such file or directory"),
        (["{file}", "--limit=b,a"], "--limit=b,a: b: the file has a"),
        (["{file}", "--offline"], "--offline is for --dry-run"),
        (["{file}", "--dryrun"], "--dryrun"),
    ],
)
def test_command_lines_that_cannot_be_used(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(ONE)
    assert deploy.main([argument.format(file=file) for argument in arguments]) == 2
    assert words in capsys.readouterr().err


def test_an_interruption_leaves_nothing_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[Path] = []

    async def interrupted(description: object, connections: ssh.Connections, values: object) -> int:
        seen.append(connections.folder)
        assert connections.folder.is_dir()
        raise KeyboardInterrupt

    monkeypatch.setattr(deploy, "_deploy", interrupted)
    file = tmp_path / "cluster.yaml"
    file.write_text(ONE)
    assert deploy.main([str(file)]) == 130
    assert "the same command goes on where it stopped" in capsys.readouterr().err
    assert not seen[0].exists()


def test_what_is_packed() -> None:
    found = bundle.find()
    names = {name for name, _ in found.files}
    packages = f"lib/python{bundle.VERSION}/site-packages"
    assert f"{packages}/pybernetes/cli/main.py" in names and f"{packages}/msgspec/__init__.py" in names
    assert {"uvloop", "cryptography", "cffi", "hpack", "numpy"} <= bundle.requirements()
    assert not any("__pycache__" in name or name.endswith(".pyc") for name in names)
    small = bundle.Bundle(
        found.digest, tuple(file for file in found.files if file[0].endswith("pybernetes/__init__.py"))
    )
    assert small.packed() == small.packed()
    with tarfile.open(fileobj=io.BytesIO(small.packed())) as archive:
        assert archive.getmember("bin/python3").linkname == f"/usr/bin/python{bundle.VERSION}"
        assert archive.getmember("bin/pybernetes").mode == 0o755
