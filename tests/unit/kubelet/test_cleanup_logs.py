"""What is left of logs whose containers are gone."""

from __future__ import annotations

from pathlib import Path

from pybernetes.kubelet.cleanup import remove_links_to_nothing


def test_links_to_nothing_go_with_their_folders(tmp_path: Path) -> None:
    logs, docker = tmp_path / "pods", tmp_path / "docker"
    docker.mkdir()
    (docker / "lives").write_text("log")
    for link, target in {
        "ns_gone_1/web/0.log": "gone",
        "ns_gone_1/web/1.log": "gone-too",
        "ns_gone_1/init/0.log": "gone",
        "ns_other_2/web/0.log": "lives",
        "ns_other_2/side/0.log": "gone",
        "ns_kept_3/web/0.log": "gone",
    }.items():
        (logs / link).parent.mkdir(parents=True, exist_ok=True)
        (logs / link).symlink_to(docker / target)
    (logs / "ns_kept_3/web/notes").write_text("of somebody")
    (logs / "ns_empty_4").mkdir()
    (logs / "ns_linked_5").symlink_to(docker)
    remove_links_to_nothing(str(logs))
    left = sorted(str(path.relative_to(logs)) for path in logs.rglob("*"))
    assert left == [
        "ns_empty_4",
        "ns_kept_3",
        "ns_kept_3/web",
        "ns_kept_3/web/notes",
        "ns_linked_5",
        "ns_other_2",
        "ns_other_2/web",
        "ns_other_2/web/0.log",
    ]
    assert (docker / "lives").read_text() == "log"
    remove_links_to_nothing(str(tmp_path / "nowhere"))
