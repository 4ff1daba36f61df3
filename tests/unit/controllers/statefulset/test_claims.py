"""What a stateful set says of claims that it could not have: all of them, in the pod's event, by upstream's words (stateful_pod_control.go)."""

from __future__ import annotations

import asyncio

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api import errors
from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core
from pybernetes.client.events import EventBroadcaster
from pybernetes.client.memory import MemoryClient, MemoryInformers
from pybernetes.controllers.framework import Context
from pybernetes.controllers.statefulset.controller import ClaimsMissing, StatefulSetController

from ..objects import ago, meta, pod

FULL = errors.forbidden("", "persistentvolumeclaims", "c", "exceeded quota")
REFUSED = 'failed to create PVC {}-s-0: persistentvolumeclaims "c" is forbidden: exceeded quota'
TAKEN = errors.already_exists("", "persistentvolumeclaims", "a-s-0")


@pytest.mark.parametrize(
    ("failures", "going", "text"),
    [
        ([FULL], "", REFUSED.format("a")),
        ([FULL, FULL], "", f"[{REFUSED.format('a')}, {REFUSED.format('b')}]"),
        ([], "a-s-0", "pvc a-s-0 is being deleted"),
        ([FULL], "b-s-0", f"[{REFUSED.format('a')}, pvc b-s-0 is being deleted]"),
        ([TAKEN], "", ""),
        ([], "", ""),
    ],
)
def test_claims_that_cannot_be_had(failures: list[Exception], going: str, text: str) -> None:
    async def main() -> None:
        clock = VirtualClock()
        client = MemoryClient(clock=clock)
        if going:
            terminating = meta(going, deletion_timestamp=ago(1), finalizers=["kubernetes.io/pvc-protection"])
            client.put(core.PersistentVolumeClaim(metadata=terminating))
        for failure in failures:
            client.fail(failure, "create", core.PersistentVolumeClaim)
        said: list[str] = []
        events = EventBroadcaster(client, clock)
        events._outbox.put = lambda event: said.append(f"{event.reason} {event.message}")  # type: ignore[method-assign]  # heard, not sent
        controller = StatefulSetController(Context(client, MemoryInformers(client), events, clock))
        claims = [core.PersistentVolumeClaim(metadata=meta(name)) for name in "ab"]
        ss = apps.StatefulSet(metadata=meta("s"), spec=apps.StatefulSetSpec(volume_claim_templates=claims))
        if not text:
            await controller._create(ss, pod("s-0"))
            assert said[-1] == "SuccessfulCreate create Pod s-0 in StatefulSet s successful"
            return
        with pytest.raises(ClaimsMissing):
            await controller._create(ss, pod("s-0"))
        assert said[-1] == f"FailedCreate create Pod s-0 in StatefulSet s failed error: {text}"
        assert not client.all(core.Pod)

    asyncio.run(main())
