"""What may become what, by tables; upstream's words where it has any."""

from __future__ import annotations

import pytest

from pybernetes.deploy.lines import Line
from pybernetes.deploy.upgradeplan import (
    Difference,
    Running,
    Version,
    VersionError,
    health,
    joining_objection,
    node_objections,
    objections,
    parse,
    report,
    servers_apart,
)

HERE = parse("v1.37.0")
BUILD = "v1.37.0+pybernetes.0.0.1"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v1.37.0", Version(1, 37, 0)),
        ("1.36.12", Version(1, 36, 12)),
        (BUILD, Version(1, 37, 0)),
        ("v1.37.0-rc.1", Version(1, 37, 0)),
    ],
)
def test_versions(text: str, version: Version) -> None:
    assert parse(text) == version


@pytest.mark.parametrize("text", ["", "stable", "v1.37", "v01.37.0", "v1.37.0.1", " v1.37.0"])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(VersionError, match="is no version: want one such as v1\\.37\\.0"):
        parse(text)


@pytest.mark.parametrize(
    ("running", "target", "mandatory", "skippable"),
    [
        (Running("v1.36.4", {"m1": "v1.36.4"}, {"m1": "v1.36.4", "w1": "v1.34.0"}), HERE, (), ()),
        (Running("v1.37.0", {"m1": BUILD}, {"m1": BUILD}), HERE, (), ()),  # once more: what differs is written
        (Running("v1.37.0", {"m1": BUILD, "m2": "v1.36.1", "m3": ""}), HERE, (), ()),  # in the middle of one
        (Running("v1.35.9"), HERE, ('"v1.37.0" is too high; the cluster version is "v1.35.9"',), ()),
        (Running("v1.36.0", {"m2": "v1.35.1"}), HERE, ("kube-apiserver on m2 is v1.35.1",), ()),
        (Running("v1.38.2"), HERE, (), ('is lower than the cluster version "v1.38.2". Downgrades',)),
        (Running("v1.37.0", {"m2": "v1.38.0"}), HERE, (), ("kube-apiserver on m2 is v1.38.0 already",)),
        (Running("v1.37.0"), parse("v1.38.0"), ('is not what this pybernetes serves, "v1.37.0"',), ()),
        (
            Running("v1.36.0", {}, {"w2": "v1.33.9", "w1": "v1.34.0", "w3": "v1.32.0"}),
            HERE,
            (),
            ("too old: w2 (v1.33.9), w3 (v1.32.0). Upgrade these first",),
        ),
        (Running("v1.37.0", {}, {"w1": "v1.38.0"}), HERE, (), ("newer than its API servers: w1 (v1.38.0)",)),
        (Running("v1.37.0", {}, {"w1": "v1.37.9", "w2": ""}), HERE, (), ()),
    ],
)
def test_upstreams_policy(
    running: Running, target: Version, mandatory: tuple[str, ...], skippable: tuple[str, ...]
) -> None:
    found = objections(running, target, HERE)
    for told, words in ((found.mandatory, mandatory), (found.skippable, skippable)):
        assert len(told) == len(words)
        assert all(word in text for text, word in zip(told, words, strict=True)), told
    assert found.left(True) == list(found.mandatory)
    assert len(found.left(False)) == len(mandatory) + len(skippable)


def test_a_cluster_without_a_version_is_said() -> None:
    with pytest.raises(VersionError, match="'newest'"):
        objections(Running("newest"), HERE, HERE)


def test_further_hosts_follow_the_first() -> None:
    assert node_objections(Running("v1.37.0"), HERE) == []
    (text,) = node_objections(Running("v1.36.0"), HERE)
    assert "run `pybernetes upgrade apply v1.37.0` on the first control-plane host before" in text


@pytest.mark.parametrize(
    ("configured", "objection"),
    [
        ("v1.37.0", ""),
        ("v1.36.9", ""),
        ("v1.38.0", ""),  # kubeadm warns only: the host that joins is the older one
        ("v1.35.4", "control plane version >= v1.36.0. Current version: v1.35.4"),
        ("v1.20.2", "control plane version >= v1.36.0. Current version: v1.20.2"),
    ],
)
def test_api_servers_beside_each_other_are_neighbours(configured: str, objection: str) -> None:
    assert joining_objection(configured, HERE).endswith(objection)
    assert bool(joining_objection(configured, HERE)) == bool(objection)


def test_add_ons_wait_for_every_api_server() -> None:
    assert servers_apart(Running("v1.37.0", {"m1": BUILD, "m2": "v1.36.3", "m3": ""}), HERE) == ["m2", "m3"]


def test_health_of_workers_is_no_reason() -> None:
    lines = [
        Line("node", "m1", True, "Ready"),
        Line("node", "m2", False, "NotReady"),
        Line("kubelet", "w1", False, "away"),
        Line("etcd", "m2", False, "no answer"),
        Line("certificate", "ca", False, "ended"),
    ]
    assert health(lines, {"m1", "m2"}) == (["node m2: NotReady", "etcd m2: no answer"], ["kubelet w1: away"])


def test_a_plan_for_people() -> None:
    running = Running("v1.36.4", {"m1": "v1.36.4", "m2": ""}, {"m1": "v1.36.4"}, {"m1": "3.5.16"})
    changed = [Difference("kube-apiserver", "/etc/systemd/system/kube-apiserver.service", "a\nb\n", "a\nc\n")]
    assert changed[0].text().splitlines()[3:] == [" a", "-b", "+c"]
    text = report(running, HERE, changed, "m1")
    for line in (
        "kube-apiserver   m1        v1.36.4           v1.37.0",
        "kube-apiserver   m2        does not answer   v1.37.0",
        "etcd             m1        3.5.16            as installed",
        "kubelet     m1        v1.36.4   v1.37.0",
        "  /etc/systemd/system/kube-apiserver.service (kube-apiserver)",
        "\tpybernetes upgrade apply v1.37.0",
    ):
        assert line in text.splitlines(), text
    assert "Every file of m1 is as this pybernetes would write it." in report(running, HERE, [], "m1")
    assert "You can now apply" in text and "You can now apply" not in report(
        running, HERE, changed, "m1", possible=False
    )
