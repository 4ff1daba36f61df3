"""What an API server of upstream's has written to etcd (tests/golden/etcd), and a store to put it in."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path

from pybernetes.apiserver.generic.keys import Keys
from pybernetes.apiserver.kinds import RESOURCES
from pybernetes.apiserver.storage.form import UpstreamForm
from pybernetes.store.memory import MemoryStore
from pybernetes.store.types import KeyValue

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GOLDEN = Path(__file__).resolve().parents[3] / "golden" / "etcd" / "values.json"
VALUES = {entry["key"]: base64.b64decode(entry["value"]) for entry in json.loads(GOLDEN.read_text())}
LEASED = {entry["key"] for entry in json.loads(GOLDEN.read_text()) if entry["lease"]}


class TTLMemory(MemoryStore):
    """Remembers how long keys are to live."""

    def __init__(self) -> None:
        super().__init__()
        self.ttls: dict[str, int] = {}

    async def put(self, key: str, value: bytes, expected: int | None = None, *, ttl: int = 0) -> KeyValue:
        written = await super().put(key, value, expected)
        self.ttls[key] = ttl
        return written


def form(store: TTLMemory, prefix: str = "/registry") -> UpstreamForm:
    """As `--etcd-servers` makes it."""
    ttls = {("", "events"): 3600, ("masterleases", "endpoints"): 15}
    return UpstreamForm(store, Keys(prefix), RESOURCES, ttls, (30000, 32767), lambda: NOW)
