"""This installation, packed for hosts without internet: a virtual environment with pybernetes and what it needs, to lie below /opt/pybernetes.

The hosts' own python3 runs it, so that has to be of the same version and machine. The same installation gives the same digest.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.metadata
import io
import platform
import re
import sys
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pybernetes

from .facts import BROUGHT

FORMAT = 1  # of what is packed
EXTRAS = ("etcd", "node", "scheduler")  # what masters and workers need beside the rest
LEFT_OUT = ("__pycache__", "tests", "test", "include")
LEFT_OUT_ENDINGS = (".pyc", ".pyi", ".pyx", ".pxd", ".c", ".h", ".a")
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
HOME = f"{BROUGHT}/current"
START = f"#!{HOME}/bin/python3\nimport sys\n\nfrom pybernetes.cli.main import main\n\nsys.exit(main())\n"


class BundleError(Exception):
    """The installation cannot be packed; says what is missing."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What would be packed: `files` are paths inside and where they lie here."""

    digest: str
    files: tuple[tuple[str, Path], ...]

    @property
    def python(self) -> str:
        """The version of the interpreter that it needs."""
        return VERSION

    @property
    def machine(self) -> str:
        """As uname -m says."""
        return platform.machine()

    def packed(self) -> bytes:
        """A tar, compressed. OSError."""
        target = io.BytesIO()
        with (
            gzip.GzipFile(fileobj=target, mode="wb", compresslevel=1, mtime=0) as zipped,
            tarfile.open(fileobj=zipped, mode="w|", format=tarfile.GNU_FORMAT) as archive,
        ):
            for name, text, mode in _written():
                archive.addfile(_information(name, len(text), mode), io.BytesIO(text))
            for name in ("python", "python3"):
                link = _information(f"bin/{name}", 0, 0o777)
                link.type, link.linkname = tarfile.SYMTYPE, f"/usr/bin/python{VERSION}"
                archive.addfile(link)
            for inside, path in self.files:
                with path.open("rb") as source:
                    archive.addfile(_information(inside, path.stat().st_size, 0o644), source)
        return target.getvalue()


def find() -> Bundle:
    """Of the installation that runs. BundleError, OSError."""
    files = sorted(dict(_files()).items())
    digest = hashlib.sha256(f"{FORMAT} {VERSION} {platform.machine()} {START}".encode())
    for inside, path in files:
        with path.open("rb") as source:
            digest.update(f"{inside}\0{hashlib.file_digest(source, 'sha256').hexdigest()}\0".encode())
    return Bundle(digest.hexdigest(), tuple(files))


def _written() -> Iterator[tuple[str, bytes, int]]:
    yield "pyvenv.cfg", f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {VERSION}\n".encode(), 0o644
    yield "bin/pybernetes", START.encode(), 0o755


def _files() -> Iterator[tuple[str, Path]]:
    packages = f"lib/python{VERSION}/site-packages"
    own = Path(pybernetes.__file__).parent
    for path in sorted(own.rglob("*")):
        if path.is_file() and not _left_out(path.relative_to(own)):
            yield f"{packages}/pybernetes/{path.relative_to(own)}", path
    for name in sorted(requirements()):
        distribution = importlib.metadata.distribution(name)
        for file in distribution.files or ():
            path = Path(str(distribution.locate_file(file)))
            if ".." not in file.parts and path.is_file() and not _left_out(Path(file)):
                yield f"{packages}/{file}", path


def requirements() -> set[str]:
    """The distributions that pybernetes needs, and those that these need. BundleError."""
    names: set[str] = set()
    left = _required("pybernetes", EXTRAS)
    while left:
        name, always = left.pop()
        if name in names:
            continue
        try:
            left += _required(name, ())
            names.add(name)
        except importlib.metadata.PackageNotFoundError as error:
            if always:
                raise BundleError(
                    f"the package {name!r} is not installed: pip install -e '.[etcd,node,scheduler]' again"
                ) from error
    return names


def _required(name: str, extras: Sequence[str]) -> list[tuple[str, bool]]:
    """(distribution, whether on every machine): what a marker leaves out here is not installed here."""
    result = []
    for text in importlib.metadata.requires(name) or ():
        requirement, _, marker = text.partition(";")
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]*)['\"]", marker)
        if extra is None or extra[1] in extras:
            plain = re.split(r"[\s\[<>=!~(]", requirement.strip())[0].lower()
            result.append((plain, not marker or extra is not None))
    return result


def _left_out(path: Path) -> bool:
    return path.name.endswith(LEFT_OUT_ENDINGS) or any(part in LEFT_OUT for part in path.parts[1:])


def _information(name: str, size: int, mode: int) -> tarfile.TarInfo:
    information = tarfile.TarInfo(name)
    information.size, information.mode = size, mode
    return information
