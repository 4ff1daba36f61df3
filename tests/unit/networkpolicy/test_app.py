"""The running agent over a client in memory and a kernel that is a dictionary, on virtual time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1
from pybernetes.api.types import networking_v1 as networking
from pybernetes.client.memory import MemoryClient
from pybernetes.component.command import UsageError
from pybernetes.component.flags import parse
from pybernetes.net.programs import ProgramError
from pybernetes.networkpolicy.app import PolicyAgent
from pybernetes.networkpolicy.metrics import Metrics
from pybernetes.networkpolicy.options import FLAGS, policy_agent_options

from . import world
from .nft import Kernel

PERIOD = 30.0


class FakeTable:
    """Implements `app.Kernel`; `calls` says what was asked of it."""

    def __init__(self) -> None:
        self.kernel = Kernel()
        self.calls: list[str] = []
        self.failures = 0
        self.present = True  # of an earlier run
        self.transactions = 0
        self.before_listing: Callable[[], None] = lambda: None  # what somebody else does after our writing

    async def apply(self, text: str) -> None:
        self.calls.append("whole" if "delete table" in text else "change")
        if self.failures:
            self.failures -= 1
            raise ProgramError("nft -f - failed (1): busy", 1)
        self.kernel.apply(text)
        self.present = True
        self.transactions += 1

    async def listing(self) -> str | None:
        self.calls.append("listing")
        self.before_listing()
        return repr(self.kernel) if self.present else None

    def generation(self) -> int:
        return self.transactions

    def harm(self) -> None:
        """Somebody flushes a chain of ours."""
        self.kernel.chains["ingress"].clear()
        self.transactions += 1

    async def delete(self) -> None:
        self.calls.append("delete")
        self.transactions += 1
        self.kernel, self.present = Kernel(), False

    def prepare(self) -> None:
        pass


class Case:
    def __init__(self) -> None:
        self.client, self.clock, self.table, self.metrics = MemoryClient(), VirtualClock(), FakeTable(), Metrics()
        self.client.put(core.Namespace(metadata=meta_v1.ObjectMeta(name="x")))
        self.client.put(world.as_pod(world.pod("x", "a", 10, "here")))
        self.agent = PolicyAgent("here", PERIOD, self.client, self.table, self.metrics, self.clock)

    async def policy(self, name: str) -> None:
        document = {"metadata": {"namespace": "x", "name": name}, "spec": {"podSelector": {}}}
        await self.client.create(world.as_policy(document))
        await settle()


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


def running(scenario: Callable[[Case], Awaitable[None]]) -> None:
    async def run() -> None:
        case = Case()
        work = asyncio.ensure_future(case.agent.run())
        await settle()
        try:
            await scenario(case)
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    asyncio.run(run())


def test_without_policies_pods_are_not_even_listened_to() -> None:
    async def scenario(case: Case) -> None:
        assert case.table.calls == ["delete"] and case.client.watched == {networking.NetworkPolicy}
        await case.policy("deny")
        assert case.client.watched == {networking.NetworkPolicy, core.Namespace, core.Pod}
        assert case.table.calls == ["delete", "whole"]
        assert "10.244.0.10" in case.table.kernel.sets["ingress-v4"]
        await case.client.delete(networking.NetworkPolicy, "deny", "x")
        await settle()
        assert case.table.calls == ["delete", "whole", "delete"]
        case.client.put(world.as_pod(world.pod("x", "b", 11, "here")))
        await settle()
        assert case.table.calls == ["delete", "whole", "delete"]  # nobody asks

    running(scenario)


def test_what_changes_is_what_is_written() -> None:
    async def scenario(case: Case) -> None:
        await case.policy("deny")
        case.client.put(world.as_pod(world.pod("x", "b", 11, "here")))
        await settle()
        assert case.table.calls[1:] == ["whole", "change"]
        assert set(case.table.kernel.sets["ingress-v4"]) == {"10.244.0.10", "10.244.0.11"}

    running(scenario)


def test_a_table_that_somebody_touched_is_written_anew(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(case: Case) -> None:
        await case.policy("deny")
        await case.clock.advance(PERIOD)
        await case.clock.advance(PERIOD)
        assert case.table.calls[1:] == ["whole", "whole", "listing"]  # nobody has touched anything: nothing is read
        case.table.transactions += 1  # a table of somebody else
        await case.clock.advance(2 * PERIOD)
        assert case.table.calls[4:] == ["listing"] and case.metrics.restored.samples == {}
        case.table.harm()
        await case.clock.advance(PERIOD)
        assert case.table.kernel.chains["ingress"] and case.metrics.restored.samples == {(): 1.0}

    with caplog.at_level(logging.WARNING):
        running(scenario)
    assert "was changed by somebody else" in caplog.text


def test_what_somebody_does_between_writing_and_reading_does_not_pass_for_ours() -> None:
    async def scenario(case: Case) -> None:
        case.table.before_listing = case.table.harm
        await case.policy("deny")
        await case.clock.advance(3 * PERIOD)
        case.table.before_listing = lambda: None
        await case.clock.advance(PERIOD)
        assert case.table.kernel.chains["ingress"]
        case.table.calls.clear()
        await case.clock.advance(PERIOD)
        assert case.table.calls == []

    running(scenario)


def test_what_nft_refuses_is_tried_again_as_a_whole_and_told_by_health() -> None:
    async def scenario(case: Case) -> None:
        case.table.failures = 100
        await case.policy("deny")
        assert case.agent.problem() == ""
        await case.clock.advance(2 * PERIOD + 5)
        assert case.agent.problem().startswith("a change has waited for 6")
        assert case.table.calls.count("whole") < 10  # less and less often
        case.table.failures = 0
        await case.clock.advance(PERIOD)
        assert case.agent.problem() == "" and "10.244.0.10" in case.table.kernel.sets["ingress-v4"]

    running(scenario)


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:9080", ("127.0.0.1", 9080)), ("0.0.0.0", ("0.0.0.0", 9080)), ("[::1]:1", ("::1", 1)), ("", None)],
)
def test_metrics_address(text: str, address: tuple[str, int] | None) -> None:
    assert policy_agent_options(parse("x", FLAGS, [f"--metrics-bind-address={text}"])).serving == address


@pytest.mark.parametrize(
    "flag", ["--metrics-bind-address=host:1", "--metrics-bind-address=127.0.0.1:65536", "--sync-period=0s"]
)
def test_bad_flags_are_named(flag: str) -> None:
    with pytest.raises(UsageError, match=flag.split("=")[0]):
        policy_agent_options(parse("x", FLAGS, [flag]))
