"""Names of compute resources: which are Kubernetes' own, which a cluster's (upstream: pkg/apis/core/v1/helper). Pure."""

from __future__ import annotations

from functools import lru_cache

from .names import label_key_errors

CPU, MEMORY, EPHEMERAL_STORAGE, STORAGE = "cpu", "memory", "ephemeral-storage", "storage"
COMPUTE = (CPU, MEMORY, EPHEMERAL_STORAGE)  # what containers ask for beside huge pages and extended resources
HUGE_PAGES = "hugepages-"
REQUESTS = "requests."  # before a resource's name in a quota: of requests, not limits
KUBERNETES = "kubernetes.io/"


def is_huge_page(name: str) -> bool:
    """`hugepages-2Mi`."""
    return name.startswith(HUGE_PAGES)


def is_native(name: str) -> bool:
    """A resource of Kubernetes itself (IsNativeResource): without a domain, or with "kubernetes.io/" anywhere in it.

    Upstream looks for a substring, so `my-kubernetes.io/gpu` is native too, and a quota never counts it.
    """
    return "/" not in name or KUBERNETES in name


@lru_cache(maxsize=1024)
def is_extended(name: str) -> bool:
    """A resource that someone else defines, whole numbers of which are given to containers (IsExtendedResourceName)."""
    return not is_native(name) and not name.startswith(REQUESTS) and not label_key_errors(REQUESTS + name)


def is_extended_in_quota(name: str) -> bool:
    """The name under which a quota counts an extended resource: `requests.example.com/gpu` (isExtendedResourceNameForQuota)."""
    return name.startswith(REQUESTS) and not is_native(name)


def overcommit_allowed(name: str) -> bool:
    """Whether requests may stay below limits (IsOvercommitAllowed)."""
    return is_native(name) and not is_huge_page(name)
