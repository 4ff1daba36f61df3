"""Where objects lie in the store: PREFIX/GROUP/RESOURCE/[NAMESPACE/]NAME; the core group is `core`. Pure.

Upstream has PREFIX/RESOURCE/... for its own kinds; --etcd-prefix means the same here and there.
"""

from __future__ import annotations

DEFAULT_PREFIX = "/registry"
CORE = "core"  # a segment may not be empty

# Where upstream's etcd has the objects of a resource, if not below its name.
ELSEWHERE = {
    ("", "endpoints"): "services/endpoints",
    ("", "nodes"): "minions",
    ("", "replicationcontrollers"): "controllers",
    ("", "services"): "services/specs",
    ("networking.k8s.io", "ingresses"): "ingress",
}
# The same of resources that only --runtime-config serves.
FORMER = {("policy", "podsecuritypolicies"): "podsecuritypolicy"}
GROUPED = ("apiextensions.k8s.io", "apiregistration.k8s.io")  # built in, and yet kept below their group


class Keys:
    """The keys of one API server; `prefix` is upstream's --etcd-prefix."""

    def __init__(self, prefix: str = DEFAULT_PREFIX) -> None:
        inner = prefix.strip("/")
        self.root = f"/{inner}/" if inner else "/"

    def resource(self, group: str, resource: str) -> str:
        """What the keys of a resource begin with."""
        return f"{self.root}{group or CORE}/{resource}/"

    def resource_of(self, key: str) -> str:
        """What the key's resource begins with; "" where it is no object's key, as somebody else's in the same store."""
        end = key.find("/", key.find("/", len(self.root)) + 1)
        return key[: end + 1] if end > len(self.root) and key.startswith(self.root) else ""

    def told(self, group: str, resource: str, custom: bool, rest: str) -> str:
        """An object's key as upstream's messages have it; `rest`: [NAMESPACE/]NAME."""
        place = (ELSEWHERE | FORMER).get((group, resource), resource)
        own = f"{group}/{resource}" if custom or group in GROUPED else place
        return f"{self.root}{own}/{rest}"

    def named(self, prefix: str) -> tuple[str, str]:
        """(group, resource) of what `resource` gave."""
        group, _, resource = prefix[len(self.root) :].rstrip("/").partition("/")
        return "" if group == CORE else group, resource


def of(prefix: str, namespace: str, name: str) -> str:
    """An object's key below its resource's; without a name what the keys of the namespace begin with."""
    return f"{prefix}{namespace}/{name}" if namespace else prefix + name
