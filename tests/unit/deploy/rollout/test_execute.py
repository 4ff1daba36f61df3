"""From nothing to a cluster, and from one to another: what is done, in which order, and what is left after a cut."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import pytest

from pybernetes.api.version import KUBERNETES
from pybernetes.deploy.rollout.actions import INIT_FILE
from pybernetes.deploy.rollout.execute import Program, RolloutError
from pybernetes.deploy.rollout.plan import CHANGES, DUE, notes

from .hosts import PROGRAM, SHOWN_SECRETS, Cut, Silent, World, world
from .test_clusterfile import EXAMPLE, KUBEADM, file, host

THREE = file(
    *(host(f"m{n}", f"10.0.0.{n}", "master") for n in (1, 2, 3)),
    host("w1", "10.0.0.11", "worker", more=", labels: {zone: a}"),
    host("w2", "10.0.0.12", "worker"),
    more="balancer: {virtualAddress: 10.0.0.9}\n",
)
NEW_ARGUMENT = f"{KUBEADM}apiServer: {{extraArgs: [{{name: v, value: '4'}}]}}\n"


def run(made: World) -> Silent:
    shown = Silent()
    asyncio.run(made.rollout.run(shown))
    return shown


def deployed() -> World:
    made = world(THREE)
    run(made)
    return made


def test_from_nothing_in_the_order_that_clusters_grow_in() -> None:
    made = world(THREE)
    shown = run(made)
    assert shown.stages == [
        "prepare the hosts",
        "the first master",
        "further masters, one by one",
        "workers",
        "labels of nodes",
    ]
    assert [line for line in shown.shown if "master" in line and "ended" not in line] == [
        "m1: make it the cluster's first master",
        "m2: join it as a master",
        "m3: join it as a master",
    ]
    assert made.hosts["w1"].labels == {"zone": "a"}
    # Tokens are taken back.
    assert sum("token delete abcdef" in script for name, script in made.scripts if name == "m1") == 4


def test_a_second_run_has_nothing_to_do() -> None:
    again = world(THREE, before=deployed())
    assert asyncio.run(again.rollout.plan())[1] == []
    assert run(again).shown == [] and again.scripts == []


def test_cut_off_anywhere_a_second_run_finishes() -> None:
    few = file(
        *(host(f"m{n}", f"10.0.0.{n}", "master") for n in (1, 2)),
        host("w1", "10.0.0.11", "worker", more=", labels: {zone: a}"),
        more="balancer: {virtualAddress: 10.0.0.9}\n",
    )
    whole = world(few)
    run(whole)
    assert len(whole.scripts) > 15
    for place in range(len(whole.scripts)):
        made = world(few)
        made.cut_after = place
        with pytest.raises(Cut):
            run(made)
        again = world(few, before=made)
        run(again)
        assert all(fake.joined for fake in again.hosts.values())
        assert asyncio.run(world(few, before=again).rollout.plan())[1] == []


def test_a_setting_is_changed_host_by_host() -> None:
    made = world(THREE + NEW_ARGUMENT, before=deployed())
    shown = run(made)
    assert shown.stages == ["changes, host by host", "the cluster's memory"]
    begun = [line for line in shown.shown if "ended" not in line]
    unit = "write /etc/systemd/system/kube-apiserver.service; start kube-apiserver"
    assert begun == [f"{name}: {unit}" for name in ("m1", "m2", "m3")] + [
        "m1: have the cluster remember its new configuration"
    ]
    # Each is seen to be well before the next one is begun.
    restarts = [script for _, script in made.scripts if "restart --no-block kube-apiserver" in script]
    assert all(script.index("restart") < script.index("until curl") for script in restarts)


def test_a_change_that_fails_stops_before_the_next_host() -> None:
    made = world(THREE + NEW_ARGUMENT, before=deployed())
    made.hosts["m2"].fails = "restart --no-block kube-apiserver"
    with pytest.raises(RolloutError, match=r"m2: .*start kube-apiserver: exit code 1: m2 says no") as raised:
        run(made)
    assert raised.value.report == ["m1: done", "m2: failed", "m3: not begun"]
    assert not any(name == "m3" for name, _ in made.scripts)
    made.hosts["m2"].fails = ""
    again = world(THREE + NEW_ARGUMENT, before=made)
    assert [line for line in run(again).shown if line.startswith("m1")] == [
        "m1: have the cluster remember its new configuration",
        "m1: ended",
    ]


def test_a_start_that_is_due_is_made_up_for() -> None:
    made = deployed()
    made.hosts["m2"].pending.add("kube-scheduler")  # the files were written, and then the plug was pulled
    again = world(THREE, before=made)
    _, (stage,) = asyncio.run(again.rollout.plan())
    assert [(step.host.name, [action.title() for action in step.actions]) for step in stage.steps] == [
        ("m2", ["start kube-scheduler"])
    ]


def test_what_is_down_is_started_before_anybody_joins() -> None:
    made = deployed()
    made.hosts["m1"].active.discard("kube-apiserver")
    made.hosts["w2"].joined = False
    again = world(THREE, before=made)
    assert run(again).stages == [DUE, "workers"]


def test_etcd_keeps_its_majority() -> None:
    made = deployed()
    made.hosts["m3"].active.discard("etcd")
    made.hosts["m1"].pending.add("etcd")
    with pytest.raises(RolloutError, match="etcd does not run on m3: with m1's started anew, 1 of 3 members"):
        run(world(THREE, before=made))
    made.hosts["m1"].pending.clear()
    assert run(world(THREE, before=made)).shown == ["m3: start etcd", "m3: ended"]


def test_the_beginning_of_a_member_of_etcd_is_its_own() -> None:
    made = deployed()
    path = "/etc/systemd/system/etcd.service"
    text, mode = made.hosts["m2"].files[path]
    beginning = "--initial-cluster=m1=https://10.0.0.1:2380,m2=https://10.0.0.2:2380 \\"
    text = re.sub(r"--initial-cluster=.*", lambda _: beginning, text).replace("state=new", "state=existing")
    made.hosts["m2"].files[path] = (text, mode)
    assert asyncio.run(world(THREE, before=made).rollout.plan())[1] == []


def test_a_host_that_is_away() -> None:
    made = deployed()
    made.hosts["w2"].away = "10.0.0.12, port 22: not reachable"
    with pytest.raises(RolloutError, match=r"w2: .*not reachable \(--limit=m1,m2,m3,w1 leaves it out\)"):
        run(world(THREE, before=made))
    assert run(world(THREE + NEW_ARGUMENT, ["m1"], before=made)).stages[0] == "changes, host by host"


def test_a_limit_touches_no_other_host() -> None:
    made = world(THREE, ["m1", "w1"])
    run(made)
    assert {name for name, _ in made.scripts} == {"m1", "w1"}
    with pytest.raises(RolloutError, match="its first master, m1, has to be among those of --limit"):
        run(world(THREE, ["w1"]))


def test_no_second_cluster_is_begun_beside_masters_that_do_not_answer() -> None:
    made = world(THREE, ["m1"])
    made.hosts["m2"].away = made.hosts["m3"].away = "gone"
    with pytest.raises(RolloutError, match="m2, m3: no answer, and no other master has joined"):
        run(made)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (replace(PROGRAM, python="3.13"), "its python3 is 3.11, this installation's 3.13"),
        (replace(PROGRAM, machine="aarch64"), "it is x86_64, this installation of pybernetes aarch64"),
        (
            Program("/usr/bin/pybernetes"),
            "there is no /usr/bin/pybernetes: install pybernetes there, or leave `program` out",
        ),
    ],
)
def test_what_would_not_run_there_is_not_begun(program: Program, words: str) -> None:
    made = world(THREE)
    made.rollout.program = program
    with pytest.raises(RolloutError, match=words):
        run(made)
    assert made.scripts == []


def test_a_new_pybernetes_starts_everything_of_ours_anew() -> None:
    made = world(THREE, before=deployed())
    made.rollout.program = replace(PROGRAM, digest="e" * 64)
    shown = run(made)
    assert shown.stages == ["prepare the hosts", DUE]
    starts = [line.replace(": start", "") for line in shown.shown if ": start" in line]
    assert starts[:3] == ["m1 kube-apiserver", "m1 kube-controller-manager", "m1 kube-scheduler"]
    assert [line for line in starts if line.startswith("w2")] == [
        *("w2 kubelet", "w2 kube-proxy", "w2 flanneld", "w2 kube-network-policies")
    ]
    assert not any("etcd" in line or "nginx" in line for line in starts)


ADD_ONS = THREE + "addons: {loadBalancer: true, addressPool: [10.0.0.64/28], ingress: true}\n"


def test_add_ons_are_switched_on_in_a_cluster_that_runs() -> None:
    """Every node has the image before the cluster is told of pods that run it; Debian's nginx is out of the way where it is nobody's balancer."""
    made = world(ADD_ONS, before=deployed())
    shown = run(made)
    assert shown.stages == ["prepare the hosts", "the cluster's memory"]
    done = [line for line in shown.shown if not line.endswith(": ended")]
    assert sorted(line for line in done if "pack" in line) == [f"{n}: pack pybernetes-ingress" for n in made.hosts]
    assert [line for line in done if "nginx" in line and "pack" not in line] == [
        *("w1: install nginx", "w1: stop nginx", "w2: install nginx", "w2: stop nginx")
    ]
    assert done[-1] == "m1: have the cluster remember its new configuration, and its add-ons"
    last = made.scripts[-1][1]
    assert last.index("upload-config all") < last.index("init phase addon further") < last.rindex("mv ")
    made.hosts["w2"].active.add("nginx")  # somebody has started it again
    assert run(world(ADD_ONS, before=made)).shown == ["w2: stop nginx", "w2: ended"]


def test_add_ons_are_switched_off() -> None:
    on = world(ADD_ONS)
    run(on)
    assert not any("init phase addon" in script for _, script in on.scripts)  # init does it
    off = world(THREE, before=on)
    assert [line for line in run(off).shown if not line.endswith(": ended")] == [
        "m1: have the cluster remember its new configuration, and its add-ons"
    ]
    assert "init phase addon further" in off.scripts[-1][1]


def test_other_settings_leave_add_ons_alone() -> None:
    made = world(THREE + NEW_ARGUMENT, before=deployed())
    run(made)
    assert not any("addon further" in script for _, script in made.scripts)


def test_nginx_is_installed_where_it_is_packed_and_does_not_start_by_itself() -> None:
    made = world(ADD_ONS)
    run(made)
    of_w1 = [script for name, script in made.scripts if name == "w1"]
    assert any("apt-get install" in script and " nginx" in script for script in of_w1)
    assert any("disable --now nginx" in script for script in of_w1)
    assert not any("disable --now nginx" in script for name, script in made.scripts if name == "m1")  # its balancer


def older(before: World, version: str, kubelets: str) -> World:
    """The same cluster, as an older release would have told it."""
    for one in before.hosts.values():
        one.version = kubelets
    text, mode = before.hosts["m1"].files[INIT_FILE]
    before.hosts["m1"].files[INIT_FILE] = (
        re.sub(r"kubernetesVersion: \S+", f"kubernetesVersion: {version}", text),
        mode,
    )
    made = world(THREE, before=before)
    made.rollout.program = replace(PROGRAM, digest="e" * 64)
    return made


def test_another_version_takes_a_backup_and_drains_workers() -> None:
    """Masters first, then each worker without its pods; what the cluster knows of itself comes last."""
    shown = run(older(deployed(), "v1.36.2", "v1.36.2"))
    assert shown.stages == ["a backup of the version before", "prepare the hosts", DUE, "the cluster's memory"]
    done = [line for line in shown.shown if not line.endswith(": ended")]
    assert done[0] == f"m1: write a backup, /var/lib/pybernetes/backups/before-v{KUBERNETES}.tar.gz"
    assert done[-1] == f"m1: have the cluster remember its new configuration, rights and add-ons: it is v{KUBERNETES}"
    workers = [line for line in done if "w1" in line and "bring" not in line and "pack" not in line]
    assert workers == [
        "m1: drain w1",
        "w1: start kubelet",
        "w1: start kube-proxy",
        "w1: start flanneld",
        "w1: start kube-network-policies",
        "m1: uncordon w1",
    ]
    assert not any("drain m" in line for line in done)


def test_another_patch_leaves_pods_where_they_are() -> None:
    shown = run(older(deployed(), "v1.36.2", f"v{KUBERNETES}"))
    assert not any("drain" in line for line in shown.shown)


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("v1.35.1", "is too high; the cluster version is"),
        ("v1.38.0", "Downgrades are not really supported"),
        ("new", "'new' is no version"),
    ],
)
def test_versions_that_are_too_far_apart(version: str, words: str) -> None:
    made = older(deployed(), version, f"v{KUBERNETES}")
    with pytest.raises(RolloutError, match=words):
        run(made)
    assert made.scripts == []


def test_a_cut_between_bringing_and_starting_is_made_up_for() -> None:
    made = world(THREE, before=deployed())
    made.rollout.program = replace(PROGRAM, digest="e" * 64)
    made.cut_after = 12  # five hosts have it and its image, two daemons were started anew
    with pytest.raises(Cut):
        run(made)
    again = world(THREE, before=made)
    again.rollout.program = made.rollout.program
    starts = [line for line in run(again).shown if ": start" in line]
    assert starts[0] == "m1: start kube-scheduler" and len([line for line in starts if line.startswith("w1")]) == 4


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (
            "10.0.0.9",
            "10.0.0.8",
            "controlPlaneEndpoint: the cluster was made with 10.0.0.9:8443, the file says 10.0.0.8:8443",
        ),
        (
            "balancer",
            "network: {podSubnet: 10.9.0.0/16}\nbalancer",
            "networking.podSubnet: the cluster was made with 10.244",
        ),
        ("virtualAddress", "kind: haproxy, virtualAddress", "balancer.kind: the cluster was made with nginx"),
    ],
)
def test_what_a_cluster_was_made_with_is_not_changed_by_half(before: str, after: str, words: str) -> None:
    made = world(THREE.replace(before, after), before=deployed())
    with pytest.raises(RolloutError, match=words):
        run(made)
    assert made.scripts == []


def test_a_host_that_has_become_something_else() -> None:
    made = deployed()
    made.hosts["w1"].master = True
    with pytest.raises(RolloutError, match="w1: it has joined as a master: to make it a worker"):
        run(world(THREE, before=made))
    renamed = THREE.replace("name: w2", "name: w3")
    made = deployed()
    made.hosts["w3"] = made.hosts["w2"]
    with pytest.raises(RolloutError, match="w3: it has joined as node w2"):
        run(world(renamed, before=made))


def test_a_host_is_added_later() -> None:
    more = THREE.replace("balancer:", host("w3", "10.0.0.13", "worker") + "balancer:")
    made = world(more, before=deployed())
    assert run(made).stages == ["prepare the hosts", "workers"]
    assert {name for name, _ in made.scripts} == {"w3", "m1"}


def test_a_node_that_is_not_in_the_file_is_told() -> None:
    fewer = THREE.replace(host("w2", "10.0.0.12", "worker"), "")
    situation, stages = asyncio.run(world(fewer, before=deployed()).rollout.plan())
    assert stages == []
    (note,) = notes(situation)
    assert note.startswith("w2 is a node of the cluster, and not in the file")


def test_in_the_end_the_nodes_are_ready_or_named() -> None:
    made = deployed()
    assert asyncio.run(made.rollout.settled()) == []
    made.hosts["w1"].ready = False
    assert asyncio.run(made.rollout.settled(0)) == ["w1 is not Ready"]


@pytest.mark.parametrize(
    ("hosts", "balancer", "prepared"),
    [
        (
            [host("m1", "10.0.0.1", "master"), host("l1", "10.0.0.7", "balancer"), host("l2", "10.0.0.8", "balancer")],
            "balancer: {virtualAddress: 10.0.0.9}",
            {"l1": {"nginx", "keepalived"}, "l2": {"nginx", "keepalived"}},
        ),
    ],
)
def test_balancers_that_no_join_brings(hosts: list[str], balancer: str, prepared: dict[str, set[str]]) -> None:
    text = file(*hosts, more=f"{balancer}\n")
    made = world(text)
    shown = run(made)
    begun = shown.shown[: shown.shown.index("m1: make it the cluster's first master")]
    started = {
        name: {line.rpartition(" ")[2] for line in begun if line.startswith(f"{name}: write")} for name in prepared
    }
    assert started == prepared
    assert asyncio.run(world(text, before=made).rollout.plan())[1] == []
    # A change of theirs is made one host after the other.
    changed = world(text.replace("balancer: {", "balancer: {port: 9443, "), before=made)
    for fake in changed.hosts.values():
        fake.files.pop(INIT_FILE, None)
    stage = asyncio.run(changed.rollout.plan())[1][0]
    assert (stage.title, stage.width, {step.host.name for step in stage.steps}) == (CHANGES, 1, set(prepared))


def test_balancers_on_nodes_come_with_joining() -> None:
    """Each host's own, with who has it follow the masters: nothing is written before, and a master more is nothing to do on the others."""
    first, worker = host("m1", "10.0.0.1", "master"), host("w1", "10.0.0.7", "worker")
    balancer = "balancer: {onNodes: true, kind: haproxy}\n"
    made = world(file(first, worker, more=balancer))
    shown = run(made)
    assert not [line for line in shown.shown if ": write" in line]
    assert {"haproxy", "balancer"} <= made.hosts["w1"].active & made.hosts["m1"].active
    assert "onNodes: true" in made.hosts["m1"].files[INIT_FILE][0]
    more = world(file(first, host("m2", "10.0.0.2", "master"), worker, more=balancer), before=made)
    assert not [line for line in run(more).shown if line.startswith("w1")]


def test_no_secret_is_shown() -> None:
    made = world(EXAMPLE.read_text())
    shown = run(made)
    assert not any(secret in line for line in shown.shown for secret in SHOWN_SECRETS)
    # Nor does it stand on a command line, where every user of the host sees it.
    assert not any(secret in script for _, script in made.scripts for secret in SHOWN_SECRETS)
