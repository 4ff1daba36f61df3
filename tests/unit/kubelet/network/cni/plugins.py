"""Plugins that write down what they were told and answer what a test says: small scripts, run as real ones are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SCRIPT = """#!/bin/sh
at=LOG/${0##*/}.$CNI_COMMAND
echo "$CNI_COMMAND ${0##*/}" >> LOG/calls
env | grep ^CNI_ | sort > $at.environment
cat > $at.input
if [ -e $at.before ]; then . $at.before; fi
if [ -e $at.answer ]; then cat $at.answer; elif [ -e $at.code ]; then :; elif [ $CNI_COMMAND = ADD ]; then
  echo '{"cniVersion": "VERSION", "interfaces": [{"name": "eth0", "sandbox": "/x"}], "ips": [{"address": "10.1.0.5/24", "interface": 0}]}'
elif [ $CNI_COMMAND = VERSION ]; then
  echo '{"cniVersion": "1.1.0", "supportedVersions": ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]}'
fi
if [ -e $at.code ]; then exit $(cat $at.code); fi
"""


class FakePlugins:
    """A folder of programs, and the folder of what they were told."""

    def __init__(self, folder: Path, *names: str, version: str = "1.0.0") -> None:
        self.path, self.log = folder / "bin", folder / "log"
        self.path.mkdir()
        self.log.mkdir()
        for name in names:
            self.install(name, version)

    def install(self, name: str, version: str = "1.0.0") -> None:
        program = self.path / name
        program.write_text(SCRIPT.replace("LOG", str(self.log)).replace('"VERSION"', f'"{version}"'))
        program.chmod(0o755)

    def says(self, name: str, command: str, answer: Any = None, code: int = 0, before: str = "") -> None:
        """`answer` is a document, or a text; `before` is what a shell does first."""
        at = self.log / f"{name}.{command}"
        for suffix, text in (
            ("answer", answer if isinstance(answer, str) else json.dumps(answer) if answer is not None else ""),
            ("code", str(code) if code else ""),
            ("before", before),
        ):
            if text:
                Path(f"{at}.{suffix}").write_text(text)
            else:
                Path(f"{at}.{suffix}").unlink(missing_ok=True)

    def calls(self, but: tuple[str, ...] = ("VERSION",)) -> list[str]:
        """COMMAND PLUGIN in their order, since the last look."""
        file = self.log / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return [line for line in lines if not line.startswith(but)]

    def input(self, name: str, command: str) -> Any:
        return json.loads((self.log / f"{name}.{command}.input").read_text())

    def environment(self, name: str, command: str) -> dict[str, str]:
        lines = (self.log / f"{name}.{command}.environment").read_text().splitlines()
        return dict(line.partition("=")[::2] for line in lines)
