"""Which Kubernetes this is: the version whose API is served, and the build (upstream: component-base/version/base.go)."""

from __future__ import annotations

import re
from datetime import datetime

import pybernetes

from .times import format_time

KUBERNETES = "1.37.0"
MINOR = KUBERNETES.rpartition(".")[0]  # 1.37, as in the user agents of probes
GIT_VERSION = f"v{KUBERNETES}+pybernetes.{pybernetes.__version__}"
KUBELET = f"v{KUBERNETES}+pybernetes"  # without our own version: a node does not change with it

# `git archive` writes both (.gitattributes: export-subst), as it does for upstream's.
_COMMIT = "$Format:%H$"
_COMMITTED = "$Format:%cI$"
# What a build from a working copy says: clients want 40 digits (e2e's "kubectl version"), and upstream's default for the date.
NO_COMMIT = "0" * 40
NO_DATE = "1970-01-01T00:00:00Z"


def commit(written: str = _COMMIT) -> str:
    """The 40 hexadecimal digits of the commit, zeros where it is not known."""
    return NO_COMMIT if written.startswith("$") else written


def build_date(written: str = _COMMITTED) -> str:
    """When it was committed, in UTC: 2026-01-02T03:04:05Z."""
    if written.startswith("$"):
        return NO_DATE
    return format_time(datetime.fromisoformat(written))


_VERSION = re.compile(r"v([1-9][0-9]*)(?:(alpha|beta)([1-9][0-9]*))?")


def version_rank(version: str) -> tuple[int, int, int, str]:
    """v2 before v1 before v1beta2 before v1beta1 before v1alpha1 before others (version.CompareKubeAwareVersionStrings)."""
    match = _VERSION.fullmatch(version)
    if match is None:
        return 3, 0, 0, version
    major, mark, minor = match.groups()
    return {None: 0, "beta": 1, "alpha": 2}[mark], -int(major), -int(minor or 0), version
