"""Which containers that have ended run again (upstream: pkg/kubelet/container/helpers.go, pkg/api/pod/util.go)."""

from __future__ import annotations

from pybernetes.api.pods import is_sidecar
from pybernetes.api.types import core_v1 as core

RESTART = "Restart"
RESTART_ALL = "RestartAllContainers"


def matching_action(container: core.Container, exit_code: int) -> str:
    """The action of the first of its rules that speaks of the exit code; "" where none does."""
    for rule in container.restart_policy_rules:
        codes = rule.exit_codes
        if codes is not None and (exit_code in codes.values) == (codes.operator == "In"):
            return rule.action
    return ""


def restarts_by_policy(container: core.Container, pod_policy: str, exit_code: int, init: bool) -> bool:
    """By the container's rules, then its own policy, then the pod's. An init container that succeeded is done."""
    if init and exit_code == 0 and not is_sidecar(container):
        return False
    action = matching_action(container, exit_code)
    if action in (RESTART, RESTART_ALL):
        return True
    policy = container.restart_policy or pod_policy
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0) or (init and policy != "Never")


def may_restart(container: core.Container, pod_policy: str) -> bool:
    """Whether some exit code lets it run again."""
    return bool(container.restart_policy_rules) or (container.restart_policy or pod_policy) != "Never"
