"""An operator on kopf: for each Greeting a ConfigMap with its words, and a status that counts them."""

from __future__ import annotations

from typing import Any

import kopf
from kubernetes import client


@kopf.on.startup()
def settings(settings: kopf.OperatorSettings, **_: Any) -> None:
    """What a Greeting has been done for stands in its status; failures are tried again soon."""
    settings.persistence.progress_storage = kopf.StatusProgressStorage(field="status.kopf")
    settings.execution.max_workers = 2


@kopf.on.create("example.com", "v1", "greetings", backoff=0.2)
@kopf.on.update("example.com", "v1", "greetings", backoff=0.2)
def greet(name: str, namespace: str, spec: kopf.Spec, **_: Any) -> dict[str, Any]:
    """Makes the ConfigMap what it should be. What is returned is the status `greet`."""
    words = f"{spec['word']}, {spec.get('whom', 'world')}!"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"greeting": words}}
    kopf.adopt(body)
    with client.ApiClient() as api:
        maps = client.CoreV1Api(api)
        try:
            maps.replace_namespaced_config_map(name, namespace, body)
        except client.ApiException as error:
            if error.status != 404:
                raise
            maps.create_namespaced_config_map(namespace, body)
    return {"length": len(words)}


@kopf.timer("example.com", "v1", "greetings", interval=3600.0)
def remember(status: kopf.Status, patch: kopf.Patch, **_: Any) -> None:
    """Counts how often it has been looked at, each hour."""
    patch.status["looks"] = status.get("looks", 0) + 1
