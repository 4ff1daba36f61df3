"""Takes away what an ingress controller has left on the host: its nginx, and its folder with keys of Secrets."""

from __future__ import annotations

import shutil
from pathlib import Path

from .nginx import end_leftovers
from .options import FOLDER


def clean(folder: Path = Path(FOLDER)) -> None:
    """After the controller has ended. OSError."""
    if folder.is_dir():
        end_leftovers(folder)
        shutil.rmtree(folder)
