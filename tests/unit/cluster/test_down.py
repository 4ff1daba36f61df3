from pathlib import Path

from pybernetes.cluster import down
from pybernetes.cluster.layout import Layout


def test_a_purge_deletes_only_what_up_made(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.pki.mkdir()
    (layout.pki / "ca.key").write_text("secret")
    for name in ("state.db", "state.db-wal", "state.db-reserve", "admin.conf", "mine.txt"):
        (tmp_path / name).write_text("x")
    down.purge_data(layout)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    (tmp_path / "mine.txt").unlink()
    down.purge_data(layout)
    assert not tmp_path.exists()


def test_a_purge_spares_what_only_looks_like_ours(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    for folder, names in (
        (layout.pki, ("ca.key", "mine.crt")),
        (tmp_path, ("admin.conf", "mine.conf", "state.db.backup")),
    ):
        folder.mkdir(exist_ok=True)
        for name in names:
            (folder / name).write_text("x")
    down.purge_data(layout)
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["mine.conf", "pki/mine.crt", "state.db.backup"]
