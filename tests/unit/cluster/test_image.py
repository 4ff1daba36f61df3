"""The packed image: what is in it, that it is the same each time, and that nothing is packed twice."""

from __future__ import annotations

import hashlib
import json
import marshal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from pybernetes.cluster import bytecode, elf, image
from pybernetes.cluster.image import Entry


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> image.ImageInfo:
    return image.build(tmp_path_factory.mktemp("image"))


def test_the_archive_is_what_docker_loads(packed: image.ImageInfo) -> None:
    with tarfile.open(packed.path) as archive:
        (manifest,) = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]  # it is a file
        config = archive.extractfile(manifest["Config"]).read()  # type: ignore[union-attr]  # it is a file
        assert packed.id == f"sha256:{hashlib.sha256(config).hexdigest()}"
        assert packed.name in manifest["RepoTags"]
        (layer,) = manifest["Layers"]
        digest = hashlib.file_digest(archive.extractfile(layer), "sha256").hexdigest()  # type: ignore[arg-type]  # a file
        assert json.loads(config)["rootfs"]["diff_ids"] == [f"sha256:{digest}"]
        assert json.loads(config)["config"]["Entrypoint"] == ["/usr/bin/pybernetes"]
        assert json.loads(config)["config"]["Labels"] == {image.LABEL: ""}, "by which reset finds it"
        with tarfile.open(fileobj=archive.extractfile(layer)) as inside:
            names = inside.getnames()
    assert len(names) == len(set(names))
    assert {"usr/bin/python3", "usr/bin/pybernetes", "etc/passwd", "tmp"} <= set(names)
    tag = sys.implementation.cache_tag
    assert "usr/lib/pybernetes/yaml/__init__.pyc" in names
    assert f"usr/lib/pybernetes/pybernetes/cli/__pycache__/main.{tag}.pyc" in names
    stdlib = f"usr/lib/python{sys.version_info.major}.{sys.version_info.minor}"
    assert f"{stdlib}/asyncio/base_events.pyc" in names
    assert not [n for n in names if n.startswith((f"{stdlib}/test", f"{stdlib}/idlelib", "usr/lib/pybernetes/numpy"))]
    assert packed.path.stat().st_size < 80e6


@pytest.mark.parametrize(
    ("contents", "program", "said"),
    [
        (
            image.ADD_ONS,  # cluster DNS: any plug-in, patterns, and a further process
            """
from pybernetes.api import goregexp
from pybernetes.cli import coredns
from pybernetes.dns import worker
from pybernetes.dns.plugins import ORDER
for name in ORDER:
    importlib.import_module(f"pybernetes.dns.plugins.{name}")
print(goregexp.compile("a(b)").groups("ab"))
""",
            "['ab', 'b']",
        ),
        (
            image.ADD_ONS,
            """
from pybernetes.cli import localpath, metricsserver, serviceloadbalancer
from pybernetes.loadbalancer import announcer, controller, speaker
from pybernetes.localpath import provisioner
from pybernetes.metricsserver import api, scraper
from pybernetes.net import interfaces
print(any(link.name == "lo" for link in interfaces.links()))
""",
            "True",
        ),
        (
            image.INGRESS,
            """
from pybernetes.cli import nginxingress
from pybernetes.ingress import addresses, certificates, controller, nginx, status
print(nginx.machine(nginx.Path("/run"), 80, 443, False, 0).http_port)
""",
            "80",
        ),
    ],
)
def test_what_pods_load_is_packed(contents: image.Contents, program: str, said: str) -> None:
    """The images run them: nothing is there but what is packed, of the standard library, too."""
    before = f"""
import importlib, sys
sys.path[:] = {sys.path!r}
class Packed:
    def find_spec(self, name, path, target=None):
        if "." in name:
            return
        if name not in {contents.packages!r} and name not in sys.stdlib_module_names or name in {image.LEFT_OUT!r}:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Packed())
import uvloop
"""
    done = subprocess.run([sys.executable, "-S", "-c", before + program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"{said}\n", "")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder for an image of one file."""
    source = tmp_path / "a.py"
    source.write_text("A = 1\n")
    monkeypatch.setattr(image, "collect", lambda contents: iter([Entry("usr/a.py", source)]))
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


def test_it_is_made_once(few: Path) -> None:
    packed = image.build(few)
    before = packed.path.stat()
    assert image.build(few) == packed
    assert packed.path.stat().st_mtime_ns == before.st_mtime_ns


def test_half_an_archive_is_packed_again(few: Path) -> None:
    packed = image.build(few)
    whole = packed.path.read_bytes()
    packed.path.write_bytes(whole[:1000])
    assert image.build(few) == packed
    assert packed.path.read_bytes() == whole


def test_the_same_files_make_the_same_image(tmp_path: Path) -> None:
    entries = [e for e in image.collect() if e.name.startswith(("usr/lib/pybernetes/yaml", "usr/bin", "bin/b", "lib"))]
    first, second = tmp_path / "a.tar", tmp_path / "b.tar"
    assert image.write(first, entries, "a:1") == image.write(second, entries, "a:1")
    assert first.read_bytes() == second.read_bytes()


def test_a_changed_file_is_another_image(tmp_path: Path) -> None:
    source = tmp_path / "a.py"
    source.write_text("A = 1\n")
    entries = [Entry("usr/a.py", source)]
    first, identity = image.fingerprint_of(entries), image.write(tmp_path / "i.tar", entries, "a:1")
    source.write_text("A = 22\n")
    assert image.fingerprint_of(entries) != first
    assert image.write(tmp_path / "i.tar", entries, "a:1") != identity
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.py", "i.tar"], "nothing is left behind"


def test_byte_code_is_never_checked_against_its_source(tmp_path: Path) -> None:
    source = tmp_path / "a.py"
    source.write_text("A = 6 * 7\n")
    (made,) = bytecode.compile_all([(str(source), "/usr/a.py")])
    assert made[4:8] == b"\1\0\0\0"
    code = marshal.loads(made[16:])
    scope: dict[str, object] = {}
    exec(code, scope)
    assert (scope["A"], code.co_filename) == (42, "/usr/a.py")
    source.write_text("A = (\n")
    with pytest.raises(bytecode.CompileError, match="SyntaxError"):
        bytecode.compile_all([(str(source), "/usr/a.py")])


def test_what_a_binary_needs() -> None:
    interpreter = Path(sys.executable).resolve()
    found = elf.closure([interpreter])
    assert found.loader and Path(found.loader).exists()
    assert "libc.so.6" in found.libraries
    assert all(path.exists() for path in found.libraries.values())
    assert elf.is_dynamic(interpreter)
    data = interpreter.read_bytes()
    small = elf.loadable(data)
    assert len(small) <= len(data)
    assert elf.dynamic(small).needed == elf.dynamic(data).needed
    assert elf.loadable(b"#!/bin/sh\n") == b"#!/bin/sh\n"


def test_libraries_that_are_nowhere_are_named(tmp_path: Path) -> None:
    binary = tmp_path / "x.so"
    data = Path(sys.executable).resolve().read_bytes()
    binary.write_bytes(data.replace(b"libc.so.6\0", b"libq.so.6\0"))
    with pytest.raises(FileNotFoundError, match=r"libq\.so\.6"):
        elf.closure([binary])
