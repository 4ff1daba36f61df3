"""The API server, the controller manager and the scheduler of a master (upstream: kubeadm app/phases/controlplane/manifests.go)."""

from __future__ import annotations

from collections.abc import Mapping

from ..configuration import KUBERNETES_DIR
from .etcd import endpoints
from .flags import command_line
from .model import ETCD, Check, Cluster, Daemon, Host

API_SERVER, CONTROLLER_MANAGER, SCHEDULER = "kube-apiserver", "kube-controller-manager", "kube-scheduler"
CONTROLLER_MANAGER_PORT, SCHEDULER_PORT = 10257, 10259


def api_server(cluster: Cluster, host: Host) -> Daemon:
    """Answers on this host's address; its etcd is this host's first, the others' where that is away."""
    configuration, init = cluster.configuration.cluster, cluster.configuration.init
    pki, port = configuration.certificates_dir, init.local_api_endpoint.bind_port
    external = configuration.etcd.external
    arguments = {
        "advertise-address": host.address,
        "allow-privileged": "true",
        "authorization-mode": "Node,RBAC",
        "client-ca-file": f"{pki}/ca.crt",
        "enable-admission-plugins": "NodeRestriction",
        "enable-bootstrap-token-auth": "true",
        "etcd-servers": ",".join(endpoints(cluster, host)),
        "kubelet-client-certificate": f"{pki}/apiserver-kubelet-client.crt",
        "kubelet-client-key": f"{pki}/apiserver-kubelet-client.key",
        "kubelet-preferred-address-types": "InternalIP,ExternalIP,Hostname",
        "proxy-client-cert-file": f"{pki}/front-proxy-client.crt",
        "proxy-client-key-file": f"{pki}/front-proxy-client.key",
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-client-ca-file": f"{pki}/front-proxy-ca.crt",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-username-headers": "X-Remote-User",
        "secure-port": str(port),
        "service-account-issuer": f"https://kubernetes.default.svc.{configuration.networking.dns_domain}",
        "service-account-key-file": f"{pki}/sa.pub",
        "service-account-signing-key-file": f"{pki}/sa.key",
        "service-cluster-ip-range": configuration.networking.service_subnet,
        "tls-cert-file": f"{pki}/apiserver.crt",
        "tls-private-key-file": f"{pki}/apiserver.key",
    }
    if external is None:
        arguments |= _etcd(f"{pki}/etcd/ca.crt", f"{pki}/apiserver-etcd-client.crt", f"{pki}/apiserver-etcd-client.key")
    elif external.ca_file:
        arguments |= _etcd(external.ca_file, external.cert_file, external.key_file)
    url = f"https://{f'[{host.address}]' if ':' in host.address else host.address}:{port}/livez"
    return Daemon(
        name=API_SERVER,
        about="the Kubernetes API, in front of etcd",
        program=API_SERVER,
        arguments=command_line(arguments, configuration.api_server.extra_args),
        ours=True,
        after=("etcd",) if ETCD in host.roles and external is None else (),
        check=Check(url=url, authority=f"{pki}/ca.crt"),
    )


def _etcd(authority: str, certificate: str, key: str) -> Mapping[str, str]:
    return {"etcd-cafile": authority, "etcd-certfile": certificate, "etcd-keyfile": key}


def controller_manager(cluster: Cluster, host: Host) -> Daemon:
    """All controllers; of several masters' one is the leader."""
    configuration = cluster.configuration.cluster
    pki, networking = configuration.certificates_dir, configuration.networking
    kubeconfig = f"{KUBERNETES_DIR}/controller-manager.conf"
    arguments = {
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": "127.0.0.1",
        "client-ca-file": f"{pki}/ca.crt",
        "cluster-name": configuration.cluster_name,
        "cluster-signing-cert-file": f"{pki}/ca.crt",
        "cluster-signing-key-file": f"{pki}/ca.key",
        "controllers": "*,bootstrapsigner,tokencleaner",
        "kubeconfig": kubeconfig,
        "leader-elect": "true",
        "requestheader-client-ca-file": f"{pki}/front-proxy-ca.crt",
        "root-ca-file": f"{pki}/ca.crt",
        "service-account-private-key-file": f"{pki}/sa.key",
        "use-service-account-credentials": "true",
    }
    if networking.pod_subnet:
        arguments |= {
            "allocate-node-cidrs": "true",
            "cluster-cidr": networking.pod_subnet,
            "service-cluster-ip-range": networking.service_subnet,
        }
    return Daemon(
        name=CONTROLLER_MANAGER,
        about="the controllers: what is asked for is brought about",
        program=CONTROLLER_MANAGER,
        arguments=command_line(arguments, configuration.controller_manager.extra_args),
        ours=True,
        after=(API_SERVER,),
        check=Check(url=f"https://127.0.0.1:{CONTROLLER_MANAGER_PORT}/healthz"),
    )


def scheduler(cluster: Cluster, host: Host) -> Daemon:
    """Gives pods their nodes; of several masters' one is the leader."""
    kubeconfig = f"{KUBERNETES_DIR}/scheduler.conf"
    arguments = {
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": "127.0.0.1",
        "kubeconfig": kubeconfig,
        "leader-elect": "true",
    }
    return Daemon(
        name=SCHEDULER,
        about="gives pods their nodes",
        program=SCHEDULER,
        arguments=command_line(arguments, cluster.configuration.cluster.scheduler.extra_args),
        ours=True,
        after=(API_SERVER,),
        check=Check(url=f"https://127.0.0.1:{SCHEDULER_PORT}/healthz"),
    )
