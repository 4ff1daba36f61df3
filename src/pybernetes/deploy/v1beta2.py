"""kubeadm.k8s.io/v1beta2, as clusters of kubeadm 1.15 to 1.21 keep it; pure (upstream: .../apis/kubeadm/v1beta2/{types,conversion}.go).

It is v1beta3 with two fields more, which mean nothing any more.
"""

from __future__ import annotations

import msgspec

from . import types, v1beta3

CORE_DNS = "CoreDNS"  # of the two types that there were, the one that is left


class DNS(v1beta3.DNS):
    type: str = ""


class ClusterConfiguration(v1beta3.ClusterConfiguration):
    dns: DNS = msgspec.field(default_factory=DNS)
    use_hyper_kube_image: bool = False


def cluster(old: ClusterConfiguration) -> types.ClusterConfiguration:
    """The same in today's form. ValueError for another DNS add-on than CoreDNS."""
    if old.dns.type not in ("", CORE_DNS):
        raise ValueError(f"dns.type: {old.dns.type!r}: only {CORE_DNS} is left")
    fields = {name: getattr(old, name) for name in v1beta3.ClusterConfiguration.__struct_fields__}
    dns = v1beta3.DNS(image_repository=old.dns.image_repository, image_tag=old.dns.image_tag)
    return v1beta3.cluster(v1beta3.ClusterConfiguration(**{**fields, "dns": dns}))
