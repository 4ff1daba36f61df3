"""Every command of docs/addons.md, in the order of the page."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "addons.md"


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl")
def test_the_page(tmp_path: Path) -> None:
    """Files of the page are in a folder of their own; what the page starts in the background ends with it."""
    program = tmp_path / "pybernetes"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m pybernetes "$@"\n')
    program.chmod(0o755)
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.S | re.M)
    assert blocks
    script = tmp_path / "page.sh"
    lines = ["set -eu", "trap 'kill $(jobs -p)' EXIT", *(block.replace("/tmp/", f"{tmp_path}/") for block in blocks)]
    script.write_text("\n".join(lines))
    environment = {**os.environ, "HOME": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["timeout", "60", "bash", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^pvc-[0-9a-f-]{36}_default_data$", done.stdout, re.M), done.stdout
