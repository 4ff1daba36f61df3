"""Flags of kubeadm's that mean something else here, or nothing: each with what to do instead (upstream: cmd/kubeadm/app/cmd/options)."""

from __future__ import annotations

from pybernetes.component import flags
from pybernetes.component.flags import Flag

DRY_RUN = flags.refused(
    "dry-run",
    flags.boolean,
    "`pybernetes deploy cluster.yaml --dry-run` prints every file and command for each host, and changes nothing",
)
PATCHES = flags.refused("patches", flags.string, "extraArgs and extraVolumes of --config say what patches would")
ROOTFS = flags.refused("rootfs", flags.string, "run the command in that file system: chroot PATH pybernetes ...")
FEATURE_GATES = Flag(
    "feature-gates", flags.switches, {}, "ControlPlaneKubeletLocalMode or PublicKeysECDSA, as a cluster's featureGates."
)
IMAGE_REPOSITORY = flags.ignored(
    "image-repository",
    flags.string,
    "images are packed on each host, and no registry is asked; dns.imageTag of --config names another CoreDNS",
)
CRI_SOCKET = Flag(
    "cri-socket",
    flags.string,
    "",
    "Docker's socket: there is no other runtime; unix:///var/run/docker.sock by default.",
)
COMMON = (DRY_RUN, PATCHES, ROOTFS)

# Of `reset`, where nothing is to be chosen.
RESET = (
    DRY_RUN,
    ROOTFS,
    flags.refused("skip-phases", flags.strings, "all of it is taken back, or nothing"),
    flags.refused("config", flags.string, "--cert-dir and --force say all that a ResetConfiguration could"),
    flags.ignored("cri-socket", flags.string, "Docker's containers with the labels of pods are removed"),
    flags.ignored("cleanup-tmp-dir", flags.boolean, "/etc/kubernetes goes with all that is in it"),
    flags.ignored("kubeconfig", flags.string, "etcd is asked to let its member go, not the API server"),
    flags.ignored("ignore-preflight-errors", flags.strings, "nothing is checked but that root does it"),
)
