"""The reference objects of tests/wire: one object in JSON and in protobuf each, every field filled."""

import json
from pathlib import Path
from typing import Any

WIRE = Path(__file__).parents[2] / "wire"
FIXTURES = sorted(WIRE.glob("*.json"))


def load(path: Path) -> tuple[dict[str, Any], tuple[str, str]]:
    """The object and its (apiVersion, kind): watch events name none themselves, their file does."""
    value: dict[str, Any] = json.loads(path.read_bytes())
    return value, (value.get("apiVersion", "v1"), value.get("kind") or path.stem.rsplit(".", 1)[1])
