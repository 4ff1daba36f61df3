"""What the old group-versions answer otherwise than the recorded 1.20: see `differences`."""

from __future__ import annotations

from ..recorded import Difference

_TYPE = "values of another type have a reason of their own since 1.24"
_ZONE = "the column Timezone is there since 1.27"
_BESIDE = "v1 is served beside"
LEGACY_DIFFERENCES: dict[str, tuple[Difference, ...]] = {
    "legacy/apiextensions/non-structural": (Difference(_TYPE, unsaid=("details.causes.reason",)),),
    "legacy/apiextensions/nullable": (Difference(_TYPE, unsaid=("details.causes.reason",)),),
    "legacy/autoscaling/v1-invalid": (
        Difference("the apiVersion of the target is checked since 1.34", unsaid=("details.causes",)),
    ),
    "legacy/autoscaling/watch-across": (
        Difference("v2 is stored, which keeps the order of metrics; 1.20 stored v1", unsaid=("object.spec.metrics",)),
    ),
    "legacy/batch/cronjob-create": (Difference(_ZONE, unsaid=("columnDefinitions", "rows.cells")),),
    "legacy/batch/cronjob-never-schedules": (Difference(_ZONE, unsaid=("columnDefinitions", "rows.cells")),),
    "legacy/extensions/ingress-apply": (
        Difference(
            "a port of a backend is atomic since 1.27", unsaid=("fieldsV1.f:spec.f:defaultBackend.f:service.f:port",)
        ),
    ),
    "legacy/groups/preferred-machinery": (Difference(_BESIDE, unsaid=("versions", "preferredVersion")),),
    "legacy/groups/preferred-workloads": (Difference(_BESIDE, unsaid=("versions", "preferredVersion")),),
    "legacy/groups/resources-storage-old": (
        Difference("storage capacities are in v1beta1 since 1.21", unsaid=("resources",)),
    ),
    "legacy/networking/ingress-status-old": (
        Difference("managed fields tell the subresource since 1.22", unsaid=("metadata.managedFields",)),
    ),
    "legacy/node/runtimeclass-v1alpha1": (
        Difference(
            "the node selector is atomic since 1.21",
            unsaid=("f:scheduling.f:nodeSelector",),
        ),
    ),
    "legacy/rbac/roleref-immutable-old": (
        Difference("the reference to a role is atomic since 1.21", unsaid=("fieldsV1.f:roleRef",)),
    ),
    "legacy/storage/node-across": (Difference("1.20 checked new nodes twice", unsaid=("details.causes",)),),
}
