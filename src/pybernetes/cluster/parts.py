"""The parts of a cluster as data: which processes run, and their command lines."""

from __future__ import annotations

from pybernetes.loadbalancer.options import OF_NGINX, RESERVED

from .layout import Layout
from .settings import ClusterConfig
from .supervisor import Part

# What every part uses: loaded once by the supervisor, shared by all of its forks.
PRELOAD = (
    "asyncio",
    "uvloop",
    "ssl",
    "httptools",
    "msgspec",
    "yaml",
    "cryptography.x509",
    "cryptography.hazmat.primitives.serialization",
    "pybernetes.component.command",
    "pybernetes.component.serving",
    "pybernetes.client.rest",
    "pybernetes.client.informer",
    "pybernetes.client.kubeconfig",
    "pybernetes.client.leaderelection",
    "pybernetes.api.types",
    "pybernetes.api.types.core_v1",
)
DOCKERD = (
    "--exec-opt=native.cgroupdriver=cgroupfs",
    "--live-restore",  # a restart of the daemon ends no container
    "--bridge=none",  # pods get their interfaces from the kubelet; nothing of Docker's is left on the host
    "--iptables=false",
    "--ip-forward=false",
    "--log-opt=max-size=10m",
    "--log-opt=max-file=3",
)


def parts(layout: Layout, settings: ClusterConfig) -> list[Part]:
    """In the order of their start; the first one is stopped last."""
    chosen = [
        kube_apiserver(layout, settings),
        kube_controller_manager(layout, settings),
        kube_scheduler(layout, settings),
    ]
    if settings.own_docker:
        chosen.insert(0, Part("dockerd", arguments=("-H", settings.docker, *DOCKERD), program="dockerd"))
    if settings.hollow:
        return [*chosen, hollow_kubelet(layout, settings)]
    chosen += [kubelet(layout, settings), kube_proxy(layout, settings)]
    if settings.runs_network_policies:
        chosen.append(kube_network_policies(layout, settings))
    if settings.runs_load_balancer:
        chosen.append(service_load_balancer(layout, settings))
    if settings.runs_ingress:
        chosen.append(nginx_ingress_controller(layout, settings))
    return chosen


def kube_apiserver(layout: Layout, settings: ClusterConfig) -> Part:
    pki = layout.pki
    return Part(
        "kube-apiserver",
        "pybernetes.cli.apiserver",
        (
            f"--store=sqlite:{layout.database}",
            f"--secure-port={settings.port}",
            f"--advertise-address={settings.addresses[0]}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--anonymous-auth=false",
            "--allow-privileged=true",
            "--enable-bootstrap-token-auth=true",
            f"--client-ca-file={pki}/ca.crt",
            f"--tls-cert-file={pki}/apiserver.crt",
            f"--tls-private-key-file={pki}/apiserver.key",
            f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
            f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
            f"--kubelet-certificate-authority={pki}/ca.crt",
            "--kubelet-preferred-address-types=InternalIP,Hostname",
            f"--service-account-issuer=https://kubernetes.default.svc.{settings.domain}",
            f"--service-account-key-file={pki}/sa.pub",
            f"--service-account-signing-key-file={pki}/sa.key",
            f"--service-cluster-ip-range={settings.service_cidr}",
            f"--proxy-client-cert-file={pki}/front-proxy-client.crt",
            f"--proxy-client-key-file={pki}/front-proxy-client.key",
            f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-username-headers=X-Remote-User",
        ),
    )


def kube_controller_manager(layout: Layout, settings: ClusterConfig) -> Part:
    pki = layout.pki
    config = layout.kubeconfig("controller-manager")
    return Part(
        "kube-controller-manager",
        "pybernetes.cli.controllermanager",
        (
            f"--kubeconfig={config}",
            f"--authentication-kubeconfig={config}",
            f"--authorization-kubeconfig={config}",
            "--bind-address=127.0.0.1",
            f"--secure-port={settings.controller_manager_port}",
            f"--tls-cert-file={pki}/controller-manager.crt",
            f"--tls-private-key-file={pki}/controller-manager.key",
            f"--client-ca-file={pki}/ca.crt",
            f"--root-ca-file={pki}/ca.crt",
            f"--cluster-signing-cert-file={pki}/ca.crt",
            f"--cluster-signing-key-file={pki}/ca.key",
            f"--service-account-private-key-file={pki}/sa.key",
            "--use-service-account-credentials=true",
            "--allocate-node-cidrs=true",
            f"--cluster-cidr={settings.pod_cidr}",
            f"--service-cluster-ip-range={settings.service_cidr}",
            "--controllers=*,bootstrapsigner,tokencleaner",
        ),
    )


def kube_scheduler(layout: Layout, settings: ClusterConfig) -> Part:
    pki = layout.pki
    config = layout.kubeconfig("scheduler")
    return Part(
        "kube-scheduler",
        "pybernetes.cli.scheduler",
        (
            f"--kubeconfig={config}",
            f"--authentication-kubeconfig={config}",
            f"--authorization-kubeconfig={config}",
            "--bind-address=127.0.0.1",
            f"--secure-port={settings.scheduler_port}",
            f"--tls-cert-file={pki}/scheduler.crt",
            f"--tls-private-key-file={pki}/scheduler.key",
            f"--client-ca-file={pki}/ca.crt",
        ),
    )


def kubelet(layout: Layout, settings: ClusterConfig) -> Part:
    pki = layout.pki
    return Part(
        "kubelet",
        "pybernetes.cli.kubelet",
        (
            f"--kubeconfig={layout.kubeconfig('kubelet')}",
            f"--hostname-override={settings.node_name}",
            f"--node-ip={settings.addresses[0]}",
            f"--root-dir={layout.kubelet}",
            f"--docker-endpoint={settings.docker}",
            f"--healthz-port={settings.kubelet_health_port}",
            f"--client-ca-file={pki}/ca.crt",
            f"--tls-cert-file={pki}/kubelet.crt",
            f"--tls-private-key-file={pki}/kubelet.key",
            "--anonymous-auth=false",
            "--authorization-mode=Webhook",
            f"--cluster-dns={settings.dns_ip}",
            f"--cluster-domain={settings.domain}",
            *_network(settings),
        ),
    )


def _network(settings: ClusterConfig) -> tuple[str, ...]:
    if not settings.uses_cni:
        return (f"--non-masquerade-cidr={settings.pod_cidr}",)
    places = f"--cni-conf-dir={settings.cni_conf_dir}", f"--cni-bin-dir={','.join(settings.cni_bin_dir)}"
    return ("--network-plugin=cni", *places)


def hollow_kubelet(layout: Layout, settings: ClusterConfig) -> Part:
    """Nodes whose pods run without containers; they share one user, who may act for all of them."""
    return Part(
        "kubelet",
        "pybernetes.cli.kubelet",
        (
            f"--kubeconfig={layout.kubeconfig('admin')}",
            "--runtime=hollow",
            "--address=127.0.0.1",
            "--node-ip=127.0.0.1",
            f"--client-ca-file={layout.pki}/ca.crt",
            f"--tls-cert-file={layout.pki}/kubelet.crt",
            f"--tls-private-key-file={layout.pki}/kubelet.key",
            f"--hollow-nodes={settings.hollow_nodes}",
            f"--hostname-override={settings.node_name}",
            f"--healthz-port={settings.kubelet_health_port}",
        ),
    )


def kube_proxy(layout: Layout, settings: ClusterConfig) -> Part:
    return Part(
        "kube-proxy",
        "pybernetes.cli.proxy",
        (
            f"--kubeconfig={layout.kubeconfig('kube-proxy')}",
            f"--hostname-override={settings.node_name}",
            f"--cluster-cidr={settings.pod_cidr}",
            "--proxy-mode=iptables",
            "--iptables-min-sync-period=100ms",  # a sync is cheap: a Service works as soon as its pods are ready
        ),
    )


def kube_network_policies(layout: Layout, settings: ClusterConfig) -> Part:
    return Part(
        "kube-network-policies",
        "pybernetes.cli.networkpolicies",
        (
            f"--kubeconfig={layout.kubeconfig('kube-network-policies')}",
            f"--hostname-override={settings.node_name}",
            f"--metrics-bind-address=127.0.0.1:{settings.network_policies_port}",
        ),
    )


def service_load_balancer(layout: Layout, settings: ClusterConfig) -> Part:
    return Part(
        "service-load-balancer",
        "pybernetes.cli.serviceloadbalancer",
        (
            f"--kubeconfig={layout.kubeconfig('service-load-balancer')}",
            f"--hostname-override={settings.node_name}",
            f"--metrics-bind-address=127.0.0.1:{settings.load_balancer_port}",
            f"--address-pool={','.join(settings.address_pool)}",
            # The API server's port may be another one here than what no service gets anyway.
            f"--reserved-ports={','.join(dict.fromkeys([*RESERVED, str(settings.port), *_of_nginx(settings)]))}",
        ),
    )


def _of_nginx(settings: ClusterConfig) -> tuple[str, ...]:
    return tuple(OF_NGINX) if settings.runs_ingress else ()


def nginx_ingress_controller(layout: Layout, settings: ClusterConfig) -> Part:
    return Part(
        "nginx-ingress-controller",
        "pybernetes.cli.nginxingress",
        (
            f"--kubeconfig={layout.kubeconfig('nginx-ingress-controller')}",
            f"--publish-status-address={settings.addresses[0]}",
            f"--healthz-port={settings.ingress_port}",
            "--sync-rate-limit=1",  # a reading of a small cluster's configuration is cheap
        ),
    )
