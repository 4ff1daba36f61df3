"""What a binary needs at run time, read from its ELF headers (System V ABI; man 5 elf, man 8 ld.so)."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

MAGIC = b"\x7fELF"
PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
DT_NEEDED, DT_STRTAB, DT_RPATH, DT_RUNPATH = 1, 5, 15, 29
FALLBACKS = ("/lib", "/usr/lib", "/lib64", "/usr/lib64")  # where the loader looks last


@dataclass(slots=True)
class Dynamic:
    """The dynamic section: libraries by name, folders to look in first, the loader."""

    needed: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    loader: str = ""


@dataclass(slots=True)
class Closure:
    """Libraries by name, with what they need themselves, and the loader's path."""

    libraries: dict[str, Path] = field(default_factory=dict)
    loader: str = ""


@dataclass(frozen=True, slots=True)
class _Segment:
    type: int
    offset: int
    address: int
    size: int


def _segments(data: bytes) -> list[_Segment]:
    """Program headers of a 64-bit little-endian file; none for anything else."""
    if data[:4] != MAGIC or data[4:6] != b"\x02\x01":
        return []
    start, size, count = (*struct.unpack_from("<Q", data, 32), *struct.unpack_from("<HH", data, 54))
    segments = []
    for index in range(count):
        type, _, offset, address, _, length, _, _ = struct.unpack_from("<IIQQQQQQ", data, start + index * size)
        segments.append(_Segment(type, offset, address, length))
    return segments


def dynamic(data: bytes) -> Dynamic:
    """What stands in the headers; empty for a static binary."""
    segments = _segments(data)
    result = Dynamic()
    for segment in segments:
        if segment.type == PT_INTERP:
            result.loader = data[segment.offset : segment.offset + segment.size].rstrip(b"\0").decode()
    table = next((s for s in segments if s.type == PT_DYNAMIC), None)
    if table is None:
        return result
    pairs = list(struct.iter_unpack("<qQ", data[table.offset : table.offset + table.size // 16 * 16]))
    strings = next((value for tag, value in pairs if tag == DT_STRTAB), 0)
    base = next(
        (
            s.offset + strings - s.address
            for s in segments
            if s.type == PT_LOAD and s.address <= strings < s.address + s.size
        ),
        0,
    )

    def text(offset: int) -> str:
        return data[base + offset : data.index(b"\0", base + offset)].decode()

    result.needed = [text(value) for tag, value in pairs if tag == DT_NEEDED]
    for tag, value in pairs:
        if tag in (DT_RPATH, DT_RUNPATH):
            result.paths += text(value).split(":")
    return result


def is_dynamic(path: Path) -> bool:
    """Whether a program needs a loader."""
    return bool(dynamic(path.read_bytes()).loader)


def closure(binaries: Iterable[Path]) -> Closure:
    """All that the binaries need. FileNotFoundError with the name of a library that is nowhere."""
    result = Closure()
    cache = _loader_cache()
    waiting = [(path, list[str]()) for path in binaries]
    while waiting:
        path, inherited = waiting.pop()
        linked = dynamic(path.read_bytes())
        result.loader = result.loader or linked.loader
        paths = [p.replace("$ORIGIN", str(path.parent)).replace("${ORIGIN}", str(path.parent)) for p in linked.paths]
        for name in linked.needed:
            if name not in result.libraries and name != os.path.basename(result.loader):
                library = _locate(name, [*paths, *inherited], cache)
                if any(
                    f"{os.sep}site-packages{os.sep}" in p and str(library).startswith(os.path.normpath(p))
                    for p in paths
                ):
                    continue  # a wheel's own: packed beside the package, and found there
                result.libraries[name] = library
                waiting.append((library, [*paths, *inherited]))
    return result


def _locate(name: str, paths: Iterable[str], cache: dict[str, str]) -> Path:
    for folder in (*paths, *os.environ.get("LD_LIBRARY_PATH", "").split(":")):
        if folder and (Path(folder) / name).exists():
            return Path(os.path.normpath(Path(folder) / name))
    if name in cache:
        return Path(cache[name])
    for folder in FALLBACKS:
        if (Path(folder) / name).exists():
            return Path(folder) / name
    raise FileNotFoundError(2, "a shared library is missing", name)


def _loader_cache() -> dict[str, str]:
    """Name -> path, as ldconfig prints its cache: `libc.so.6 (libc6,x86-64) => /lib/...`; the first of a name counts."""
    for program in ("/sbin/ldconfig", "/usr/sbin/ldconfig"):
        if Path(program).exists():
            printed = subprocess.run([program, "-p"], capture_output=True, text=True, check=True).stdout
            lines = [line.strip().partition(" => ") for line in printed.splitlines() if " => " in line]
            libraries: dict[str, str] = {}
            for left, _, path in lines:
                libraries.setdefault(left.split(" ")[0], path)
            return libraries
    return {}


def loadable(data: bytes) -> bytes:
    """A shared library or program without what only debuggers and linkers read: all behind the last segment that is loaded."""
    segments = _segments(data)
    if not segments:
        return data
    end = max(segment.offset + segment.size for segment in segments)
    table_end = struct.unpack_from("<Q", data, 32)[0] + len(segments) * struct.unpack_from("<H", data, 54)[0]
    kept = bytearray(data[: max(end, table_end)])
    struct.pack_into("<Q", kept, 40, 0)  # e_shoff
    struct.pack_into("<HHH", kept, 58, 0, 0, 0)  # e_shentsize, e_shnum, e_shstrndx
    return bytes(kept)
