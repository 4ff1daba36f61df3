"""Admission DefaultTolerationSeconds (upstream: plugin/pkg/admission/defaulttolerationseconds)."""

from __future__ import annotations

from pybernetes.api.wellknown import TAINT_NODE_NOT_READY, TAINT_NODE_UNREACHABLE

from ..types import PODS, Attributes, Reader

SECONDS = 300  # upstream's --default-not-ready-toleration-seconds and --default-unreachable-toleration-seconds
TAINTS = (TAINT_NODE_NOT_READY, TAINT_NODE_UNREACHABLE)


class DefaultTolerationSeconds:
    """A pod stays five minutes, or as long as the flags say, on a node that fails, unless it says otherwise."""

    name = "DefaultTolerationSeconds"
    resources = PODS

    def __init__(self, reader: Reader, not_ready: int = SECONDS, unreachable: int = SECONDS) -> None:
        """Needs to look nothing up."""
        self._seconds = {TAINT_NODE_NOT_READY: not_ready, TAINT_NODE_UNREACHABLE: unreachable}

    def admit(self, attributes: Attributes) -> None:
        """Adds what is missing."""
        pod, resource = attributes.object, attributes.resource
        if pod is None or (resource.group, resource.name) != ("", "pods") or attributes.subresource:
            return
        spec = pod["spec"]
        present = spec.get("tolerations") or []
        for taint in TAINTS:
            tolerated = any(
                t.get("key", "") in ("", taint) and t.get("effect", "") in ("", "NoExecute") for t in present
            )
            if not tolerated:
                seconds = self._seconds[taint]
                extra = {"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
                spec["tolerations"] = [*(spec.get("tolerations") or []), extra]

    def validate(self, attributes: Attributes) -> None:
        """Nothing more."""
