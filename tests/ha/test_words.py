"""A join that cannot be: what is said, how soon, and what is left of it."""

from __future__ import annotations

import re
import time

import pytest

from .cluster import DOCKER, ENDPOINT, KUBECTL, PYBERNETES, SPARE, Cluster, must, slack, until

WORDS_SECONDS, TRIES = 2.0, 3  # that other work holds one of them up says nothing
PAST_DOCKER = "--ignore-preflight-errors=CRI"
ANOTHER_TOKEN = "`pybernetes token create --print-join-command` on a control-plane host makes another one"
EXPIRED = f"""
{PYBERNETES} token create abcdef.0123456789abcdef --ttl=1h >/dev/null
{KUBECTL} -n kube-system patch secret bootstrap-token-abcdef -p '{{"stringData": {{"expiration": "2020-01-01T00:00:00Z"}}}}'
"""
LEFT = """
for folder in /etc/kubernetes /var/lib/kubelet /var/lib/kube-proxy /var/lib/pybernetes; do ls -A $folder 2>/dev/null; done
ls /etc/systemd/system | grep kube
"""


@pytest.mark.parametrize(
    ("before", "change", "words"),
    [
        ("", ("$", ""), r"\[ERROR CRI\]: Docker does not answer: apt-get install docker.io, systemctl enable --now docker"),
        (
            "python3 -m http.server 10250 >/dev/null 2>&1 & sleep 0.3;",
            ("$", ""),
            r"\[ERROR Port-10250\]: Port 10250 is in use .*`ss -ltnp sport = :10250` shows by whom",
        ),
        ("", (r"--token \S{6}", "--token aaaaaa"), f"the cluster knows no token aaaaaa: .*{ANOTHER_TOKEN}"),
        (
            "",
            (r"--token \S+", "--token abcdef.0123456789abcdef"),
            f"the cluster knows no token abcdef: it has ended, .*{ANOTHER_TOKEN}",
        ),
        ("", (r"--token (\S{6})\S+", r"--token \1.aaaaaaaaaaaaaaaa"), "is not the one that the cluster has"),
        ("", ("sha256:....", "sha256:0000"), "not the pinned sha256:0000"),
        ("", ("$", " --node-name=master1"), "already exists in the cluster.*--node-name"),
        ("FAKETIME_DONT_FAKE_MONOTONIC=1 faketime -f +1h", ("$", ""), r"clock is 3\d\d\d s ahead of the cluster's: set it"),
        ("FAKETIME_DONT_FAKE_MONOTONIC=1 faketime -f -1h", ("$", ""), r"clock is 3\d\d\d s behind the cluster's: set it"),
        ("", (re.escape(ENDPOINT), "10.20.0.11:9"), "https://10.20.0.11:9 does not answer: .*is that the API server's"),
    ],
    ids=["docker", "port", "token", "expired", "secret", "hash", "name", "ahead", "behind", "address"],
)  # fmt: skip
def test_says_what_to_do_within_two_seconds(cluster: Cluster, before: str, change: tuple[str, str], words: str) -> None:
    if "abcdef" in change[1]:
        must(cluster.masters[0], EXPIRED)
        until(cluster.masters[0], f"{KUBECTL} -n kube-system get secret bootstrap-token-abcdef 2>&1", "NotFound")
        signed = f"{KUBECTL} -n kube-public get configmap cluster-info -o yaml | grep -c jws-kubeconfig-abcdef"
        until(cluster.masters[0], signed, "^0$")
    spare = cluster.hosts[SPARE]
    passed = "" if "CRI" in words else PAST_DOCKER
    command = f"{before} {PYBERNETES} {re.sub(*change, cluster.joining, count=1)} {passed}"
    present = spare(LEFT)[1]
    for _ in range(TRIES):
        began = time.monotonic()
        code, output = spare(f"{command} 2>&1; code=$?; kill %1 2>/dev/null; exit $code")
        took = time.monotonic() - began
        assert code and re.search(words, output), output
        if took < WORDS_SECONDS * slack():
            break
    assert took < WORDS_SECONDS * slack(), output
    assert spare(LEFT)[1] == present, "something is left of it"


def test_a_second_run_finishes(cluster: Cluster) -> None:
    """Of a join that was killed in the middle; then the host leaves, and nothing is left."""
    spare, first = cluster.hosts[SPARE], cluster.masters[0]
    present = spare(LEFT)[1]
    must(spare, DOCKER)
    arguments = f"{cluster.joining} --run-with=systemd"
    killed = f"""
        {PYBERNETES} {arguments} >/root/killed.log 2>&1 & join=$!
        for _ in $(seq 600); do grep -q 'TLS Bootstrap' /root/killed.log && break; sleep 0.02; done
        kill -9 $join; cat /root/killed.log
    """
    assert "TLS Bootstrap" in must(spare, killed)
    began = time.monotonic()
    assert "This node has joined the cluster" in must(spare, f"{PYBERNETES} {arguments} 2>&1")
    until(first, f"{KUBECTL} get node {SPARE}", " Ready")
    print(f"joined in {time.monotonic() - began:.1f} s")
    must(spare, f"{PYBERNETES} reset --force 2>&1")
    must(first, f"{KUBECTL} delete node {SPARE}")
    left = [line for line in spare(LEFT)[1].splitlines() if line not in present.splitlines() and line != "images"]
    assert not left
