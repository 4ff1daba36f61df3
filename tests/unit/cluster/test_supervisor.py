"""The supervisor with real processes: restart, order of stopping, end with the parent."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pybernetes.cluster.supervisor import exit_text, restart_delay

PARTS = """
import signal, sys, time
def main(arguments):
    name, folder = arguments
    def stop(*_):
        open(f"{folder}/stopped", "a").write(name + "\\n")
        sys.exit(0)
    signal.signal(signal.SIGTERM, stop)
    print("hello from", name, flush=True)
    while True:
        signal.pause()
"""
RUN = """
import sys
from pathlib import Path
from pybernetes.cluster.supervisor import Part, Supervisor, handed_over
folder = Path(sys.argv[1])
before = handed_over()
def read():
    names = (folder / "parts").read_text().split()
    if "broken" in names:
        raise ValueError("it is broken")
    return [Part(name, "toy_part", (name.partition("=")[0], str(folder))) for name in names if name != "sleep"] + [
        Part(name, arguments=("-c", "echo $WORD $(stat -c %a $0); exec sleep 600", f"{folder}/made"), program="sh",
             environment={"WORD": "hello"}, directories=(f"{folder}/made",)) for name in names if name == "sleep"]
def renewal():
    if (folder / "no-release").exists():
        return [str(folder / "no-such-python")]
    return [sys.executable, "-c", sys.orig_argv[2], *sys.argv[1:]]
if not before.parts:
    (folder / "parts").write_text("one two")
Supervisor(read(), folder / "logs", folder / "state.json", (), read, renewal, before).run()
"""


@pytest.mark.parametrize(("failures", "delay"), [(1, 0.5), (2, 1.0), (3, 2.0), (7, 30.0), (5000, 30.0)])
def test_restart_delay(failures: int, delay: float) -> None:
    assert restart_delay(failures) == delay


def test_exit_text() -> None:
    assert exit_text(9) == "signal SIGKILL"
    assert exit_text(3 << 8) == "exit code 3"


def until(condition: Callable[[], Any]) -> Any:
    """The first true answer; fails after a minute."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError("nothing happened in 60 s")


def pids(folder: Path) -> dict[str, int]:
    path = folder / "state.json"
    state = json.loads(path.read_text()) if path.exists() else {"parts": []}
    return {part["name"]: part["pid"] for part in state["parts"] if part["pid"]}


def both(folder: Path) -> dict[str, int]:
    """Empty until the processes of both parts are written down."""
    return running if len(running := pids(folder)) == 2 else {}


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def supervisor(tmp_path: Path) -> Any:
    (tmp_path / "toy_part.py").write_text(PARTS)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path)], env=environment, stderr=subprocess.DEVNULL, umask=0
    )
    logs = [tmp_path / "logs" / f"{name}.log" for name in ("one", "two")]
    until(lambda: all(log.exists() and "hello" in log.read_text() for log in logs))
    yield process
    process.kill()
    process.wait()


def test_logs_and_state_are_their_owners_alone(supervisor: Any, tmp_path: Path) -> None:
    until(lambda: pids(tmp_path))
    paths = [tmp_path / "logs", *(tmp_path / "logs").iterdir(), tmp_path / "state.json"]
    assert [path.stat().st_mode & 0o777 for path in paths] == [0o700, 0o600, 0o600, 0o600]


def test_parts_are_known_by_their_names(supervisor: Any, tmp_path: Path) -> None:
    """By `ps`, and by `doctor`, which took each of them for a stranger on a part's port: their command line is the supervisor's."""
    running = until(lambda: both(tmp_path))
    assert {name: Path(f"/proc/{pid}/comm").read_text().strip() for name, pid in running.items()} == {
        "one": "one",
        "two": "two",
    }


def test_killed_part_is_restarted_and_stop_is_in_reverse_order(supervisor: Any, tmp_path: Path) -> None:
    before = until(lambda: both(tmp_path))
    os.kill(before["two"], signal.SIGKILL)
    after = until(lambda: (now := pids(tmp_path)) and now.get("two") not in (None, before["two"]) and now)
    assert after["one"] == before["one"]
    until(lambda: (tmp_path / "logs" / "two.log").read_text().count("hello") == 2)
    supervisor.terminate()
    supervisor.wait(60)
    assert (tmp_path / "stopped").read_text().split() == ["two", "one"]
    assert not (tmp_path / "state.json").exists()


def test_parts_end_with_a_killed_supervisor(supervisor: Any, tmp_path: Path) -> None:
    before = until(lambda: both(tmp_path))
    supervisor.kill()
    until(lambda: not any(alive(pid) for pid in before.values()))


def test_parts_are_read_again(supervisor: Any, tmp_path: Path) -> None:
    """New ones start, those that are gone end, the others are left alone; what cannot be read changes nothing."""
    before = until(lambda: both(tmp_path))
    for names in ("one broken", "one sleep"):
        (tmp_path / "parts").write_text(names)
        supervisor.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        if "broken" in names:
            assert pids(tmp_path) == before
    after = until(lambda: (now := pids(tmp_path)).keys() == {"one", "sleep"} and now)
    assert after["one"] == before["one"] and not alive(before["two"])
    assert (tmp_path / "stopped").read_text().split() == ["two"]
    log = tmp_path / "logs" / "sleep.log"
    assert until(lambda: log.exists() and log.read_text()) == "hello 700\n"
    assert Path(f"/proc/{after['sleep']}/comm").read_text() == "sleep\n"


def generation(folder: Path) -> int:
    return int(json.loads((folder / "state.json").read_text())["generation"])


def test_a_newer_release_takes_over_and_parts_go_on(supervisor: Any, tmp_path: Path) -> None:
    """The same processes under the same supervisor, which is another program by then; what has gone meanwhile is started, or ended."""
    before = until(lambda: both(tmp_path))
    supervisor.send_signal(signal.SIGUSR2)
    until(lambda: generation(tmp_path) == 1)
    assert pids(tmp_path) == before and all(map(alive, before.values()))
    os.kill(before["one"], signal.SIGKILL)
    until(lambda: pids(tmp_path).get("one") not in (None, before["one"]))
    (tmp_path / "parts").write_text("one")  # nobody tells: it is seen when the next one takes over
    supervisor.send_signal(signal.SIGUSR2)
    until(lambda: generation(tmp_path) == 2 and not alive(before["two"]))
    assert (tmp_path / "stopped").read_text().split() == ["two"]
    supervisor.terminate()
    assert supervisor.wait(60) == 0


def test_a_release_that_is_not_there_takes_nothing_over(supervisor: Any, tmp_path: Path) -> None:
    before = until(lambda: both(tmp_path))
    (tmp_path / "no-release").touch()
    supervisor.send_signal(signal.SIGUSR2)
    (tmp_path / "parts").write_text("one two sleep")
    time.sleep(0.2)
    supervisor.send_signal(signal.SIGHUP)
    after = until(lambda: (now := pids(tmp_path)).keys() == {"one", "two", "sleep"} and now)
    assert generation(tmp_path) == 0 and {**before, "sleep": after["sleep"]} == after


def test_a_program_that_is_not_there_says_so(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from pybernetes.cluster.supervisor import Part, Supervisor; f = Path(sys.argv[1]);"
        " Supervisor([Part('x', program='no-such-program')], f / 'logs', f / 'state.json').run()"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stderr=subprocess.DEVNULL)
    log = tmp_path / "logs" / "x.log"
    text = until(lambda: log.exists() and log.read_text())
    process.terminate()
    process.wait(60)
    assert text.startswith("no-such-program cannot be started: No such file or directory\n")


def test_what_a_program_has_started_ends_with_it(tmp_path: Path) -> None:
    """As nginx' workers, who would keep its port: the next one could not listen."""
    script = f"echo $$ >{tmp_path}/master; sleep 600 & echo $! >{tmp_path}/worker; wait"
    run = (
        "import sys; from pathlib import Path; from pybernetes.cluster.supervisor import Part, Supervisor;"
        f" f = Path({str(tmp_path)!r});"
        f" Supervisor([Part('x', program='sh', arguments=('-c', {script!r}), with_children=True)], f / 'logs', f / 'state.json').run()"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", run])
    try:
        master = int(until(lambda: (tmp_path / "worker").exists() and (tmp_path / "master").read_text()))
        worker = int(until((tmp_path / "worker").read_text))
        os.kill(master, signal.SIGKILL)
        until(lambda: not Path(f"/proc/{worker}").exists())
    finally:
        supervisor.terminate()
        supervisor.wait(30)


AT_ONCE = """
import os, signal, sys, time
from pathlib import Path
from pybernetes.cluster import supervisor

become = supervisor._become_part

def slowly(name, log, parent):
    time.sleep(0.3)
    become(name, log, parent)

supervisor._become_part = slowly
for number in supervisor.SIGNALS:
    signal.signal(number, lambda *_: None)
folder = Path(sys.argv[1])
one = supervisor.Supervisor([], folder, folder / "state")
pid = one._fork(supervisor.Part("a", program="sleep", arguments=("60",)))
os.kill(pid, signal.SIGTERM)
print(os.WTERMSIG(os.waitpid(pid, 0)[1]))
"""


def test_a_signal_to_a_child_that_is_still_ours_is_not_lost(tmp_path: Path) -> None:
    """As of who restarts a part in the moment after its start."""
    done = subprocess.run([sys.executable, "-c", AT_ONCE, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == (f"{signal.SIGTERM.value}\n", "")
