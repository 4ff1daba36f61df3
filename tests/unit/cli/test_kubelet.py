"""Which networks a kubelet's flags may ask for."""

from __future__ import annotations

import pytest

from pybernetes.cli import kubelet
from pybernetes.component import flags
from pybernetes.component.command import UsageError
from pybernetes.kubelet.options import FLAGS, KubeletConfiguration, kubelet_configuration


def _chosen(*arguments: str) -> KubeletConfiguration:
    values = flags.parse("kubelet", FLAGS, ["--kubeconfig=/k", *arguments])
    return kubelet_configuration(values, "n", ("192.0.2.1",))


@pytest.mark.parametrize("plugin", ["kubenet", "cni", "noop", ""])
def test_networks(plugin: str) -> None:
    kubelet._check(_chosen(f"--network-plugin={plugin}"))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--network-plugin=weave"], "--network-plugin=weave: it is kubenet, cni or noop"),
        (["--network-plugin=cni", "--pod-subnet-file=/run/flannel/subnet.env"], "CNI by the plugin flannel"),
    ],
)
def test_what_is_refused(arguments: list[str], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        kubelet._check(_chosen(*arguments))


def test_a_unit_file_of_1_17_names_the_folders() -> None:
    chosen = _chosen("--network-plugin=cni", "--cni-bin-dir=/opt/cni/bin,/usr/lib/cni", "--cni-conf-dir=/x")
    assert (chosen["cni-bin-dir"], chosen["cni-conf-dir"]) == (["/opt/cni/bin", "/usr/lib/cni"], "/x")
    assert _chosen()["network-plugin"] == "kubenet" and _chosen()["cni-cache-dir"] == "/var/lib/cni/cache"
    named = [warning.split()[0] for warning in flags.warnings(FLAGS, chosen.values)]
    assert not [flag for flag in named if "cni" in flag or "network-plugin" in flag]
