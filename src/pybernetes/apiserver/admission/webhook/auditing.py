"""What an audit event says of webhooks (upstream: webhook/{mutating,validating}/dispatcher.go, admission/attributes.go AddAnnotation)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import msgspec

from pybernetes.api.field import Path
from pybernetes.api.gojson import escaped

from ... import audit
from ...kinds.validation import qualified_name
from .hooks import Hook

_log = logging.getLogger(__name__)

MUTATION, PATCH = "mutation.webhook.admission.k8s.io/", "patch.webhook.admission.k8s.io/"
VALIDATING = "validating.webhook.admission.k8s.io/"
FAILED_OPEN = "failed-open."


def mutated(hook: Hook, again: bool, index: int, changed: bool) -> None:
    """Of each call of a mutating webhook, whether or not it went well."""
    called: dict[str, Any] = {"configuration": hook.configuration, "webhook": hook.name}
    audit.annotate(f"{MUTATION}{_place(again, index)}", _json({**called, "mutated": changed}))


def patched(hook: Hook, again: bool, index: int, operations: list[Any]) -> None:
    """What a mutating webhook has changed: for events that show objects."""
    called: dict[str, Any] = {"configuration": hook.configuration, "webhook": hook.name}
    value = _json({**called, "patch": operations, "patchType": "JSONPatch"})
    audit.annotate(f"{PATCH}{_place(again, index)}", value, detailed=True)


def failed_open(hook: Hook, prefix: str, again: bool, index: int) -> None:
    """A webhook that gave no answer, and need not; `prefix` is MUTATION or VALIDATING."""
    audit.annotate(f"{FAILED_OPEN}{prefix}{_place(again, index)}", hook.name)


def answered(hook: Hook, annotations: Mapping[str, str]) -> None:
    """What the webhook itself wants to be said, below its name; keys that are none are logged."""
    for name, value in annotations.items():
        key = f"{hook.name}/{name}"
        if key.count("/") != 1 or qualified_name(Path("key"), key):
            _log.warning("webhook %s: %r is no key of an audit annotation", hook.name, key)
        else:
            audit.annotate(key, value)


def _place(again: bool, index: int) -> str:
    return f"round_{int(again)}_index_{index}"


def _json(value: Any) -> str:
    return escaped(msgspec.json.encode(value)).decode()
