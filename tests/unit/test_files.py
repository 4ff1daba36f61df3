"""Private files and directories, whatever the umask."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybernetes import files


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_what_is_made_is_the_owners_whatever_the_umask(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    files.make_private_directory(folder)
    files.write_private(folder / "key", b"secret")
    os.close(files.open_private(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND))
    assert [mode(path) for path in (folder, folder / "key", folder / "log")] == [0o700, 0o600, 0o600]
    assert (folder / "key").read_bytes() == b"secret"


def test_a_file_that_was_open_to_others_is_closed_before_it_is_written(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"a longer text than before")
    key.chmod(0o644)
    files.write_private(key, b"secret")
    assert (mode(key), key.read_bytes()) == (0o600, b"secret")


def test_closing_tells_what_was_open(tmp_path: Path) -> None:
    for name, bits in (("open", 0o666), ("group", 0o640), ("closed", 0o600)):
        (tmp_path / name).write_bytes(b"")
        (tmp_path / name).chmod(bits)
    names = ("open", "group", "closed", "missing")
    assert files.close_to_others(tmp_path / name for name in names) == [tmp_path / "open", tmp_path / "group"]
    assert [mode(tmp_path / name) for name in names[:3]] == [0o600, 0o600, 0o600]


def test_a_directory_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    files.make_private_directory(tmp_path)
    assert mode(tmp_path) == 0o755
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileExistsError):
        files.make_private_directory(tmp_path / "file")


def test_a_directory_where_others_live_is_not_ours_alone(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "notes.txt").write_bytes(b"")
    assert files.is_our_own(tmp_path, ("logs",))
    assert not files.is_our_own(tmp_path, ("pki",))
    tmp_path.chmod(0o1777)  # as /tmp
    assert not files.is_our_own(tmp_path, ("logs",))


def test_a_lock_is_held_by_one_and_says_by_whom(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    held = files.hold(lock)
    with pytest.raises(files.Held, match=f"process {os.getpid()}") as refused:
        files.hold(lock, wait_seconds=0.02)
    assert refused.value.pid == os.getpid()
    lock.write_bytes(b"")  # as between taking it and saying so
    with pytest.raises(files.Held, match="another process"):
        files.hold(lock)
    os.close(held)
    os.close(files.hold(lock))
