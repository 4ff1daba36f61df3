"""admissionregistration.k8s.io/v1beta1 (until 1.22): webhooks that may fail, match exactly, and say nothing of what they do besides.

Upstream: pkg/apis/admissionregistration/v1beta1/defaults.go; validation of both versions in pkg/apis/admissionregistration/validation.
"""

from __future__ import annotations

from ..versions import Family

FAMILIES: tuple[Family, ...] = ()
