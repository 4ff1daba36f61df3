"""What hosts run: kubeadm's command lines and manifests, units, guides; nginx and keepalived read what is written for them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from pybernetes.deploy import types
from pybernetes.deploy.configuration import Configuration, defaulted
from pybernetes.deploy.daemons import balancer, etcd, hosts
from pybernetes.deploy.daemons.model import (
    BALANCER,
    ETCD,
    MASTER,
    WORKER,
    Balancer,
    Check,
    Cluster,
    Daemon,
    Host,
    Network,
)
from pybernetes.deploy.daemons.render import guide, staticpod, supervised, systemd

GOLDEN = Path(__file__).parents[3] / "golden" / "kubeadm" / "manifests.yaml"
# What 1.20 had: ports without TLS are no more, and members are named by the state that they join.
GONE = {"--insecure-port=0", "--port=0"}
SINCE = {"--initial-cluster-state=new"}


def configuration(**cluster: Any) -> Configuration:
    networking = types.Networking(pod_subnet="10.244.0.0/16")
    given = types.ClusterConfiguration(
        networking=networking, control_plane_endpoint="10.0.0.10:6443", **{"kubernetes_version": "v1.37.0", **cluster}
    )
    return defaulted(Configuration(types.InitConfiguration(), given), "m1", "10.0.0.11")


ONE = Host("m1", "10.0.0.11", (ETCD, MASTER), "eth0")
THREE = tuple(Host(f"m{n}", f"10.0.0.1{n}", (ETCD, MASTER, BALANCER), "eth0") for n in (1, 2, 3))
WORKERS = tuple(Host(f"w{n}", f"10.0.0.2{n}", (WORKER,), "eth0") for n in (1, 2))


def alone(**cluster: Any) -> Cluster:
    return Cluster(configuration(**cluster), (ONE,))


def available(**balancer_settings: Any) -> Cluster:
    settings = {"port": 8443, "virtual_address": "10.0.0.10", **balancer_settings}
    return Cluster(configuration(), (*THREE, *WORKERS), Balancer(**settings))


def by_name(cluster: Cluster, host: Host) -> dict[str, Daemon]:
    return {daemon.name: daemon for daemon in hosts.daemons(cluster, host)}


@pytest.mark.parametrize("name", ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"])
def test_command_lines_are_kubeadms(name: str) -> None:
    recorded = yaml.safe_load(GOLDEN.read_text())[f"{name}.yaml"]
    daemon = by_name(alone(), ONE)[name]
    told = set(daemon.arguments)
    wanted = {
        argument.replace("https://127.0.0.1:2379", "https://10.0.0.11:2379") for argument in recorded["command"][1:]
    }
    if name == "etcd":
        wanted = set(recorded["command"][1:])
    assert told - SINCE == wanted - GONE
    assert list(daemon.arguments) == sorted(daemon.arguments, key=lambda argument: argument.partition("=")[0])


@pytest.mark.parametrize("name", ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"])
def test_manifests_are_kubeadms(name: str) -> None:
    recorded = yaml.safe_load(GOLDEN.read_text())[f"{name}.yaml"]
    cluster = alone()
    file = staticpod.manifest(cluster, ONE, by_name(cluster, ONE)[name], "pybernetes:1")
    assert (file.path, file.mode) == (f"/etc/kubernetes/manifests/{name}.yaml", 0o600)
    pod = yaml.safe_load(file.text)
    container, metadata = pod["spec"]["containers"][0], pod["metadata"]
    assert container["command"][:1] == ["etcd"] if name == "etcd" else ["pybernetes", name]
    for probe in ("livenessProbe", "startupProbe", "readinessProbe"):
        assert container.get(probe) == recorded[probe]
    volumes = [{v["name"]: v["hostPath"]} for v in pod["spec"]["volumes"]]
    assert volumes == recorded["volumes"]
    assert metadata["labels"] == recorded["metadata"]["labels"]
    assert metadata.get("annotations") == recorded["metadata"].get("annotations")
    assert (pod["spec"]["hostNetwork"], pod["spec"]["priorityClassName"]) == (True, "system-node-critical")


def test_what_a_configuration_adds_takes_the_place_of_a_default() -> None:
    more = [types.Arg(name="v", value="2"), types.Arg(name="secure-port", value="7443"), types.Arg(name="v", value="3")]
    told = by_name(alone(api_server=types.APIServer(extra_args=more)), ONE)["kube-apiserver"].arguments
    assert [one for one in told if one.startswith(("--v=", "--secure-port"))] == [
        "--secure-port=7443",
        "--v=2",
        "--v=3",
    ]


def test_who_runs_what() -> None:
    cluster = available()
    assert list(by_name(cluster, THREE[0])) == [
        *("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "nginx", "keepalived", "balancer"),
        *("kubelet", "kube-proxy", "flanneld", "kube-network-policies"),
    ]
    assert list(by_name(cluster, WORKERS[0])) == ["kubelet", "kube-proxy", "flanneld", "kube-network-policies"]
    each = available(on_nodes=True, virtual_address="")
    assert list(by_name(each, WORKERS[0])) == [
        *("nginx", "balancer", "kubelet", "kube-proxy", "flanneld", "kube-network-policies")
    ]
    assert "--on-nodes=true" in by_name(each, WORKERS[0])["balancer"].arguments
    apart = Cluster(configuration(), (Host("b", "10.0.0.5", (BALANCER,), "eth0"),), Balancer(kind="haproxy"))
    assert list(by_name(apart, apart.hosts[0])) == ["haproxy"]
    plain = Cluster(configuration(proxy=types.Proxy(disabled=True)), (WORKERS[0],), network=Network("", policies=False))
    assert list(by_name(plain, WORKERS[0])) == ["kubelet"]
    external = types.Etcd(
        external=types.ExternalEtcd(endpoints=["https://e:2379"], ca_file="/a", cert_file="/c", key_file="/k")
    )
    other = by_name(alone(etcd=external), ONE)
    assert "etcd" not in other
    assert {"--etcd-servers=https://e:2379", "--etcd-cafile=/a", "--etcd-keyfile=/k"} <= set(
        other["kube-apiserver"].arguments
    )


def test_every_member_knows_the_others_and_every_api_server_all_members() -> None:
    cluster = available()
    second = by_name(cluster, THREE[1])
    together = "m1=https://10.0.0.11:2380,m2=https://10.0.0.12:2380,m3=https://10.0.0.13:2380"
    assert f"--initial-cluster={together}" in second["etcd"].arguments
    servers = "https://10.0.0.12:2379,https://10.0.0.11:2379,https://10.0.0.13:2379"
    assert f"--etcd-servers={servers}" in second["kube-apiserver"].arguments
    joining = etcd.etcd(cluster, THREE[1], THREE[:2], etcd.EXISTING)
    assert "--initial-cluster-state=existing" in joining.arguments
    assert not any("m3=" in argument for argument in joining.arguments)


def test_a_member_keeps_the_beginning_that_its_unit_tells() -> None:
    """Members that came since would change nothing, and cost a start; all else follows the description."""
    cluster = available()
    joined = etcd.etcd(cluster, THREE[1], THREE[:2], etcd.EXISTING)
    told = systemd.arguments(systemd.unit(joined).text)
    assert told == list(joined.arguments)
    now = by_name(cluster, THREE[1])["etcd"]
    assert etcd.begun(now, told).arguments == joined.arguments != now.arguments
    assert etcd.begun(now, ()) == now
    odd = Daemon(name="x", about="", program="x", arguments=("--a=100%", "--b=$HOME", "--c=d e"))
    assert systemd.arguments(systemd.unit(odd).text) == list(odd.arguments)


def test_the_virtual_address_goes_to_one_host_after_the_other() -> None:
    cluster = available(virtual_address="10.0.0.10/24", router_id=7)
    texts = [by_name(cluster, host)["keepalived"].files[0].text for host in THREE]
    assert ["priority 200" in text for text in texts] == [True, False, False]
    assert "priority 199" in texts[1] and "virtual_router_id 7" in texts[1]
    assert "        10.0.0.11\n        10.0.0.13\n" in texts[1]
    assert all("        10.0.0.10/24 dev eth0\n" in text for text in texts)
    assert by_name(cluster, THREE[0])["keepalived"].files[1].mode == 0o755


def test_units_of_systemd() -> None:
    daemon = by_name(available(), WORKERS[0])["flanneld"]
    file = systemd.unit(daemon)
    assert file.path == "/etc/systemd/system/flanneld.service"
    assert 'Environment="NODE_NAME=w1"' in file.text
    assert "After=network-online.target kubelet.service" in file.text
    assert "ExecStart=/usr/local/bin/pybernetes \\\n  flanneld \\\n  --healthz-ip=127.0.0.1" in file.text
    odd = Daemon(name="x", about="", program="x", arguments=("100%", "$HOME", "a b", 'say "hi"', "", "C:\\d"))
    line = next(
        line for line in systemd.unit(odd).text.replace(" \\\n  ", " ").splitlines() if line.startswith("ExecStart")
    )
    assert line == 'ExecStart=x 100%% $$HOME "a b" "say \\"hi\\"" "" "C:\\\\d"'
    kubelet = systemd.unit(by_name(available(), WORKERS[0])["kubelet"]).text
    assert "KillMode=process" in kubelet


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
def test_systemd_reads_the_units(tmp_path: Path) -> None:
    for daemon in hosts.daemons(available(), THREE[0]):
        path = tmp_path / f"{daemon.name}.service"
        path.write_text(systemd.unit(daemon, ("/bin/true",)).text)
        done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True)
        assert "Unknown" not in done.stderr and "Invalid" not in done.stderr


def test_a_guide_shows_everything() -> None:
    cluster = available()
    text = guide.host_guide(cluster, THREE[0], hosts.daemons(cluster, THREE[0]))
    assert text.startswith("# m1 (10.0.0.11): etcd, master, balancer\n")
    for wanted in (
        "## etcd\n",
        "pybernetes kube-apiserver \\\n  --advertise-address=10.0.0.11 \\\n",
        "/etc/pybernetes/balancer/nginx.conf (mode 0644):",
        "        10.0.0.10/32 dev eth0\n",
        "NODE_NAME=m1 \\\npybernetes flanneld \\\n",
        "Well when https://10.0.0.11:6443/livez answers 200.",
        "Runs after kube-apiserver.",
    ):
        assert wanted in text


def test_the_supervisors_file_is_read_as_it_was_written() -> None:
    described = supervised.programs(hosts.daemons(available(), THREE[0]))
    assert supervised.parse(supervised.text(described)) == described
    first, second = described.programs[:2]
    assert (first.name, first.ours, first.argv[0]) == ("etcd", False, "etcd")
    assert (second.name, second.ours, second.argv[0]) == ("kube-apiserver", True, "kube-apiserver")
    with pytest.raises(msgspec.ValidationError):
        supervised.parse(b'{"programs": [{"name": 1}]}')


SERVERS, LISTENS = ("10.0.0.11:6443", "[fd00::2]:6443"), ("127.0.0.1:8443", "[::1]:8443")


@pytest.mark.skipif(not shutil.which("nginx"), reason="no nginx here")
def test_nginx_takes_its_file(tmp_path: Path) -> None:
    daemon = balancer.nginx(SERVERS, LISTENS, Check())
    text = daemon.files[0].text.replace("/run/pybernetes", str(tmp_path))
    if not Path("/usr/lib/nginx/modules/ngx_stream_module.so").exists():
        pytest.skip("no libnginx-mod-stream here")
    (tmp_path / "nginx.conf").write_text(text)
    done = subprocess.run(["nginx", "-t", "-c", str(tmp_path / "nginx.conf")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not shutil.which("haproxy"), reason="no haproxy here")
def test_haproxy_takes_its_file(tmp_path: Path) -> None:
    (tmp_path / "haproxy.cfg").write_text(balancer.haproxy(SERVERS, LISTENS, Check()).files[0].text)
    done = subprocess.run(["haproxy", "-c", "-f", str(tmp_path / "haproxy.cfg")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


LINKS = sorted(path.name for path in Path("/sys/class/net").iterdir() if path.name != "lo")


@pytest.mark.skipif(not shutil.which("keepalived") or not LINKS, reason="no keepalived, or no interface, here")
def test_keepalived_takes_its_file(tmp_path: Path) -> None:
    daemon = by_name(Cluster(configuration(), (*THREE, *WORKERS), Balancer(virtual_address="10.0.0.10")), THREE[0])[
        "keepalived"
    ]
    config, script = daemon.files
    (tmp_path / "check").write_text(script.text)
    (tmp_path / "check").chmod(script.mode)
    text = config.text.replace(script.path, str(tmp_path / "check")).replace("eth0", LINKS[0])
    (tmp_path / "keepalived.conf").write_text(text)
    done = subprocess.run(
        ["keepalived", "--config-test", "-f", str(tmp_path / "keepalived.conf")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr + done.stdout
