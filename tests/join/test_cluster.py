"""From nothing to three masters and two workers, a day in their life, and back to nothing. Each test builds on those before it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.hosts import Host

PYBERNETES = "/opt/pybernetes/.venv/bin/python -m pybernetes"
VIRTUAL = "10.20.0.10"
ENDPOINT = f"{VIRTUAL}:8443"
KUBECTL = "KUBECONFIG=/etc/kubernetes/admin.conf kubectl"
IMAGES = "/var/lib/pybernetes/images"
WEB = Path(__file__).parent / "web.yaml"
WAIT_SECONDS = 180.0
# Without what would be made in pods, or takes time.
ALONE = """\
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
controlPlaneEndpoint: 127.0.0.1:8443
encryptionAlgorithm: ECDSA-P256
dns: {disabled: true}
proxy: {disabled: true}
"""

Hosts = Mapping[str, Host]
failed: list[str] = []


@pytest.fixture(autouse=True)
def in_order(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test that failed should have made is not there."""
    if failed:
        pytest.skip(f"an earlier test has failed: {failed[0]}")
    before = request.session.testsfailed
    yield
    if request.session.testsfailed > before:
        failed.append(request.node.name)


@pytest.fixture(scope="module")
def before(hosts: Hosts) -> dict[str, str]:
    """What each host has before anything is done on it."""
    return {name: traces(host) for name, host in hosts.items()}


def must(host: Host, script: str) -> str:
    """The output of a script that has to succeed."""
    code, said = host(script)
    assert code == 0, f"{host.name}: {script}\n{said}{logs(host)}"
    return said


def until(host: Host, script: str, shows: str) -> str:
    """The output, as soon as the pattern is in it."""
    end = time.monotonic() + WAIT_SECONDS
    while True:
        said = host(script)[1]
        if re.search(shows, said):
            return said
        assert time.monotonic() < end, f"{host.name}: {script}\nwant {shows}, last:\n{said}{logs(host)}"
        time.sleep(0.3)


def logs(host: Host) -> str:
    """The last lines of each daemon on it."""
    return host("tail -n 15 /var/log/pybernetes/*.log /var/log/units/*.log 2>/dev/null")[1]


def traces(host: Host) -> str:
    """What a cluster would leave: files, links, rules, containers, images, processes, mounts."""
    folders = "/etc/kubernetes /etc/pybernetes /etc/kube-flannel /etc/systemd/system /var/lib/etcd /var/lib/kubelet /var/lib/kube-proxy"
    script = f"""
        find {folders} /var/lib/pybernetes /var/log/pybernetes /var/log/pods /run/flannel /run/pybernetes /run/units -mindepth 1 2>/dev/null | sort
        ip -o link | sed 's/.*: \\(.*\\): <.*/\\1/' | sort
        ip -o -4 address show dev eth0 | awk '{{print $4}}'
        ip route
        iptables-save | grep '^-A' | grep -v '^-A.*DOCKER' || true
        docker ps -aq; docker images -q
        mount | grep -c kubelet
        ps -eo args= | grep -E '^(etcd|nginx|keepalived|haproxy|/opt/pybernetes/.venv/bin/python)' | sort
    """
    return host(script)[1]


def joining(hosts: Hosts, control_plane: bool) -> str:
    """The arguments that `init` printed for others."""
    printed = hosts["master1"]("cat /root/init.log")[1]
    found = [line.strip() for line in printed.splitlines() if line.startswith("  pybernetes join ")]
    return found[0 if control_plane else -1].removeprefix("pybernetes ")


def run(host: Host, arguments: str) -> tuple[int, str]:
    return host(f"{PYBERNETES} {arguments}")


def test_checks_name_what_to_do(hosts: Hosts, before: dict[str, str]) -> None:
    """All of them at once, and nothing has been touched."""
    assert before
    host = hosts["master1"]
    init = f"{PYBERNETES} init --control-plane-endpoint=10.20.0.10:8443 --balancer=nginx --apiserver-advertise-address"
    assert "under_score" in host(f"{init}=10.20.0.11 --node-name=under_score")[1]
    said = host(f"python3 -m http.server 2379 >/dev/null 2>&1 & sleep 0.5; {init}=10.20.0.99; kill %1")[1]
    assert "[ERROR AdvertiseAddress]: this host has no address 10.20.0.99" in said
    assert "[ERROR Port-2379]: Port 2379 is in use (address already in use)" in said
    assert (
        "the balancer before it needs another one: 10.20.0.10:8443, say"
        in run(host, "init --control-plane-endpoint=10.20.0.10 --balancer=nginx")[1]
    )
    assert traces(host) == before["master1"]


def test_init(hosts: Hosts) -> None:
    """One command; its node is there and the virtual address answers."""
    first = hosts["master1"]
    must(
        first,
        f"{PYBERNETES} init --control-plane-endpoint={ENDPOINT} --balancer=nginx --upload-certs 2>&1 | tee /root/init.log",
    )
    assert "successfully" in must(first, "cat /root/init.log")
    until(first, f"curl -sk https://{ENDPOINT}/livez", "^ok")
    code, said = run(first, "init")
    assert code == 1 and "[ERROR HostState]: this host is in a cluster already, as control-plane node master1" in said
    shared = first.folder.parent / "images"
    must(first, f"cp -r {IMAGES} {shared}")
    for host in hosts.values():  # what they all would pack, each on its own
        if host is not first:
            must(host, f"mkdir -p {IMAGES} && cp {shared}/* {IMAGES}")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            ("--token \\S{6}", "--token aaaaaa"),
            "the cluster knows no token aaaaaa: it has ended, or is another cluster's",
        ),
        (("--token (\\S{6})\\S+", "--token \\1.aaaaaaaaaaaaaaaa"), "is not the one that the cluster has"),
        (("sha256:....", "sha256:0000"), "not the pinned sha256:0000"),
        (
            (ENDPOINT, "10.20.0.11:9"),
            "https://10.20.0.11:9 does not answer: .*is that the API server's address and port",
        ),
        (("sha256:....", "sha256:000g"), "want sha256: and 64 hexadecimal digits"),
        (("$", " --node-name=master1"), 'a Node with name "master1" and status "Ready" already exists in the cluster'),
        (("--certificate-key ....", "--certificate-key 0000"), "the certificate key is not the one"),
        (("--certificate-key.*", ""), "run `pybernetes init phase upload-certs --upload-certs`"),
    ],
)
def test_who_may_not_join_is_told_why(hosts: Hosts, change: tuple[str, str], words: str) -> None:
    """And nothing is left of the attempt."""
    host = hosts["worker1"]
    until(hosts["master1"], f"{KUBECTL} get nodes", "master1 +Ready")
    present = traces(host)
    code, said = run(host, re.sub(*change, joining(hosts, True), count=1))
    assert code in (1, 2) and re.search(words, said), said
    assert traces(host) == present


def test_masters_join(hosts: Hosts) -> None:
    """One after the other; a join that was killed in the middle goes on in its second run."""
    arguments = joining(hosts, True)
    second = hosts["master2"]
    killed = f"""
        {PYBERNETES} {arguments} >/root/killed.log 2>&1 & join=$!
        for _ in $(seq 600); do grep -q 'catch up' /root/killed.log && break; sleep 0.05; done
        kill -9 $join; cat /root/killed.log
    """
    assert "Waiting for the new member to catch up" in must(second, killed)
    for name in ("master2", "master3"):
        assert "a new control plane instance was created" in must(hosts[name], f"{PYBERNETES} {arguments} 2>&1")
    members = must(second, f"{PYBERNETES} etcd members")
    assert len(re.findall(r"started +master\d .* false", members)) == 3, members


def test_workers_join(hosts: Hosts) -> None:
    """Both at a time: one run by the supervisor, the other by units of systemd's."""
    arguments = joining(hosts, False)
    token, pin = re.findall(r"--token (\S+)", arguments)[0], re.findall(r"sha256:\S+", arguments)[0]
    commands = {
        "worker1": f"{PYBERNETES} {arguments}",
        "worker2": f"{PYBERNETES} join {token}@{ENDPOINT} --ca-hash {pin} --run-with=systemd",
    }
    with ThreadPoolExecutor(2) as threads:
        for said in threads.map(lambda name: must(hosts[name], f"{commands[name]} 2>&1"), commands):
            assert "This node has joined the cluster" in said
    assert (
        must(hosts["worker2"], "systemctl is-active kubelet kube-proxy flanneld kube-network-policies").split()
        == ["active"] * 4
    )
    until(hosts["master3"], f"{KUBECTL} get nodes --no-headers | grep -c ' Ready '", "^5$")
    taints = f"{KUBECTL} get nodes --no-headers -o custom-columns=T:.spec.taints[*].key | sort | uniq -c"
    until(hosts["master3"], taints, r"2 <none>\n *3 node-role.kubernetes.io/control-plane\n")


def test_the_cluster_works(hosts: Hosts) -> None:
    """Pods on different hosts behind a Service, by its name and by a port of each node; cluster DNS on two hosts."""
    first = hosts["master1"]
    must(first, f"{KUBECTL} apply -f - <<'END'\n{WEB.read_text()}END")
    must(
        first,
        f"{KUBECTL} rollout status deployment/hello --timeout=180s && {KUBECTL} -n kube-system rollout status deployment/coredns --timeout=180s",
    )
    until(first, "for _ in $(seq 12); do curl -s http://10.20.0.21:30080/; done | sort -u", "on worker1\n.*on worker2")
    until(
        first,
        f"{KUBECTL} exec deployment/hello -- busybox wget -q -O - http://hello.default.svc.cluster.local/",
        "hello from a pod",
    )
    places = must(
        first, f"{KUBECTL} -n kube-system get pods -l k8s-app=kube-dns -o jsonpath='{{.items[*].spec.nodeName}}'"
    ).split()
    assert len(set(places)) == 2, places


def configured(host: Host, change: str) -> None:
    """Has the cluster remember a ClusterConfiguration that a sed script has changed."""
    key = ".data.ClusterConfiguration"
    must(
        host,
        f"""set -e
        {KUBECTL} -n kube-system get configmap kubeadm-config -o jsonpath='{{{key}}}' | sed -e '{change}' >/root/changed.yaml
        {KUBECTL} -n kube-system create configmap kubeadm-config --from-file=ClusterConfiguration=/root/changed.yaml \
            --dry-run=client -o yaml | {KUBECTL} replace -f -""",
    )


def test_an_upgrade_is_planned_and_one_that_cannot_be_is_refused(hosts: Hosts) -> None:
    """Two minor versions at once, and backwards; a plan names what runs, and what would be written."""
    first = hosts["master1"]
    for version, words in (
        ("v1.35.9", "is too high; the cluster version is"),
        ("v1.38.0", "Downgrades are not really supported"),
    ):
        configured(first, f"s/^kubernetesVersion: .*/kubernetesVersion: {version}/")
        code, said = run(first, "upgrade apply --yes")
        assert code == 1 and words in said, said
    code, said = run(hosts["worker1"], "upgrade node")
    assert code == 1 and "on the first control-plane host before" in said, said
    configured(first, "s/^kubernetesVersion: .*/kubernetesVersion: v1.36.4/")
    plan = must(first, f"{PYBERNETES} upgrade plan")
    assert "Cluster version: v1.36.4" in plan
    assert re.findall(r"^kube-apiserver +(\S+) +v1\.37\.0\S* +v1\.37\.0$", plan, re.M) == [
        "master1",
        "master2",
        "master3",
    ]
    assert len(re.findall(r"^kubelet +", plan, re.M)) == 5 and len(re.findall(r"^etcd +master\d +3\.", plan, re.M)) == 3
    assert "programs.json (kube-apiserver)" in plan, "masters that joined later are no members for its API server yet"


def test_an_upgrade_that_fails_leaves_everything_as_it_was(hosts: Hosts) -> None:
    """The API server does not take a flag: its files come back, it runs again, and the cluster remembers the version before."""
    first = hosts["master1"]
    programs = must(first, "cat /etc/kubernetes/pybernetes/programs.json")
    configured(first, "s/^apiServer: .*/apiServer: {extraArgs: [{name: no-such-flag, value: x}]}/")
    code, said = run(first, "upgrade apply --yes --timeout=3s")
    assert code == 1 and "rolled back: kube-apiserver runs with the files before" in said, said
    assert must(first, "cat /etc/kubernetes/pybernetes/programs.json") == programs
    assert must(first, "curl -sk https://10.20.0.11:6443/livez") == "ok"
    configured(first, 's/^apiServer: .*/apiServer: {extraArgs: [{name: v, value: "1"}]}/')


def test_an_upgrade(hosts: Hosts) -> None:
    """The first master, another one, then both workers; the API answers at the virtual address throughout, and no pod starts anew."""
    first = hosts["master1"]
    uids = f"{KUBECTL} get pods -A -o jsonpath='{{range .items[*]}}{{.metadata.uid}} {{.status.containerStatuses[*].restartCount}} {{end}}'"
    pods = must(first, uids)
    asking = f"""
        : >/root/asked.log
        while [ ! -e /root/asked.end ]; do
            for _ in 1 2 3 4; do said=$(curl -sk --max-time 5 https://{ENDPOINT}/livez) && break; sleep 0.3; done
            echo "$said" >>/root/asked.log; sleep 0.1
        done >/dev/null 2>&1 &
    """
    must(hosts["worker1"], asking)
    said = must(first, f"{PYBERNETES} upgrade apply --yes 2>&1")
    assert "etcd is as it is to be: it runs on" in said and 'was upgraded to "v1.37.0"' in said, said
    must(hosts["master2"], f"{PYBERNETES} upgrade node 2>&1")
    with ThreadPoolExecutor(2) as threads:
        for said in threads.map(
            lambda name: must(hosts[name], f"{PYBERNETES} upgrade node --skip-phases=addon 2>&1"),
            ("worker1", "worker2"),
        ):
            assert "was successfully upgraded" in said
    asked = must(hosts["worker1"], "touch /root/asked.end; sleep 0.5; sort /root/asked.log | uniq -c; rm /root/asked.*")
    assert re.fullmatch(r" *\d+ ok\n", asked), asked
    servers = "https://10.20.0.11:2379,https://10.20.0.12:2379,https://10.20.0.13:2379"
    assert "kubernetesVersion: v1.37.0" in must(first, f"{KUBECTL} -n kube-system get configmap kubeadm-config -o yaml")
    programs = must(first, "cat /etc/kubernetes/pybernetes/programs.json")
    assert f"--etcd-servers={servers}" in programs and '"--v=1"' in programs
    assert "Every file of master1 is as this pybernetes would write it" in must(first, f"{PYBERNETES} upgrade plan")
    assert len(must(first, "ls /var/lib/pybernetes/backups").split()) == 2  # the one before that failed has its own
    assert "/etc/kubernetes/pki/ca.key" in must(
        first, f"{PYBERNETES} restore $(ls -d /var/lib/pybernetes/backups/* | tail -n 1) --what=list"
    )
    until(first, uids, f"^{re.escape(pods)}$")
    until(first, f"{KUBECTL} get nodes --no-headers | grep -c ' Ready '", "^5$")


def test_a_dead_master_is_survived(hosts: Hosts) -> None:
    """The one with the virtual address: another one takes it, and writes go on."""
    masters = [host for name, host in hosts.items() if name.startswith("master")]
    holder = next(host for host in masters if f"{VIRTUAL}/" in must(host, "ip -o -4 address show dev eth0"))
    other = next(host for host in masters if host is not holder)
    must(
        holder,
        "kill -STOP $(cat /etc/kubernetes/pybernetes/programs.lock); pkill -KILL -P $(cat /etc/kubernetes/pybernetes/programs.lock)",
    )
    must(
        holder, f"ip address delete {VIRTUAL}/32 dev eth0 || true"
    )  # keepalived died without a word, and with the host its interface would have
    until(other, f"{KUBECTL} create configmap after-$RANDOM$RANDOM 2>&1", "created")
    must(holder, "kill -CONT $(cat /etc/kubernetes/pybernetes/programs.lock)")
    until(holder, "curl -sk https://127.0.0.1:6443/livez", "^ok")


def test_reset(hosts: Hosts, before: dict[str, str]) -> None:
    """Workers and masters one after the other: nothing is left of the cluster on any of them, and etcd has a member less each time."""
    with ThreadPoolExecutor(3) as threads:
        said = list(
            threads.map(
                lambda name: must(hosts[name], f"{PYBERNETES} reset --force 2>&1"), ("worker1", "worker2", "master3")
            )
        )
    said.append(must(hosts["master2"], f"{PYBERNETES} reset --force 2>&1"))
    assert ["Removed this host's member" in one for one in said] == [False, False, True, True]
    assert len(re.findall("started", must(hosts["master1"], f"{PYBERNETES} etcd members"))) == 1
    must(hosts["master1"], f"{PYBERNETES} reset --force 2>&1")
    assert {name: traces(host) for name, host in hosts.items()} == before


def test_a_balancer_on_each_node(hosts: Hosts) -> None:
    """The same hosts once more, without a virtual address: a worker's own balancer learns of a master that comes, and outlives one that goes."""
    first, second, worker = hosts["master1"], hosts["master2"], hosts["worker1"]
    must(first, f"cat >/root/init.yaml <<'END'\n{ALONE}END")
    init = f"{PYBERNETES} init --config=/root/init.yaml --balancer=nginx --balancer-on-nodes --pod-network=none --upload-certs"
    said = first(
        f"sed -i s/127.0.0.1/10.20.0.11/ /root/init.yaml; {init}; sed -i s/10.20.0.11/127.0.0.1/ /root/init.yaml"
    )[1]
    assert "want 127.0.0.1:8443" in said, said
    must(first, f"{init} >/root/init.log 2>&1")
    assert "pybernetes join 10.20.0.11:6443 " in must(first, f"{PYBERNETES} token create --print-join-command")
    must(worker, f"{PYBERNETES} {joining(hosts, False)} 2>&1")
    must(second, f"{PYBERNETES} {joining(hosts, True)} 2>&1")
    assert "server: https://127.0.0.1:8443" in must(worker, "cat /etc/kubernetes/kubelet.conf")
    until(worker, "grep max_fails /etc/pybernetes/balancer/nginx.conf", "10.20.0.11:6443 .*\n.* 10.20.0.12:6443 ")
    listening = must(worker, "ss -ltn")
    assert "127.0.0.1:8443" in listening and "0.0.0.0:8443" not in listening
    must(first, "iptables -I INPUT -p tcp --dport 6443 -j REJECT --reject-with tcp-reset")
    must(worker, "for _ in 1 2 3 4; do [ $(curl -sk --max-time 5 https://127.0.0.1:8443/livez) = ok ] || exit 1; done")
