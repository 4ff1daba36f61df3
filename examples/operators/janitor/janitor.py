"""An operator on lightkube, one loop: deletes ConfigMaps whose annotation `janitor.example.com/ttl` (seconds) has run out."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from lightkube import ApiError, Client
from lightkube.resources.core_v1 import ConfigMap

TTL = "janitor.example.com/ttl"
GONE = 410
BUSY = (429, 503, 504)
TRIES = 5


def is_due(config_map: ConfigMap, now: datetime) -> bool:
    """Whether its time is over; what is no number never is. Pure."""
    metadata = config_map.metadata
    seconds = ((metadata.annotations if metadata else None) or {}).get(TTL, "")
    if metadata is None or metadata.creationTimestamp is None or not seconds.isdigit():
        return False
    return now >= metadata.creationTimestamp + timedelta(seconds=int(seconds))


def sweep(client: Client, now: Callable[[], datetime], page: int = 50, pause: float = 0.05) -> list[str]:
    """Deletes what is due in all namespaces; a list that has expired is begun anew, a busy server asked again. The names."""
    for attempt in range(TRIES):
        try:
            present = list(client.list(ConfigMap, namespace="*", chunk_size=page))
            break
        except ApiError as error:
            if attempt == TRIES - 1 or error.status.code not in (GONE, *BUSY):
                raise
            time.sleep(pause)
    return [delete(client, one, pause) for one in present if is_due(one, now())]


def delete(client: Client, config_map: ConfigMap, pause: float) -> str:
    """It may be gone already: by another, or by a try of ours whose answer was lost."""
    assert config_map.metadata is not None and config_map.metadata.name is not None
    name = config_map.metadata.name
    for attempt in range(TRIES):
        try:
            client.delete(ConfigMap, name, namespace=config_map.metadata.namespace)
            break
        except ApiError as error:
            if error.status.code == 404:
                break
            if attempt == TRIES - 1 or error.status.code not in BUSY:
                raise
            time.sleep(pause)
    return name


if __name__ == "__main__":
    while True:
        sweep(Client(), lambda: datetime.now(UTC))
        time.sleep(10)
