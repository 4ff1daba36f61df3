"""How a part reaches the API server: the flags, and its clients (upstream: component-base/config's ClientConnectionConfiguration)."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from . import flags
from .command import UsageError
from .flags import Flag, Values

if TYPE_CHECKING:
    from pybernetes.client.kubeconfig import Config

    from .metrics import Registry
    from .restclient import PartClient, TokenBucket


def client_flags(burst: int) -> tuple[Flag, ...]:
    """--kubeconfig, --master and the limits of requests; `burst` is the part's default."""
    return (
        Flag("kubeconfig", flags.string, "", "How to reach the API server, and as whom."),
        Flag("master", flags.string, "", "The API server's address, instead of the kubeconfig's."),
        Flag("kube-api-qps", flags.number, -1.0, "Requests a second to the API server; -1: as many as it takes."),
        Flag("kube-api-burst", flags.integer, burst, "Requests in a burst beyond --kube-api-qps."),
    )


def config(values: Values, flag: str = "kubeconfig") -> Config:
    """What the file of a flag says, or the file of --kubeconfig where it is not given. UsageError where it is of no use.

    --master overrides the address in --kubeconfig and is enough without any file.
    """
    from pybernetes.client.kubeconfig import Config, ConfigError, load

    if values["master"] and not values[flag] and not values["kubeconfig"]:
        return Config(values["master"])
    try:
        loaded = load(values[flag] or values["kubeconfig"] or None)
    except (ConfigError, OSError) as error:
        raise UsageError(f"--{flag}: {error}") from error
    if values["master"] and not (flag != "kubeconfig" and values[flag]):
        loaded.server = values["master"]
    return loaded


class Clients:
    """The clients of a part, counted in its registry and closed with the stack; UsageError where files are of no use."""

    def __init__(self, stack: AsyncExitStack, values: Values, name: str, registry: Registry) -> None:
        from .restclient import RequestMetrics

        self.name, self.config = name, config(values)
        self._stack, self._values, self._metrics = stack, values, RequestMetrics(registry)

    def client(self) -> PartClient:
        """The part's own, held back by --kube-api-qps."""
        return self._closed(self.another(self.config, self.name))

    def another(self, config: Config, agent: str) -> PartClient:
        """One that acts for somebody else, held back alike; the caller closes it."""
        from .restclient import TokenBucket

        qps, burst = self._values["kube-api-qps"], self._values["kube-api-burst"]
        return self._make(config, agent, TokenBucket(qps, burst) if qps > 0 else None)

    def unlimited(self, purpose: str = "", flag: str = "kubeconfig") -> PartClient:
        """For what must not wait behind a burst of work: leases, reviews."""
        agent = f"{self.name}/{purpose}" if purpose else self.name
        return self._closed(self._make(config(self._values, flag), agent, None))

    def _make(self, config: Config, agent: str, bucket: TokenBucket | None) -> PartClient:
        from pybernetes.client.kubeconfig import ConfigError

        from .restclient import PartClient

        try:
            return PartClient(config, agent, self._metrics, bucket)
        except ConfigError as error:
            raise UsageError(str(error)) from error

    def _closed(self, client: PartClient) -> PartClient:
        self._stack.push_async_callback(client.close)
        return client
