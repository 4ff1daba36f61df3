"""The hosts of a file become a cluster: from nothing, cut off in the middle, again, and with another setting."""

from __future__ import annotations

import re
import time

from tests.hosts import Host

PYBERNETES = "/opt/pybernetes/.venv/bin/python -m pybernetes"
DEPLOY = f"{PYBERNETES} deploy /root/cluster.yaml"
FILE = """\
apiVersion: pybernetes.io/v1alpha1
kind: Cluster
hosts:
- {name: master1, address: 10.20.0.11, roles: [master]}
- {name: worker1, address: 10.20.0.21, roles: [worker], labels: {zone: a}}
balancer: {virtualAddress: 10.20.0.10}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
encryptionAlgorithm: ECDSA-P256
"""
OTHER = f"{FILE}apiServer: {{extraArgs: [{{name: v, value: '1'}}]}}\n"
NODES = """\
p=/etc/kubernetes/pki; k=$p/apiserver-kubelet-client
curl -fsS --cacert $p/ca.crt --cert $k.crt --key $k.key https://10.20.0.10:8443/api/v1/nodes
"""
# Killed when the authority is there and init is not at its end: what runs on the host goes on without anybody who listens.
CUT = f"""\
{DEPLOY} >/root/cut.log 2>&1 &
until ssh 10.20.0.11 test -e /etc/kubernetes/pki/ca.crt; do sleep 0.1; done
kill -KILL $!
ssh 10.20.0.11 cat /etc/kubernetes/pybernetes/host.json
"""
SECRET = re.compile(r"PRIVATE KEY|\b[a-z0-9]{6}\.[a-z0-9]{16}\b|[cC]ertificate-?[kK]ey[=: ]+[0-9a-f]{64}|eyJhbGciOi")
NOTHING = "Nothing to do: every host is as the file describes it."


ADD_ONS = FILE.replace("---", "addons: {loadBalancer: true, addressPool: [10.20.0.64/30], ingress: true}\n---")
KUBECTL = "KUBECONFIG=/etc/kubernetes/admin.conf kubectl"
SHOP = """\
apiVersion: v1
kind: Pod
metadata: {name: shop, labels: {app: shop}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: web
    image: pybernetes:local
    imagePullPolicy: Never
    command: [sh, -c, 'mkdir /www; echo apples >/www/index.html; exec busybox httpd -f -p 8080 -h /www']
    readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {type: LoadBalancer, selector: {app: shop}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  ingressClassName: nginx
  rules: [{host: shop.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}]}}]
"""


def write(desk: Host, text: str) -> None:
    code, output = desk(f"cat >/root/cluster.yaml <<'END'\n{text}END")
    assert code == 0, output


def last_line(output: str) -> str:
    return output.splitlines()[-1]


def test_a_plan_changes_nothing(hosts: dict[str, Host]) -> None:
    write(hosts["desk"], FILE)
    code, guide = hosts["desk"](f"{DEPLOY} --dry-run")
    assert code == 0 and "/etc/systemd/system/kube-apiserver.service" in guide, guide
    assert not SECRET.findall(guide)
    for name in ("master1", "worker1"):
        code, output = hosts[name]("ls -d /opt/pybernetes/current /etc/kubernetes/* /var/lib/pybernetes/deploy")
        assert not [line for line in output.splitlines() if "No such file" not in line], output


def test_cut_off_in_the_middle(hosts: dict[str, Host]) -> None:
    code, output = hosts["desk"](CUT, 60)
    assert code == 0 and '"complete": true' not in output, output


def test_the_same_command_goes_on(hosts: dict[str, Host]) -> None:
    code, output = hosts["desk"](DEPLOY, 240)
    assert code == 0 and "master1: bring" not in output, output
    assert "changes, host by host" not in output, "what init and join have made is not what the plan wants"
    code, output = hosts["master1"](NODES)
    assert code == 0 and re.findall(r'"zone":\s*"(\w+)"', output) == ["a"], output
    assert len(re.findall(r'"type":\s*"Ready"', output)) == 2


def test_there_is_nothing_to_do_then(hosts: dict[str, Host]) -> None:
    code, output = hosts["desk"](DEPLOY)
    assert (code, last_line(output)) == (0, NOTHING), output
    code, tokens = hosts["master1"]("pybernetes token list")
    assert code == 0 and "deploy:" not in tokens, tokens


def until(host: Host, script: str, shows: str, seconds: float = 60.0) -> str:
    """The output, as soon as the pattern is in it."""
    end = time.monotonic() + seconds
    while True:
        output = host(script)[1]
        if re.search(shows, output):
            return output
        assert time.monotonic() < end, f"{host.name}: {script}\nwant {shows}, last:\n{output}"
        time.sleep(0.3)


def test_ways_into_the_cluster_are_switched_on_and_off(hosts: dict[str, Host]) -> None:
    """The add-ons of a file, in a cluster that runs: who is outside of it gets a page by an address of the pool, and by the node's nginx."""
    desk, master = hosts["desk"], hosts["master1"]
    write(desk, ADD_ONS)
    code, guide = desk(f"{DEPLOY} --dry-run")
    assert code == 0 and "image --load --contents=pybernetes-ingress" in guide and "init phase addon further" in guide
    code, output = desk(DEPLOY, 180)
    assert code == 0 and "worker1: pack pybernetes-ingress" in output, output
    code, output = master(f"{KUBECTL} apply -f - <<'END'\n{SHOP}END")
    assert code == 0, output
    try:
        until(desk, "curl -s --max-time 2 http://10.20.0.64/", "^apples")
        until(desk, "curl -s --max-time 2 -H 'Host: shop.example' http://10.20.0.21/", "^apples")
        until(master, f"{KUBECTL} get ingress shop", r"shop\.example +10\.20\.0\.21 ")
    except AssertionError as error:
        seen = master(
            f"{KUBECTL} get pods -A -o wide; {KUBECTL} get events -A; {KUBECTL} -n kube-system logs -l app=nginx-ingress-controller"
        )
        raise AssertionError(f"{error}\n{seen[1]}") from error
    pods = f"{KUBECTL} -n kube-system get pods -l 'app in (service-load-balancer, nginx-ingress-controller)'"
    where = f"{pods} -o jsonpath='{{.items[*].spec.nodeName}}'"
    assert master(where)[1].split() == ["worker1", "worker1"]  # not where a taint keeps users' pods away
    assert desk(DEPLOY)[1].splitlines()[-1] == NOTHING
    master(f"{KUBECTL} delete service,ingress,pod shop")
    write(desk, FILE)
    code, output = desk(DEPLOY)
    assert code == 0, output
    until(master, f"{pods} -o name | wc -l", "^0")
    assert desk("curl -s --max-time 2 http://10.20.0.21/")[0] == 7


def test_a_setting_is_changed_where_it_matters(hosts: dict[str, Host]) -> None:
    desk, master = hosts["desk"], hosts["master1"]
    write(desk, OTHER)
    code, guide = desk(f"{DEPLOY} --dry-run")
    assert code == 0 and "+  --v=1" in guide and "worker1" not in guide, guide
    assert not SECRET.findall(guide), "the hosts have keys and tokens by now"
    code, output = desk(DEPLOY)
    assert code == 0, output
    code, output = master("cat /proc/*/cmdline | tr '\\0' ' ' | grep -c 'kube-apiserver.*--v=1 '")
    assert code == 0, output
    code, output = desk(DEPLOY)
    assert (code, last_line(output)) == (0, NOTHING), output


def test_a_change_by_hand_is_taken_back(hosts: dict[str, Host]) -> None:
    desk, worker = hosts["desk"], hosts["worker1"]
    code, output = worker("echo '# mine' >>/etc/systemd/system/kube-proxy.service; systemctl stop flanneld")
    assert code == 0, output
    code, output = desk(DEPLOY)
    assert code == 0, output
    assert "worker1: write /etc/systemd/system/kube-proxy.service; start kube-proxy" in output
    assert "worker1: start flanneld" in output and "kubelet" not in output, output
    assert worker("systemctl is-active kubelet kube-proxy flanneld") == (0, "active\n" * 3)


def test_another_version(hosts: dict[str, Host]) -> None:
    """What an older release told the cluster: a backup first, the cluster's memory and add-ons at the end; then it is as any other."""
    desk, master = hosts["desk"], hosts["master1"]
    older = (
        "sed -i 's/kubernetesVersion: .*/kubernetesVersion: {}/' /etc/pybernetes/init.yaml && cd /etc/pybernetes && "
    )
    upload = "pybernetes init phase upload-config kubeadm --config=init.yaml"
    code, output = master(f"{older.format('v1.35.0')}true")
    code, output = desk(DEPLOY)
    assert code == 1 and "an upgrade goes only 1 minor version at a time" in output, output
    code, output = master(older.format("v1.36.4") + upload)
    assert code == 0, output
    code, output = desk(DEPLOY, 120)
    assert code == 0 and "rights and add-ons: it is v1.37.0" in output, output
    code, output = master("pybernetes restore /var/lib/pybernetes/backups/before-v1.37.0.tar.gz --what=list")
    assert code == 0 and "\netcd" in output and "/etc/kubernetes/pki/ca.key" in output, output
    code, output = master("pybernetes upgrade plan")
    assert code == 0 and "Cluster version: v1.37.0" in output, output
    code, output = desk(DEPLOY)
    assert (code, last_line(output)) == (0, NOTHING), output


def test_a_host_that_cannot_be_reached_is_named(hosts: dict[str, Host]) -> None:
    desk, worker = hosts["desk"], hosts["worker1"]
    desk("cp /root/.ssh/config /root/.ssh/config.before")
    refused = worker("mv /root/.ssh/authorized_keys /root/.ssh/away")
    assert refused[0] == 0
    try:
        code, output = desk(DEPLOY)
        assert code == 1 and "permission denied to root" in output and "--limit=master1" in output, output
        code, output = desk(f"{DEPLOY} --limit=master1")
        assert (code, last_line(output)) == (0, NOTHING), output
        code, output = desk(
            "printf 'UserKnownHostsFile /root/none\\nStrictHostKeyChecking yes\\n' >/root/.ssh/config; "
            f"{DEPLOY} --limit=master1"
        )
        assert code == 1 and "its host key is not known here" in output, output
    finally:
        worker("mv /root/.ssh/away /root/.ssh/authorized_keys")
        desk("mv /root/.ssh/config.before /root/.ssh/config")
