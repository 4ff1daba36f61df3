"""What is left when there is no ingress controller any more."""

from __future__ import annotations

from pathlib import Path

from pybernetes.ingress.cleanup import clean


def test_keys_go_with_their_folder(tmp_path: Path) -> None:
    folder = tmp_path / "ingress-nginx"
    (folder / "files").mkdir(parents=True)
    (folder / "files" / "a.pem").write_text("secret")
    (folder / "nginx.pid").write_text("no number")
    (folder / "elsewhere").symlink_to(tmp_path)
    clean(folder)
    assert list(tmp_path.iterdir()) == []
    clean(folder)
