"""Every example of docs/dns.md: the server is started with its Corefile and asked what the page asks, by the real dig."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pybernetes import testing
from pybernetes.dns.app import App
from pybernetes.dns.plugins import ORDER

PAGE = Path(__file__).parents[2] / "docs" / "dns.md"
PORTS = ("1053", "1054", "1055")
BLOCK = re.compile(r"(?:^<!-- file: (\S+) -->\n)?^```(\w+)\n(.*?)^```$", re.S | re.M)

pytestmark = pytest.mark.skipif(
    any(shutil.which(program) is None for program in ("dig", "curl")), reason="needs dig and curl"
)


@dataclass
class Example:
    """A section of the page."""

    files: dict[str, str] = field(default_factory=dict)
    objects: str = ""
    corefile: str = ""
    questions: list[tuple[str, str]] = field(default_factory=list)  # command, output


def examples() -> dict[str, Example]:
    sections = re.split(r"^## (.*)$", PAGE.read_text(), flags=re.M)[1:]
    result = {}
    for title, text in zip(sections[::2], sections[1::2], strict=True):
        example = Example()
        for name, kind, body in BLOCK.findall(text):
            if kind == "yaml":
                example.objects = body
            elif kind == "corefile":
                example.corefile = body
            elif kind == "console":
                pairs = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", body, re.M)
                example.questions += pairs
            else:
                assert name, f"{title}: a block of {kind} without a file's name"
                example.files[name] = body
        if example.corefile:
            result[title] = example
    return result


EXAMPLES = examples()


def test_every_plugin_has_its_section() -> None:
    assert set(EXAMPLES) == {*ORDER, "import"}
    assert all(example.questions for example in EXAMPLES.values())


@pytest.fixture
def cluster() -> Iterator[testing.Kube]:
    with testing.Cluster() as kube:
        yield kube


def free_ports() -> list[str]:
    """For UDP and TCP, each another one."""
    sockets = [socket.socket() for _ in PORTS]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [str(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


@pytest.mark.parametrize("title", EXAMPLES)
def test_the_example(
    title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    example = EXAMPLES[title]
    monkeypatch.chdir(tmp_path)
    ports = dict(zip(PORTS, free_ports(), strict=True))

    def placed(text: str) -> str:
        return re.sub("|".join(PORTS), lambda match: ports[match[0]], text)

    for name, text in example.files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    if example.objects:
        kube: testing.Kube = request.getfixturevalue("cluster")
        kube.apply(example.objects)
        shutil.copy(kube.kubeconfig, tmp_path / "kubeconfig")
    (tmp_path / "Corefile").write_text(placed(example.corefile))

    async def run() -> list[tuple[str, str]]:
        app = App(tmp_path / "Corefile", 53)
        await app.start()
        try:
            return [(command, await asyncio.to_thread(output_of, placed(command))) for command, _ in example.questions]
        finally:
            await app.stop()

    assert asyncio.run(run()) == example.questions


def output_of(command: str) -> str:
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert not done.stderr, done.stderr
    return done.stdout
