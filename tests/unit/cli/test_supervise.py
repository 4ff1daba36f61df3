"""The programs of a host, as the supervisor's file has them."""

from __future__ import annotations

import pytest

from pybernetes.cli.main import main
from pybernetes.cli.supervise import of_programs
from pybernetes.deploy.daemons.model import Daemon
from pybernetes.deploy.daemons.render import supervised

ETCD = Daemon(name="etcd", about="keeps", program="etcd", arguments=("--name=m1",), directories=("/var/lib/etcd",))
PROXY = Daemon(name="proxy", about="leads", program="kube-proxy", ours=True, environment={"A": "b"})


def test_commands_are_forked_and_programs_executed() -> None:
    etcd, proxy = of_programs(supervised.text(supervised.programs([ETCD, PROXY])))
    assert (etcd.name, etcd.module, etcd.program, etcd.arguments) == ("etcd", "", "etcd", ("--name=m1",))
    assert etcd.directories == ("/var/lib/etcd",)
    assert (proxy.module, proxy.program, proxy.environment) == ("pybernetes.cli.proxy", "", {"A": "b"})


def test_what_is_no_command_is_refused() -> None:
    odd = Daemon(name="odd", about="", program="kube-nothing", ours=True)
    with pytest.raises(ValueError, match="odd: there is no command 'kube-nothing'"):
        of_programs(supervised.text(supervised.programs([odd])))


@pytest.mark.parametrize(("text", "why"), [(None, "No such file"), ("{", "truncated"), ('{"a": 1}', "unknown field")])
def test_a_file_that_cannot_be_read(
    text: str | None, why: str, tmp_path: object, capsys: pytest.CaptureFixture[str]
) -> None:
    path = f"{tmp_path}/programs.json"
    if text is not None:
        with open(path, "w") as file:
            file.write(text)
    assert main(["supervise", f"--programs={path}"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and path in error and why in error
