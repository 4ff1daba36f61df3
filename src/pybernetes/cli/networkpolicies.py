"""`pybernetes kube-network-policies` (upstream: kubernetes-sigs/kube-network-policies, cmd/main.go)."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from pybernetes.aio.clock import RealClock
from pybernetes.component import command
from pybernetes.component.command import Failure
from pybernetes.component.flags import Values
from pybernetes.net.programs import ProgramError
from pybernetes.networkpolicy.options import FLAGS, policy_agent_options

if TYPE_CHECKING:
    from pybernetes.component.metrics import Registry
    from pybernetes.component.serving import Check

PROGRAM = "pybernetes kube-network-policies"


def main(arguments: list[str]) -> int:
    """Runs until SIGTERM or SIGINT, or cleans up and ends."""
    return command.main(PROGRAM, FLAGS, run, arguments)


async def run(values: Values) -> None:
    """Serves until cancelled; with --cleanup it returns when the table is gone."""
    from pybernetes.component.clientflags import Clients
    from pybernetes.networkpolicy.app import PolicyAgent
    from pybernetes.networkpolicy.kernel import KernelTable
    from pybernetes.networkpolicy.metrics import Metrics

    chosen, kernel, metrics = policy_agent_options(values), KernelTable(), Metrics()
    try:
        await kernel.check()
        if values["cleanup"]:
            return await kernel.delete()
    except ProgramError as error:
        raise Failure(f"network policies need nft (Debian: nftables) and a kernel with nf_tables: {error}") from error
    async with AsyncExitStack() as stack:
        client = Clients(stack, values, "kube-network-policies", metrics.registry).client()
        await client.wait_ready()
        agent = PolicyAgent(chosen.node, chosen.sync_period, client, kernel, metrics, RealClock())
        if chosen.serving is not None:
            await _listen(stack, chosen.serving, metrics.registry, agent.problem)
        await agent.run()


async def _listen(stack: AsyncExitStack, address: tuple[str, int], registry: Registry, problem: Check) -> None:
    from pybernetes.component import serving

    try:
        server = await serving.start(serving.standard(registry, {"rules": problem}), *address)
    except OSError as error:
        raise Failure(f"--metrics-bind-address={address[0]}:{address[1]}: {error.strerror or error}") from error
    stack.push_async_callback(server.stop, 0)
