"""What a kubelet refuses to begin with.

The kind: a command line whose fault nobody sees, for the kubelet runs and its Node is refused, or its pods have a resolver that is none.
"""

from __future__ import annotations

import pytest

from pybernetes.component import flags
from pybernetes.kubelet import validation
from pybernetes.kubelet.options import FLAGS, kubelet_configuration


def problems(*arguments: str) -> list[str]:
    values = flags.parse("kubelet", FLAGS, arguments)
    return validation.problems(kubelet_configuration(values, "n", ["192.0.2.1"]))


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        (
            "--node-labels=node-role.kubernetes.io/master=",
            "labels specified with --node-labels: [node-role.kubernetes.io/master]",
        ),
        (
            "--node-labels=kubernetes.io/foo=bar",
            "must begin with an allowed prefix (kubelet.kubernetes.io, node.kubernetes.io)",
        ),
        ("--node-labels=x.k8s.io/foo=bar", "[x.k8s.io/foo]"),
        ("--node-labels=a=b/c", "invalid node labels: a=b/c: "),
        ("--node-labels=a/b/c=d", "invalid node labels: a/b/c=d: "),
        (
            "--register-with-taints=a:NoSchedule,a=b:NoSchedule",
            "duplicated taints with the same key and effect: a=b:NoSchedule",
        ),
        ("--register-with-taints=a_=b:NoSchedule", "invalid taint spec: a_=b:NoSchedule, "),
        ("--max-pods=-1", "maxPods (--max-pods) -1 must not be a negative number"),
        ("--port=65536", "port (--port) 65536 must be between 1 and 65535, inclusive"),
        ("--healthz-port=-1", "healthzPort (--healthz-port) -1 must be"),
        ("--image-gc-high-threshold=101", "must be between 0 and 100, inclusive"),
        (
            "--image-gc-high-threshold=80",
            "80 must be less than imageGCHighThresholdPercent (--image-gc-high-threshold) 80",
        ),
        ("--image-maximum-gc-age=1m", "imageMaximumGCAge 60s must be greater than imageMinimumGCAge 120s"),
        ("--node-status-max-images=-2", "must be -1 or greater: -2"),
        ("--node-ip=foo", "bad --node-ip 'foo'"),
        ("--node-ip=0.0.0.0", "bad --node-ip '0.0.0.0'"),
        ("--node-ip=192.0.2.1,192.0.2.2", "either a single IP or a dual-stack pair"),
        ("--cluster-dns=dns.example", "Invalid DNS ip 'dns.example'"),
        ("--pod-cidr=10.0.0.0/33", "invalid CIDR address"),
        ("--hostname-override=Foo_Bar", "--hostname-override=Foo_Bar: a lowercase RFC 1123 subdomain"),
        ("--cluster-domain=-x", "clusterDomain (--cluster-domain) '-x': "),
    ],
)
def test_what_is_refused(argument: str, text: str) -> None:
    (said,) = problems(argument)
    assert text in said


@pytest.mark.parametrize(
    "argument",
    [
        "--node-labels=example.com/a=b,node.kubernetes.io/x=y,kubelet.kubernetes.io/z=,topology.kubernetes.io/zone=z1,a=",
        "--register-with-taints=a:NoSchedule,a:NoExecute",
        "--port=0",
        "--node-ip=192.0.2.1,2001:db8::1",
        "--cluster-dns=10.96.0.10,fd00::a",
        "--cluster-domain=cluster.local.",
        "--node-status-max-images=-1",
        "--image-maximum-gc-age=168h",
    ],
)
def test_what_is_taken(argument: str) -> None:
    assert problems(argument) == []
