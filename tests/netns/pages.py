"""Runs the commands of a page of the documentation on a host of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .namespaces import Namespace

DOCS = Path(__file__).parents[2] / "docs"
SECONDS = 90


def output_of(page: str, node: Namespace, folder: Path, before: Sequence[str] = (), temporary: str = "/tmp/") -> str:
    """Of all its blocks of sh, in their order, after the lines of `before`; what they start in the background ends with them.

    Mounts are the page's own. Its files of /tmp/ lie in `temporary`.
    """
    program = folder / "pybernetes"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m pybernetes "$@"\n')
    program.chmod(0o755)
    blocks = re.findall(r"^```sh\n(.*?)^```$", (DOCS / page).read_text(), re.S | re.M)
    assert blocks, page
    script = folder / "page.sh"
    commands = [block.replace("/tmp/", temporary) for block in blocks]
    script.write_text("\n".join(["set -eu", *before, f"export PATH={folder}:$PATH", *commands, "kill $(jobs -p)"]))
    command = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "timeout", str(SECONDS), "bash", str(script)]
    done = subprocess.run(
        ["ip", "netns", "exec", node.name, *command], capture_output=True, text=True, check=False, timeout=SECONDS + 30
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
