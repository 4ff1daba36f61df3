"""An operator on the official client, one thread: namespaces with the label fence=closed have a NetworkPolicy that lets nothing in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubernetes import client, watch
from urllib3.exceptions import HTTPError

LABEL, CLOSED, NAME = "fence", "closed", "fence"
MISSING, GONE, CONFLICT = 404, 410, 409
BUSY = (429, 500, 503, 504)
WATCH_SECONDS = 60


def policy(labels: dict[str, str] | None) -> dict[str, Any] | None:
    """What a namespace with these labels should have. Pure."""
    if (labels or {}).get(LABEL) != CLOSED:
        return None
    return {"metadata": {"name": NAME}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}


def reconcile(api: client.NetworkingV1Api, namespace: client.V1Namespace) -> None:
    """Brings one namespace to it. ApiException. What is there already, or gone already, may be our own doing whose answer was lost."""
    name, desired = namespace.metadata.name, policy(namespace.metadata.labels)
    try:
        if desired is None or namespace.metadata.deletion_timestamp is not None:
            api.delete_namespaced_network_policy(NAME, name)
        else:
            api.create_namespaced_network_policy(name, desired)
    except client.ApiException as error:
        if error.status == CONFLICT and desired is not None:
            api.patch_namespaced_network_policy(NAME, name, {"spec": desired["spec"]})
        elif error.status not in (MISSING, CONFLICT):
            raise


def run(api_client: client.ApiClient, stopped: Callable[[], bool], pause: Callable[[], object]) -> None:
    """Lists, then follows; begins anew after a watch that ended, expired or was cut, and `pause`s before that where the server is busy."""
    core, networking = client.CoreV1Api(api_client), client.NetworkingV1Api(api_client)
    while not stopped():
        try:
            present = core.list_namespace()
            for namespace in present.items:
                reconcile(networking, namespace)
            following = watch.Watch().stream(
                core.list_namespace,
                resource_version=present.metadata.resource_version,
                timeout_seconds=WATCH_SECONDS,
            )
            for event in following:
                if event["type"] in ("ADDED", "MODIFIED"):
                    reconcile(networking, event["object"])
                if stopped():
                    return
        except client.ApiException as error:
            if error.status not in (GONE, *BUSY):
                raise
            pause()
        except HTTPError:  # of urllib3: the connection was cut
            pause()


if __name__ == "__main__":
    import time

    from kubernetes import config

    run(config.new_client_from_config(), lambda: False, lambda: time.sleep(1))
