"""Paths that a pod can influence, made and opened without following a link (upstream: pkg/volume/util/subpath/subpath_linux.go).

Whoever may write into a volume may put a link, a fifo or another directory anywhere in it, at any moment. So what is read
of a path beforehand (`resolve`) is a hint alone; what is opened, made or changed is reached over descriptors, one component
after the other, and a link on the way is an error: `Escapes`. Functions that answer a descriptor leave closing it to their
caller. All of this module blocks: call it on a thread.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

PATH = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC  # of whatever it is: opening a fifo or a device for real may block
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
DEFAULT_MODE = 0o755
MAX_LINKS = 40  # as the kernel's
GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)  # removed, or replaced by something else


class Escapes(OSError):
    """A path leads out of its root, or a link stands where none may."""


def components(path: str) -> tuple[str, ...]:
    """The names of a relative path; Escapes where it is absolute or goes up."""
    names = tuple(name for name in path.split("/") if name not in ("", "."))
    if path.startswith("/") or ".." in names:
        raise Escapes(f"{path!r} must not be an absolute path or contain '..'")
    return names


def _one(name: str) -> str:
    """A name that is one component; Escapes where it is none or several."""
    if "/" in name or name in ("", ".", ".."):
        raise Escapes(f"{name!r} is no name of a file")
    return name


def resolve(base: str | Path, names: Sequence[str] = ()) -> tuple[str, tuple[str, ...]]:
    """The real path of as much of base and names as there is, and the names that are missing.

    A link that leads nowhere counts as missing. FileNotFoundError where the base itself is not there.
    """
    real = os.path.realpath(base, strict=True)
    for index, name in enumerate(names):
        inner = os.path.join(real, name)
        try:
            is_link = stat.S_ISLNK(os.lstat(inner).st_mode)
            real = os.path.realpath(inner, strict=True) if is_link else inner
        except FileNotFoundError:
            return real, tuple(names[index:])
    return real, ()


def open_trusted(names: Sequence[str]) -> tuple[int, tuple[str, ...]]:
    """The O_PATH descriptor of as much of an absolute path as there is, and the names that are missing.

    Links are followed; FileExistsError at one that leads nowhere, Escapes at one that another than root may have put there: in a
    directory that others may write into, or anywhere below one. Who owns it does not count there, for a pod may be root.
    Each is read where its directory is open, so that it makes no difference what is put in that directory's place meanwhile.
    """
    current, rest, followed = os.open("/", PATH | os.O_DIRECTORY), list(names), 0
    foreign = False  # the way has been through a directory whose entries others may replace
    own = len(rest)  # how many of the rest are the path's own names, not a link's
    try:
        while rest:
            try:
                inner = os.open(rest[0], PATH, dir_fd=current)
            except FileNotFoundError:
                if len(rest) > own:
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
                return os.dup(current), tuple(rest)
            name = rest.pop(0)
            own = min(own, len(rest))
            folder, entry = os.fstat(current), os.fstat(inner)
            foreign = foreign or _replaceable(folder, entry)
            if not stat.S_ISLNK(entry.st_mode):
                os.close(current)
                current = inner
                continue
            try:
                if foreign or _open_to_others(folder):
                    raise Escapes(f"{name!r} is a symbolic link in, or below, a directory that others may write into")
                target = os.readlink("", dir_fd=inner)
            finally:
                os.close(inner)
            followed += 1
            if followed > MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            if target.startswith("/"):
                os.close(current)
                current = os.open("/", PATH | os.O_DIRECTORY)
            rest = [part for part in target.split("/") if part not in ("", ".")] + rest
        return os.dup(current), ()
    finally:
        os.close(current)


def _open_to_others(directory: os.stat_result) -> bool:
    return directory.st_uid != 0 or bool(directory.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def _replaceable(folder: os.stat_result, entry: os.stat_result) -> bool:
    """Whether others than root may put something else in the entry's place; in /tmp and its like everybody may touch his own alone."""
    own_alone = bool(folder.st_mode & stat.S_ISVTX) and folder.st_uid == 0 and entry.st_uid == 0
    return _open_to_others(folder) and not own_alone


def resolve_within(base: str | Path, names: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """As `resolve`; Escapes where links lead out of the base."""
    root = os.path.realpath(base, strict=True)
    real, missing = resolve(base, names)
    if real != root and not real.startswith(root.rstrip("/") + "/"):
        raise Escapes(f"subpath {'/'.join(names)!r} not within volume path {root!r}")
    return real, missing


def open_path(path: str) -> int:
    """The O_PATH descriptor of an absolute path that has no link in it, of whatever kind it is."""
    current = os.open("/", PATH | os.O_DIRECTORY)
    return _descend(current, components(path.lstrip("/")))


def open_below(root: str | Path, names: Sequence[str]) -> int:
    """As `open_path`, below a root that no pod can replace: links on the way to the root itself are its owner's business."""
    return _descend(os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC), names)


def _descend(current: int, names: Sequence[str]) -> int:
    """Consumes the descriptor that it begins with."""
    for name in names:
        try:
            inner = os.open(_one(name), PATH, dir_fd=current)
        finally:
            os.close(current)
        if stat.S_ISLNK(os.fstat(inner).st_mode):
            os.close(inner)
            raise Escapes(f"{name!r} in {'/'.join(names)} is a symbolic link")
        current = inner
    return current


def make_directories(start: int, names: Sequence[str], mode: int = DEFAULT_MODE) -> int:
    """Makes the directories that are missing below an open one; the last one's descriptor, for reading.

    What it makes has just this mode, whatever the umask; what is there stays as it is. `start` stays open.
    """
    current = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=start)
    for name in names:
        try:
            descriptor = _make_directory(current, _one(name), mode)
        finally:
            os.close(current)
        current = descriptor
    return current


def _make_directory(parent: int, name: str, mode: int) -> int:
    try:
        os.mkdir(name, mode, dir_fd=parent)
        fresh = True
    except FileExistsError:
        fresh = False
    # Between the two it may have been replaced: by a link or file, which fails here, or by another directory of the
    # volume, which its owner could have chosen all the same.
    descriptor = os.open(name, DIRECTORY, dir_fd=parent)
    if fresh:
        try:
            os.fchmod(descriptor, mode)
        except OSError:
            os.close(descriptor)
            raise
    return descriptor


@contextmanager
def directory(root: str | Path, names: Sequence[str] = (), mode: int = DEFAULT_MODE) -> Iterator[int]:
    """A directory below a root that no pod can replace, open for reading; what is missing is made."""
    start = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        opened = make_directories(start, names, mode)
    finally:
        os.close(start)
    try:
        yield opened
    finally:
        os.close(opened)


def write_file(
    parent: int, name: str, data: bytes, mode: int, *, uid: int = -1, gid: int = -1, exclusive: bool = False
) -> None:
    """Makes or overwrites a regular file in place, with just this mode; -1 leaves the owner as it is.

    `exclusive`: FileExistsError where there is one already.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a fifo must not block the kubelet
    file = os.open(_one(name), flags | (os.O_EXCL if exclusive else 0), 0o600, dir_fd=parent)
    with open(file, "wb") as stream:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise Escapes(f"{name!r} is no regular file")
        os.ftruncate(file, 0)
        stream.write(data)
        stream.flush()
        os.fchown(file, uid, gid)
        os.fchmod(file, mode)  # last: a change of owner takes setuid and setgid away


def open_regular(path: str | Path) -> int:
    """A regular file's descriptor for reading; the last component is no link. Escapes where it is something else."""
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise Escapes(f"{os.fspath(path)!r} is no regular file")
    return file


def read_within(root: str | Path, path: str, limit: int) -> bytes:
    """The first bytes of a regular file below the root, links that stay within it followed. FileNotFoundError; Escapes."""
    real, missing = resolve_within(root, components(path))
    if missing:
        raise FileNotFoundError(errno.ENOENT, "not there", path)
    opened = open_path(real)
    try:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise Escapes(f"{path!r} is no regular file")
        with open(through(opened), "rb") as stream:
            return stream.read(limit)
    finally:
        os.close(opened)


def through(descriptor: int) -> str:
    """A path that names what is open, whatever is put in its place: for calls that take only a path, such as mount(2)."""
    return f"/proc/self/fd/{descriptor}"


def change(parent: int, name: str, *, gid: int, mode: int | None) -> None:
    """Gives an entry a group, and a mode where it is no link."""
    if mode is None:
        os.chown(name, -1, gid, dir_fd=parent, follow_symlinks=False)
        return
    opened = os.open(name, PATH, dir_fd=parent)
    try:
        if stat.S_ISLNK(os.fstat(opened).st_mode):
            raise Escapes(f"{name!r} has become a symbolic link")
        os.chown(through(opened), -1, gid)
        os.chmod(through(opened), mode)
    finally:
        os.close(opened)


def walk(top: int) -> Iterator[tuple[int, str, os.stat_result]]:
    """All that lies below an open directory: (the descriptor of its directory, its name, its own status).

    A directory comes after what is in it, so it may be removed then. Depth costs neither stack nor descriptors: pods nest
    directories by the thousand. What goes away meanwhile is passed over; Escapes where a directory is moved meanwhile.
    """
    current = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=top)
    try:
        outer: list[tuple[list[str], str, os.stat_result, os.stat_result]] = []  # the way back: what is left there
        names = os.listdir(current)
        while True:
            if not names:
                if not outer:
                    return
                names, name, status, parent = outer.pop()
                current = _up(current, parent)
                yield current, name, status
                continue
            name = names.pop()
            try:
                status = os.lstat(name, dir_fd=current)
                inner = os.open(name, DIRECTORY, dir_fd=current) if stat.S_ISDIR(status.st_mode) else -1
            except OSError as error:
                if error.errno in GONE:
                    continue
                raise
            if inner < 0:
                yield current, name, status
                continue
            outer.append((names, name, status, os.fstat(current)))
            os.close(current)
            current = inner
            names = os.listdir(current)
    finally:
        os.close(current)


def _up(current: int, parent: os.stat_result) -> int:
    """The directory above, which must be the one that the walk came from. Closes the inner one when it succeeds."""
    above = os.open("..", PATH | os.O_DIRECTORY, dir_fd=current)
    if not os.path.samestat(os.fstat(above), parent):
        os.close(above)
        raise Escapes("a directory was moved while it was walked through")
    os.close(current)
    return above


def remove_tree(root: str | Path, names: Sequence[str]) -> None:
    """Removes a directory below a root that no pod can replace, with all in it; none is no error."""
    try:
        parent = open_below(root, names[:-1])
    except FileNotFoundError:
        return
    try:
        top = os.open(_one(names[-1]), DIRECTORY, dir_fd=parent)
        try:
            for folder, name, status in walk(top):
                with suppress(FileNotFoundError):  # somebody else was first; the rest is to go all the same
                    (os.rmdir if stat.S_ISDIR(status.st_mode) else os.unlink)(name, dir_fd=folder)
        finally:
            os.close(top)
        os.rmdir(names[-1], dir_fd=parent)
    except FileNotFoundError:
        return
    finally:
        os.close(parent)


def disk_usage(path: str | Path) -> int:
    """The bytes that a directory's files occupy, as du counts them; of one that is moved about, what was counted until then."""
    total = 0
    with directory(path) as top:
        try:
            for _, _, status in walk(top):
                total += status.st_blocks * 512
        except Escapes:
            return total
    return total
