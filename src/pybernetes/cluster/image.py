"""The project's own container image, packed from the running installation: no registry, no download.

What is in it: the interpreter with the standard library that servers need, the packages that add-ons import, pybernetes, the shared
libraries of all of them, CA certificates, and a static busybox (where installed) so that one can look around inside.
The same installation gives the same image, byte for byte.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import platform
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pybernetes import __version__

from . import bytecode, elf
from .host import find

FORMAT = 2  # of what is packed: a new number packs anew
HOME = "usr/lib/pybernetes"  # where packages lie inside
PACKAGES = (
    "pybernetes",
    "uvloop",
    "httptools",
    "msgspec",
    "yaml",
    "_yaml",
    "cryptography",
    "_cffi_backend",
    "jwt",
    "re2",
)
# The standard library without its tests, its desktop programs and what builds or installs software.
LEFT_OUT = frozenset(
    {"test", "tests", "idlelib", "tkinter", "turtle.py", "turtledemo", "ensurepip", "lib2to3", "pydoc_data", "pydoc.py"}
    | {"distutils", "venv", "unittest", "doctest.py", "xmlrpc", "wsgiref", "curses", "dbm", "sqlite3", "site-packages"}
    | {"dist-packages", "__pycache__", "lib-dynload", "this.py", "antigravity.py", "__phello__", "EXTERNALLY-MANAGED"}
)
MODULES_LEFT_OUT = (
    "_test",
    "_tkinter",
    "_sqlite3",
    "_curses",
    "_dbm",
    "_gdbm",
    "_xx",
    "xx",
    "nis.",
    "ossaudiodev",
    "readline",
)
# Files inside packages that only compilers and type checkers read.
SOURCES_LEFT_OUT = (".pyx", ".pxd", ".pyi", ".c", ".h", ".cpp")
CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
# www-data are nginx' workers.
PASSWD = (
    "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/:/bin/false\nnobody:x:65534:65534:nobody:/:/bin/false\n"
)
GROUP = "root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n"
SCRIPT = f"""#!/usr/bin/python3 -S
import sys

sys.path.insert(0, "/{HOME}")
from pybernetes.cli.main import main

sys.exit(main())
"""
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "PYTHONPATH": f"/{HOME}",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",  # wherever the OpenSSL that was packed would look
}
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}

# By which all images of the project are known, also those whose name another one has by now.
LABEL = "io.pybernetes.image"
LOCAL_NAME = "pybernetes:local"  # for manifests that people write: it does not change with the version


@dataclass(frozen=True, slots=True)
class Contents:
    """An image: what it is called, and what it has beside the interpreter and pybernetes. `programs` are of this host."""

    name: str
    packages: tuple[str, ...]
    programs: tuple[str, ...] = ()
    local: str = ""  # a further name

    @property
    def full_name(self) -> str:
        """With the version."""
        return f"{self.name}:{__version__}"


ADD_ONS = Contents("pybernetes", PACKAGES, local=LOCAL_NAME)
# What runs a master in static pods. numpy is the scheduler's, re2 the API server's, hpack its client of etcd's.
CONTROL_PLANE = Contents("pybernetes-control-plane", (*PACKAGES, "numpy", "re2", "hpack"), ("etcd",))
# What serves Ingresses: the controller with this host's nginx.
INGRESS = Contents("pybernetes-ingress", PACKAGES, ("nginx",))
ALL = (ADD_ONS, CONTROL_PLANE, INGRESS)


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """`id` is Docker's image ID (sha256:...); `path` a tar for `docker load`."""

    name: str
    id: str
    path: Path


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in the image, by its path there: a file from here, bytes, or a symbolic link."""

    name: str
    source: Path | None = None
    data: bytes = b""
    link: str = ""
    mode: int = 0o644
    compiled: bool = False  # the byte code of the Python source


class ImageError(Exception):
    """The installation cannot be packed; one line for the user."""


def build(folder: Path, contents: Contents = ADD_ONS) -> ImageInfo:
    """Packs into the folder, unless what is there was made of the same files. ImageError, OSError."""
    entries = sorted(collect(contents), key=lambda entry: entry.name)
    name, fingerprint = contents.full_name, fingerprint_of(entries)
    path, note = folder / f"{contents.name}.tar", folder / f"{contents.name}.json"
    try:
        record = json.loads(note.read_text())
        if record["fingerprint"] == fingerprint and record["bytes"] == path.stat().st_size:
            return ImageInfo(record["name"], record["id"], path)
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not packed yet, or half: pack
    identity = write(path, entries, [name, *([contents.local] if contents.local else [])])
    record = {"name": name, "id": identity, "fingerprint": fingerprint, "bytes": path.stat().st_size}
    temporary = note.with_suffix(".new")
    temporary.write_text(json.dumps(record))
    temporary.replace(note)
    return ImageInfo(name, identity, path)


def fingerprint_of(entries: Iterable[Entry]) -> str:
    """Changes when any file that is packed does, by size and time."""
    digest = hashlib.sha256(f"{FORMAT} {sys.version}".encode())
    for entry in entries:
        digest.update(f"{entry.name}\0{entry.mode}\0{entry.link}\0".encode() + entry.data)
        if entry.source is not None:
            status = entry.source.stat()
            digest.update(f"{entry.source}\0{status.st_size}\0{status.st_mtime_ns}".encode())
    return digest.hexdigest()


def collect(contents: Contents = ADD_ONS) -> Iterator[Entry]:
    """Everything that belongs into the image. ImageError."""
    interpreter = Path(sys.executable).resolve()
    binaries = [interpreter]
    yield Entry("usr/bin/python3", interpreter, mode=0o755)
    yield Entry("usr/bin/pybernetes", data=SCRIPT.encode(), mode=0o755)
    for program in contents.programs:
        path = find(program)
        if path is None:
            raise ImageError(f"the program {program} is missing on this host")
        binaries.append(Path(path).resolve())
        yield Entry(f"usr/bin/{program}", binaries[-1], mode=0o755)
    for entry in (*_standard_library(), *_packages(contents.packages)):
        if entry.source is not None and entry.source.name.endswith(".so"):
            binaries.append(entry.source)
        yield entry
    yield from _libraries(binaries)
    yield from _busybox()
    for place in CERTIFICATES:
        if Path(place).exists():
            yield Entry("etc/ssl/certs/ca-certificates.crt", Path(place))
            break
    yield Entry("etc/passwd", data=PASSWD.encode())
    yield Entry("etc/group", data=GROUP.encode())
    yield Entry("etc/nsswitch.conf", data=b"hosts: files dns\n")
    for folder, mode in (
        ("tmp", 0o1777),
        ("root", 0o700),
        ("var/run", 0o755),
        ("proc", 0o555),
        ("sys", 0o555),
        ("dev", 0o755),
    ):
        yield Entry(f"{folder}/", mode=mode)


def _standard_library() -> Iterator[Entry]:
    origin = Path(sysconfig.get_path("stdlib"))
    inside = f"usr/lib/{origin.name}"
    for path in sorted(origin.iterdir()):
        if path.name not in LEFT_OUT and not path.name.startswith("config-"):
            yield from _tree(path, f"{inside}/{path.name}", sources=False)
    dynamic = Path(sysconfig.get_config_var("DESTSHARED") or origin / "lib-dynload")
    for path in sorted(dynamic.glob("*.so")):
        if not path.name.startswith(MODULES_LEFT_OUT):
            yield Entry(f"{inside}/lib-dynload/{path.name}", path)


def _packages(names: Iterable[str]) -> Iterator[Entry]:
    for name in names:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise ImageError(f"the package {name!r} is not installed: pip install -e . again")
        origin = Path(spec.origin)
        if spec.submodule_search_locations is None:
            yield from _tree(origin, f"{HOME}/{origin.name}", sources=True)
            continue
        # Tracebacks show our own lines; others' are their business.
        yield from _tree(origin.parent, f"{HOME}/{name}", sources=name == "pybernetes")
        libraries = origin.parent.parent / f"{name}.libs"  # where wheels keep the libraries they brought
        if libraries.is_dir():
            yield from _tree(libraries, f"{HOME}/{name}.libs", sources=True)


def _tree(path: Path, inside: str, sources: bool) -> Iterator[Entry]:
    """A file or all below a folder. Python comes as byte code, beside its source or instead of it."""
    if path.is_dir():
        for child in sorted(path.iterdir()):
            if child.name not in ("__pycache__", "tests", "test", "include") and not child.name.endswith(
                SOURCES_LEFT_OUT
            ):
                yield from _tree(child, f"{inside}/{child.name}", sources)
    elif path.suffix != ".py":
        yield Entry(inside, path)
    elif sources:
        yield Entry(inside, path)
        folder, _, name = inside.rpartition("/")
        yield Entry(f"{folder}/__pycache__/{name[:-3]}.{sys.implementation.cache_tag}.pyc", path, compiled=True)
    else:
        yield Entry(f"{inside}c", path, compiled=True)


def _libraries(binaries: Iterable[Path]) -> Iterator[Entry]:
    """Shared libraries beside libc, where the dynamic loader looks without being told; the loader where the binaries say."""
    libraries = elf.closure(binaries)
    if not libraries.libraries:
        return  # a static interpreter
    home = libraries.libraries["libc.so.6"].parent if "libc.so.6" in libraries.libraries else Path("/usr/lib")
    for name, path in sorted(libraries.libraries.items()):
        if str(path) != libraries.loader:
            yield Entry(f"{str(home).lstrip('/')}/{name}", path, mode=0o755)
    for name in ("libnss_dns.so.2", "libnss_files.so.2"):  # parts of libc itself since glibc 2.34
        if (home / name).exists():
            yield Entry(f"{str(home).lstrip('/')}/{name}", home / name, mode=0o755)
    if libraries.loader:
        yield Entry(libraries.loader.lstrip("/"), Path(libraries.loader).resolve(), mode=0o755)


def _busybox() -> Iterator[Entry]:
    program = shutil.which("busybox")
    if program is None or elf.is_dynamic(Path(program)):
        return
    yield Entry("bin/busybox", Path(program).resolve(), mode=0o755)
    applets = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for applet in sorted(set(applets) - {"busybox"}):
        yield Entry(f"bin/{applet}", link="busybox", mode=0o777)


def write(path: Path, entries: Sequence[Entry], names: Sequence[str]) -> str:
    """The tar for `docker load`; the image's ID. Complete or not there at all."""
    layer, temporary = path.with_suffix(".layer"), path.with_suffix(".new")
    try:
        with layer.open("wb") as file, tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as archive:
            _write_layer(archive, entries, _compiled(entries))
        with layer.open("rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
        config = json.dumps(_config(digest), sort_keys=True).encode()
        identity = hashlib.sha256(config).hexdigest()
        manifest = [{"Config": f"{identity}.json", "RepoTags": list(names), "Layers": [f"{digest}/layer.tar"]}]
        with tarfile.open(temporary, "w", format=tarfile.GNU_FORMAT) as archive:
            for inside, data in ((f"{identity}.json", config), ("manifest.json", json.dumps(manifest).encode())):
                archive.addfile(_information(inside, len(data)), io.BytesIO(data))
            with layer.open("rb") as written:
                archive.addfile(_information(f"{digest}/layer.tar", layer.stat().st_size), written)
        temporary.replace(path)
    finally:
        layer.unlink(missing_ok=True)
        temporary.unlink(missing_ok=True)
    return f"sha256:{identity}"


def _config(digest: str) -> dict[str, object]:
    """The image's configuration as OCI has it: where the program is, and the digest of the one layer, unpacked."""
    return {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "Entrypoint": ["/usr/bin/pybernetes"],
            "Env": [f"{name}={value}" for name, value in ENVIRONMENT.items()],
            "WorkingDir": "/",
            "Labels": {LABEL: ""},
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "pybernetes"}],
    }


def _compiled(entries: Sequence[Entry]) -> dict[str, bytes]:
    """Byte code by path in the image."""
    sources = [entry for entry in entries if entry.compiled]
    items = [(str(entry.source), f"/{_source_name(entry.name)}") for entry in sources]
    try:
        return dict(zip((entry.name for entry in sources), bytecode.compile_all(items), strict=True))
    except bytecode.CompileError as error:
        raise ImageError(f"a source cannot be compiled: {error}") from error


def _source_name(name: str) -> str:
    """usr/lib/a/__pycache__/b.cpython-311.pyc is of usr/lib/a/b.py, usr/lib/a/b.pyc of the same."""
    folder, _, file = name.rpartition("/")
    return f"{folder.removesuffix('/__pycache__')}/{file.partition('.')[0]}.py"


def _write_layer(archive: tarfile.TarFile, entries: Iterable[Entry], compiled: Mapping[str, bytes]) -> None:
    """Folders before what is in them."""
    directories: set[str] = set()
    for entry in entries:
        name = entry.name.rstrip("/")
        parts = name.split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            if folder not in directories:
                directories.add(folder)
                archive.addfile(_information(folder, kind=tarfile.DIRTYPE, mode=0o755))
        if name in directories:
            continue
        directories.add(name)
        if entry.name.endswith("/"):
            archive.addfile(_information(name, kind=tarfile.DIRTYPE, mode=entry.mode))
        elif entry.link:
            archive.addfile(_information(name, kind=tarfile.SYMTYPE, mode=entry.mode, link=entry.link))
        else:
            data = compiled[name] if entry.compiled else _content(entry)
            archive.addfile(_information(name, len(data), mode=entry.mode), io.BytesIO(data))


def _content(entry: Entry) -> bytes:
    if entry.source is None:
        return entry.data
    return elf.loadable(entry.source.read_bytes())


def _information(
    name: str, size: int = 0, *, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, link: str = ""
) -> tarfile.TarInfo:
    information = tarfile.TarInfo(name)
    information.size, information.type, information.mode, information.linkname = size, kind, mode, link
    return information
