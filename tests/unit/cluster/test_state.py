import os
from pathlib import Path

import pytest

from pybernetes.cluster import state
from pybernetes.cluster.layout import Layout
from pybernetes.component.command import Failure


def test_only_one_holds_the_lock(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert state.supervisor_pid(layout) == 0
    file = state.hold(layout.lock)
    assert state.supervisor_pid(layout) == os.getpid()
    with pytest.raises(state.AlreadyRunning):
        state.hold(layout.lock)
    os.close(file)
    assert state.supervisor_pid(layout) == 0


def test_state_that_is_not_there_yet(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert state.read(layout) is None
    layout.state.write_text('{"pid": 1, "parts": [{"name": "a", "pid": 2, "restarts": 0, "lastExit": ""}]}')
    assert state.read(layout) == state.SupervisorState(1, [state.PartState("a", 2, 0, "")])


def test_a_directory_without_a_cluster_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="make one with `pybernetes up`"):
        state.existing(str(tmp_path))
    (tmp_path / "cluster.json").write_text("{")
    with pytest.raises(Failure, match=r"cluster\.json"):
        state.existing(str(tmp_path))
