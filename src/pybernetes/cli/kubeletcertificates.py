"""The certificates of `pybernetes kubelet` by its flags: which credentials it begins with, what serves its port, what is renewed."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pybernetes.aio.clock import Clock, RealClock
from pybernetes.component import tlsflags
from pybernetes.component.command import Failure, UsageError
from pybernetes.kubelet.options import KubeletConfiguration

if TYPE_CHECKING:
    import ssl

    from pybernetes.client.kubeconfig import Config
    from pybernetes.client.rest import RESTClient
    from pybernetes.client.types import Client
    from pybernetes.component.metrics import Registry
    from pybernetes.kubelet.certificate.manager import CertificateManager
    from pybernetes.kubelet.certificate.store import FileStore
    from pybernetes.pki.certificates import Leaf

_log = logging.getLogger(__name__)

SERVER_SECONDS = 60.0  # for the API server to come up before the first certificate is asked for


def directory(chosen: KubeletConfiguration) -> Path:
    """--cert-dir."""
    return Path(chosen["cert-dir"] or f"{chosen.options.root_dir}/pki")


async def client_config(chosen: KubeletConfiguration, clock: Clock | None = None) -> Config:
    """How the API server is reached; by TLS bootstrap where --kubeconfig is of no use any more. UsageError, Failure."""
    from pybernetes.client.kubeconfig import ConfigError, load
    from pybernetes.kubelet.certificate import bootstrap

    kubeconfig, clock = Path(chosen["kubeconfig"]), clock or RealClock()
    try:
        reason = bootstrap.needed(kubeconfig, clock) if chosen["bootstrap-kubeconfig"] else ""
        if reason:
            _log.info("TLS bootstrap with %s: %s", chosen["bootstrap-kubeconfig"], reason)
            await _bootstrap(chosen, load(chosen["bootstrap-kubeconfig"]), clock)
        return load(kubeconfig)
    except ConfigError as error:
        raise UsageError(str(error)) from error


async def _bootstrap(chosen: KubeletConfiguration, config: Config, clock: Clock) -> None:
    from pybernetes.client.rest import RESTClient
    from pybernetes.kubelet.certificate import bootstrap
    from pybernetes.kubelet.certificate.signing import SigningError
    from pybernetes.kubelet.certificate.store import StoreError

    client = RESTClient(config, "kubelet-bootstrap", clock=clock)
    try:
        with contextlib.suppress(TimeoutError):
            async with clock.timeout(SERVER_SECONDS):
                await client.wait_ready()
        await bootstrap.first_certificate(client, clock, directory(chosen), chosen.options.hostname_override)
        pair = bootstrap.store(directory(chosen)).current_path
        bootstrap.write_kubeconfig(Path(chosen["kubeconfig"]), config, pair)
    except (SigningError, StoreError, OSError) as error:
        raise Failure(f"TLS bootstrap with {chosen['bootstrap-kubeconfig']}: {error}") from error
    finally:
        await client.close()


def serving_context(chosen: KubeletConfiguration, clock: Clock | None = None) -> ssl.SSLContext:
    """Of the HTTPS port: a certificate that is given, that the cluster signs, or one that is made here. UsageError, Failure."""
    from pybernetes.kubelet.selfsigned import serving_files
    from pybernetes.pki.contexts import ServerContext

    options, clock = chosen.options, clock or RealClock()
    certificate, key = Path(chosen["tls-cert-file"]), Path(chosen["tls-private-key-file"])
    authorities = [Path(chosen["client-ca-file"])] if chosen["client-ca-file"] else []
    policy = tlsflags.policy(chosen.values)
    try:
        if chosen["rotate-server-certificates"]:
            return ServerContext(
                serving_store(chosen).current_path, authorities=authorities, awaited=True, policy=policy
            )
        if not chosen["tls-cert-file"]:
            name = options.hostname_override
            certificate, key = serving_files(directory(chosen), name, options.node_ip, clock.now())
        return ServerContext(certificate, key, authorities, policy=policy)
    except OSError as error:  # ssl.SSLError is one
        raise Failure(f"--port={options.port}: {error.strerror or error}") from error


def serving_store(chosen: KubeletConfiguration) -> FileStore:
    """Where the serving certificate lies that the cluster signs."""
    from pybernetes.kubelet.certificate.store import FileStore

    return FileStore(directory(chosen), "kubelet-server")


def managers(
    chosen: KubeletConfiguration, client: RESTClient, clock: Clock | None = None, registry: Registry | None = None
) -> list[CertificateManager]:
    """What renews certificates while the kubelet runs: its own of the API server, that of its port, as the flags say."""
    from pybernetes.component.metrics import Registry
    from pybernetes.kubelet.certificate import bootstrap, plan
    from pybernetes.kubelet.certificate.manager import CertificateManager
    from pybernetes.kubelet.certificate.metrics import CertificateMetrics

    clock, options, result = clock or RealClock(), chosen.options, []
    metrics = CertificateMetrics(registry or Registry(), clock.now)
    node = options.hostname_override
    own = bootstrap.store(directory(chosen))
    if chosen["rotate-certificates"] and client.config.certificate_file == own.current_path:
        chooser = _Requesters(chosen["bootstrap-kubeconfig"], client, clock)
        template = plan.client_template(node)
        failed = metrics.client(own)
        manager = CertificateManager(
            own, template, chooser.client_for, clock, lambda _: client.credentials_changed(), failed
        )
        result.append(manager)
    serving = plan.serving_template(node, [node], options.node_ip)
    if chosen["rotate-server-certificates"] and options.port and serving is not None:
        if chosen["tls-cert-file"]:
            _log.warning("--tls-cert-file has no effect: with --rotate-server-certificates the cluster signs one")
        requesters = _Requesters("", client, clock)
        store = serving_store(chosen)
        failed, renewed = metrics.server(store)
        result.append(CertificateManager(store, serving, requesters.client_for, clock, renewed, failed))
    return result


async def watched(
    chosen: KubeletConfiguration, managers: Sequence[CertificateManager], clock: Clock | None = None
) -> None:
    """Until cancelled; Failure where the kubelet's own certificate has ended and a server is there that gives it no other."""
    from pybernetes.kubelet.certificate import bootstrap, watchdog

    path = bootstrap.store(directory(chosen)).current_path
    manager = next((one for one in managers if one.store.current_path == path), None)
    if manager is None:
        return  # it is not renewed here
    try:
        await watchdog.watch(manager.store, clock or RealClock(), lambda: manager.responsive)
    except watchdog.NoCertificateError as error:
        raise Failure(str(error)) from error


class _Requesters:
    """Who asks for the next certificate: the kubelet itself, or, where its own ended while the machine slept, the bootstrap user."""

    def __init__(self, kubeconfig: str, own: RESTClient, clock: Clock) -> None:
        self._kubeconfig, self._own, self._clock = kubeconfig, own, clock

    @contextlib.asynccontextmanager
    async def client_for(self, leaf: Leaf | None) -> AsyncIterator[Client]:
        """ConfigError where --bootstrap-kubeconfig is needed and of no use."""
        from pybernetes.client.kubeconfig import load
        from pybernetes.client.rest import RESTClient
        from pybernetes.kubelet.certificate.plan import unusable

        reason = unusable(leaf, self._clock.now()) if self._kubeconfig else ""
        if not reason:
            yield self._own
            return
        _log.warning("TLS bootstrap with %s: the client certificate cannot be used: %s", self._kubeconfig, reason)
        client = RESTClient(load(self._kubeconfig), "kubelet-bootstrap", clock=self._clock)
        try:
            yield client
        finally:
            await client.close()
