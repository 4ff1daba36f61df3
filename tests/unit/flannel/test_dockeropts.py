"""mk-docker-opts: the lines of upstream's script."""

from __future__ import annotations

from pathlib import Path

import pytest

from pybernetes.cli import mkdockeropts
from pybernetes.flannel.dockeropts import DockerOptionsError, Form, lines, read

TOLD = {"FLANNEL_SUBNET": "10.244.3.1/24", "FLANNEL_MTU": "1450", "FLANNEL_IPMASQ": "true"}
INDIVIDUAL = 'DOCKER_OPT_BIP="--bip=10.244.3.1/24"\nDOCKER_OPT_IPMASQ="--ip-masq=false"\nDOCKER_OPT_MTU="--mtu=1450"\n'
COMBINED = 'DOCKER_OPTS=" --bip=10.244.3.1/24 --ip-masq=false --mtu=1450"\n'


@pytest.mark.parametrize(
    ("variables", "form", "expected"),
    [
        (TOLD, Form(), INDIVIDUAL + COMBINED),
        (TOLD, Form(combined=False), INDIVIDUAL),
        (TOLD, Form(individual=False), COMBINED),
        (TOLD, Form(individual=False, key="OPTS"), COMBINED.replace("DOCKER_OPTS", "OPTS")),
        (TOLD, Form(individual=False, ip_masq=False), 'DOCKER_OPTS=" --bip=10.244.3.1/24 --mtu=1450"\n'),
        (TOLD | {"FLANNEL_IPMASQ": "false"}, Form(individual=False), COMBINED.replace("false", "true")),
        ({}, Form(), 'DOCKER_OPTS=""\n'),
        (
            {"FLANNEL_MTU": "1450", "DOCKER_OPTS": "-D", "DOCKER_OPT_X": "--x"},
            Form(individual=False),
            'DOCKER_OPTS="-D  --mtu=1450 --x"\n',
        ),
    ],
)
def test_lines(variables: dict[str, str], form: Form, expected: str) -> None:
    assert lines(variables, form) == expected


def test_a_value_that_is_neither() -> None:
    with pytest.raises(DockerOptionsError, match="Invalid value of FLANNEL_IPMASQ: yes"):
        lines({"FLANNEL_IPMASQ": "yes"}, Form())


def test_a_file() -> None:
    assert read("# a\n#B=c\nA=1\nB=\"2\"\n C='3' \nD\n") == {"A": "1", "B": "2", "C": "3"}


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = tmp_path / "subnet.env", tmp_path / "docker.env"
    source.write_text("".join(f"{name}={value}\n" for name, value in TOLD.items()))
    assert mkdockeropts.main(["-f", str(source), "-d", str(target), "-ck", "OPTS"]) == 0
    assert target.read_text() == COMBINED.replace("DOCKER_OPTS", "OPTS")
    assert mkdockeropts.main(["-f", str(tmp_path / "none"), "-d", str(target)]) == 0
    assert target.read_text() == 'DOCKER_OPTS=""\n'
    assert mkdockeropts.main(["-x"]) == 1 and "Usage:" in capsys.readouterr().err
    assert mkdockeropts.main(["-d", str(tmp_path / "no" / "folder")]) == 1
