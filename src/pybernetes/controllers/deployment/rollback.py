"""Going back to an older revision because an annotation asks for it (upstream: pkg/controller/deployment/rollback.go); pure.

The subresource rollback of the first group-versions of deployments notes it there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pybernetes.api.strconv import NumberError, parse_int
from pybernetes.api.types import apps_v1 as apps

from ..common import clone
from .util import HASH_LABEL, NOT_COPIED, revision, same_template

ROLLBACK = "deprecated.deployment.rollback.to"
NOT_FOUND, UNCHANGED, DONE = (
    "DeploymentRollbackRevisionNotFound",
    "DeploymentRollbackTemplateUnchanged",
    "DeploymentRollback",
)


@dataclass(frozen=True)
class Outcome:
    """The deployment as it is to be written, and the event that tells of it; `warning`: nothing was rolled back."""

    deployment: apps.Deployment
    reason: str
    message: str
    warning: bool = True


def asked(deployment: apps.Deployment) -> int | None:
    """The revision to go back to, 0 for the one before; None where nobody asks."""
    text = deployment.metadata.annotations.get(ROLLBACK, "")
    try:
        return parse_int(text) if text else None
    except NumberError:
        return None


def decided(deployment: apps.Deployment, sets: Sequence[apps.ReplicaSet]) -> Outcome | None:
    """None where nobody asks."""
    target = asked(deployment)
    if target is None:
        return None
    changed = clone(deployment)
    del changed.metadata.annotations[ROLLBACK]
    if not target:
        revisions = sorted(revision(rs) for rs in sets)
        target = revisions[-2] if len(revisions) > 1 else 0
        if not target:
            return Outcome(changed, NOT_FOUND, "Unable to find last revision.")
    for rs in sets:
        if revision(rs) != target:
            continue
        if same_template(deployment.spec.template, rs.spec.template):
            text = (
                f'The rollback revision contains the same template as current deployment "{deployment.metadata.name}"'
            )
            return Outcome(changed, UNCHANGED, text)
        template = clone(rs.spec.template)
        template.metadata.labels.pop(HASH_LABEL, None)
        changed.spec.template = template
        own = {k: v for k, v in changed.metadata.annotations.items() if k in NOT_COPIED}
        changed.metadata.annotations = own | {k: v for k, v in rs.metadata.annotations.items() if k not in NOT_COPIED}
        text = f'Rolled back deployment "{deployment.metadata.name}" to revision {target}'
        return Outcome(changed, DONE, text, warning=False)
    return Outcome(changed, NOT_FOUND, "Unable to find the revision to rollback to.")
