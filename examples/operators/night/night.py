"""An operator on kr8s, one loop: Deployments with the annotation `night.example.com/hours: 22-6` have no pods during these hours (UTC)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import kr8s
from kr8s.objects import Deployment

HOURS, AWAKE = "night.example.com/hours", "night.example.com/replicas"
BUSY = (409, 429, 500, 503, 504)
TRIES = 5


def is_night(hours: str, now: datetime) -> bool | None:
    """Whether the hour is one of FROM-TO, over midnight or not; None where that is no such text. Pure."""
    first, dash, last = hours.partition("-")
    if not dash or not (first.isdigit() and last.isdigit()) or max(int(first), int(last)) > 24:
        return None
    start, end = int(first), int(last)
    return start <= now.hour < end if start <= end else now.hour >= start or now.hour < end


def change(annotations: Mapping[str, str], replicas: int, now: datetime) -> dict[str, Any] | None:
    """The merge patch that a Deployment needs, if any; how many pods it had is kept on it. Pure."""
    night = is_night(annotations.get(HOURS, ""), now)
    if night and replicas:
        return {"metadata": {"annotations": {AWAKE: str(replicas)}}, "spec": {"replicas": 0}}
    if night is False and not replicas and annotations.get(AWAKE, "").isdigit():
        return {"metadata": {"annotations": {AWAKE: None}}, "spec": {"replicas": int(annotations[AWAKE])}}
    return None


def look(api: Any, now: Callable[[], datetime], pause: float = 0.05) -> list[str]:
    """Looks at all Deployments once. The names of those that were changed."""
    present = again(lambda: list(kr8s.get("deployments", namespace=kr8s.ALL, api=api)), pause)
    return [one.name for one in present if bring(one, now, pause)]


def bring(deployment: Deployment, now: Callable[[], datetime], pause: float) -> bool:
    """A Deployment that somebody else changes is looked at again: the patch holds for the state that it was made for alone."""

    def attempt() -> bool:
        deployment.refresh()
        patch = change(deployment.annotations, deployment.replicas, now())
        if patch is not None:
            patch["metadata"]["resourceVersion"] = deployment.metadata.resourceVersion
            deployment.patch(patch)
        return patch is not None

    try:
        return again(attempt, pause)
    except kr8s.NotFoundError:
        return False  # it is gone meanwhile


def again(attempt: Callable[[], Any], pause: float) -> Any:
    """What it returns; a busy server, or a conflict, is tried again some times."""
    for left in reversed(range(TRIES)):
        try:
            return attempt()
        except kr8s.ServerError as error:
            if not left or error.response is None or error.response.status_code not in BUSY:
                raise
            time.sleep(pause)
    raise AssertionError("not reached")


if __name__ == "__main__":
    while True:
        look(kr8s.api(), lambda: datetime.now(UTC))
        time.sleep(60)
