"""certificates.k8s.io/v1beta1 (until 1.22): signers are found by what is asked for, and little is checked.

Upstream: pkg/apis/certificates/v1beta1/{defaults,conversion}.go, pkg/apis/certificates/validation.
"""

from __future__ import annotations

from ..versions import Family

FAMILIES: tuple[Family, ...] = ()
