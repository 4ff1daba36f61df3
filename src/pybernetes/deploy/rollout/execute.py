"""Does what the plan says over the connections, a stage at a time, and looks again: until there is nothing to do.

Cut off anywhere, a second run looks and goes on. What could not be done on one host stops the rest at the end of its stage.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from ..daemons.model import MASTER, Cluster, Host
from . import initfile
from .actions import INIT_FILE, Action, Bring, Join
from .clusterfile import Description, cluster
from .facts import Facts, FactsError, Question, read
from .plan import BACKUP, UNIT_OF_DOCKER, PlanError, Situation, Stage, Step, leader, notes, plan, unready
from .ssh import Result, Unreachable
from .wanted import NGINX, Wanted, wanted

AT_ONCE = 20  # hosts that are asked at the same time
LOOK_SECONDS = 60.0
READY_SECONDS, READY_POLL_SECONDS = (
    60.0,
    2.0,
)  # a node is Ready seconds after its kubelet's start; a network of somebody else's may take longer
ACTION_SECONDS = 1200.0  # packages over a slow line; what waits for daemons ends by itself long before
MOST_STAGES = 24  # each is done once; more means that hosts do not become what they are to be
WORDS = 2000  # of a failed command's
TOKEN_TTL = "15m"
LOCK, LOCKED, LOCK_SECONDS = "/run/pybernetes-deploy.lock", 75, 120  # 75: EX_TEMPFAIL, flock's exit code here


class RolloutError(Exception):
    """It did not come to its end; says where, why, and what to do. `report` has a line for each host."""

    def __init__(self, text: str, report: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.report = report


class StepError(Exception):
    """One action on one host; says what the host said."""


class Runner(Protocol):
    """A way to a host, as `ssh.Connection`."""

    async def run(self, script: str, data: bytes = b"", seconds: float = 600.0) -> Result: ...


class Display(Protocol):
    """Who shows what goes on."""

    def stage(self, stage: Stage) -> None:
        """It begins."""
        ...

    def action(self, host: str, title: str) -> None:
        """It begins on the host."""
        ...

    def ended(self, host: str, problem: str = "") -> None:
        """The host is through with its part of the stage, or failed."""
        ...


@dataclass(frozen=True, slots=True)
class Program:
    """Where hosts have pybernetes already, or what is to be brought: its digest, for which python and machine, and its bytes."""

    path: str = ""
    digest: str = ""
    python: str = ""
    machine: str = ""
    packed: Callable[[], bytes] = bytes


@dataclass
class Rollout:
    """One run. `limit`: names of hosts that alone are touched; empty: all."""

    description: Description
    hosts: Mapping[str, Runner]
    program: Program
    limit: frozenset[str] = frozenset()
    _packed: bytes = field(default=b"", repr=False)

    async def plan(self) -> tuple[Situation, list[Stage]]:
        """What would be done now. RolloutError."""
        situation = await self.look()
        try:
            return situation, plan(situation)
        except PlanError as error:
            raise RolloutError(str(error)) from error

    def offline(self) -> list[Stage]:
        """What new hosts would go through; none is asked."""
        described = cluster(self.description, {host.name: "INTERFACE" for host in self.description.entry.hosts})
        aims = {host.name: wanted(described, host) for host in described.hosts}
        return plan(self._situation(described, aims, {host.name: Facts() for host in described.hosts}))

    async def run(self, display: Display) -> int:
        """All of it; how many actions there were. RolloutError."""
        done: set[tuple[tuple[str, str], ...]] = set()
        count = 0
        for _ in range(MOST_STAGES):
            situation, stages = await self.plan()
            if not stages:
                return count
            stage = stages[0]
            mark = tuple((step.host.name, action.title()) for step in stage.steps for action in step.actions)
            if mark in done:
                host, title = mark[0]
                raise RolloutError(
                    f"{host}: {title}: this was done, and is to be done again: somebody else changes the host?"
                )
            done.add(mark)
            count += len(mark)
            await self._stage(situation, stage, display)
        raise RolloutError(f"there is no end after {MOST_STAGES} stages")

    async def settled(self, seconds: float = READY_SECONDS) -> list[str]:
        """Waits for the nodes to be Ready; what is to be told in the end: `plan.notes`. RolloutError."""
        end = asyncio.get_running_loop().time() + seconds
        while True:
            situation = await self.look()
            if not unready(situation) or asyncio.get_running_loop().time() > end:
                return notes(situation)
            await asyncio.sleep(READY_POLL_SECONDS)

    async def look(self) -> Situation:
        """Asks all hosts. RolloutError where one that is to be touched does not answer."""
        described = cluster(self.description)
        aims = {host.name: wanted(described, host) for host in described.hosts}
        limit = asyncio.Semaphore(AT_ONCE)
        answers = await asyncio.gather(*(self._ask(described, aim, limit) for aim in aims.values()))
        facts = {name: answer for name, answer in zip(aims, answers, strict=True) if isinstance(answer, Facts)}
        away = {name: answer for name, answer in zip(aims, answers, strict=True) if isinstance(answer, str)}
        self._check(described, facts, away)
        interfaces = {name: host_facts.interface for name, host_facts in facts.items()}
        whole = cluster(self.description, interfaces)
        return self._situation(whole, {host.name: wanted(whole, host) for host in whole.hosts}, facts)

    def _situation(self, whole: Cluster, aims: Mapping[str, Wanted], facts: Mapping[str, Facts]) -> Situation:
        entries = {entry.name: entry for entry in self.description.entry.hosts}
        draft = Situation(
            whole,
            aims,
            facts,
            {name: entry.labels for name, entry in entries.items()},
            {name: entry.taints for name, entry in entries.items()},
            "",
            shlex.quote(self.program.path or "pybernetes"),
            self.program.digest,
            self.program.python,
            self.program.machine,
            self.limit,
        )
        master = leader(draft) or whole.having(MASTER)[0]
        return replace(draft, init_file=initfile.init(whole, master, entries[master.name].taints))

    async def _ask(self, whole: Cluster, aim: Wanted, limit: asyncio.Semaphore) -> Facts | str:
        """What a host says, or why it does not."""
        host = aim.host
        master = MASTER in host.roles
        question = Question(
            host.address,
            [*sorted(aim.needs), *aim.images.values()]
            + ([self.program.path] if self.program.path else [])
            + ([BACKUP] if master else []),
            [*aim.files(), *([INIT_FILE] if master else [])],
            [UNIT_OF_DOCKER, *([NGINX] if aim.frees_ports else []), *(one.name for one in (*aim.daemons, *aim.own))],
            whole.configuration.cluster.certificates_dir if master else "",
            whole.configuration.init.local_api_endpoint.bind_port,
        )
        async with limit:
            try:
                result = await self.hosts[host.name].run(question.script(), seconds=LOOK_SECONDS)
                return read(result.output) if result.code == 0 else f"it cannot be looked at: {_words(result)}"
            except (Unreachable, FactsError) as error:
                return str(error)
            except TimeoutError:
                return f"it did not say in {LOOK_SECONDS:.0f} s what it is"

    def _check(self, whole: Cluster, facts: Mapping[str, Facts], away: Mapping[str, str]) -> None:
        needed = [name for name in away if not self.limit or name in self.limit]
        if needed:
            rest = [host.name for host in whole.hosts if host.name not in away]
            text = "; ".join(f"{name}: {away[name]}" for name in needed)
            advice = f" (--limit={','.join(rest)} leaves it out)" if rest and not self.limit else ""
            raise RolloutError(f"{text}{advice}", [f"{name}: answers" for name in rest])
        for host in whole.hosts:
            host_facts = facts.get(host.name)
            if host_facts is None or (self.limit and host.name not in self.limit):
                continue
            if "ip" in host_facts.programs and not host_facts.interface:
                raise RolloutError(
                    f"{host.name}: no interface has {host.address}: is it another host, or the address wrong?"
                )
            if self.program.path and self.program.path not in host_facts.programs:
                raise RolloutError(
                    f"{host.name}: there is no {self.program.path}: install pybernetes there, or leave `program` out and it is brought"
                )
            if host_facts.joined and host_facts.run_with != "systemd":
                text = f"its daemons are run by {host_facts.run_with}, not by systemd"
                raise RolloutError(f"{host.name}: {text}: `pybernetes reset` it, and it is joined anew")

    async def _stage(self, situation: Situation, stage: Stage, display: Display) -> None:
        """All its steps, or RolloutError: those that run come to their end, further ones do not begin."""
        display.stage(stage)
        free, failed = asyncio.Semaphore(stage.width), dict[str, str]()
        begun: list[str] = []

        async def one(step: Step) -> None:
            async with free:
                if failed:
                    return
                begun.append(step.host.name)
                problem = await self._step(situation, step, display)
                display.ended(step.host.name, problem)
                if problem:
                    failed[step.host.name] = problem

        await asyncio.gather(*(one(step) for step in stage.steps))
        if failed:
            report = [
                f"{step.host.name}: {'failed' if step.host.name in failed else 'done' if step.host.name in begun else 'not begun'}"
                for step in stage.steps
            ]
            text = "\n".join(f"{name}: {problem}" for name, problem in failed.items())
            raise RolloutError(text, report)

    async def _step(self, situation: Situation, step: Step, display: Display) -> str:
        """Why it failed; "": it did not."""
        for action in step.actions:
            display.action(step.host.name, action.title())
            try:
                await self._act(situation, step.host, action)
            except StepError as error:
                return f"{action.title()}: {error}"
            except Unreachable as error:
                return f"{action.title()}: {error}"
        return ""

    async def _act(self, situation: Situation, host: Host, action: Action) -> None:
        match action:
            case Bring():
                if not self._packed:
                    self._packed = await asyncio.to_thread(self.program.packed)
                await self._do(host, action.script(), self._packed)
            case Join():
                await self._join(situation, host, action)
            case _:
                await self._do(host, action.script())

    async def _join(self, situation: Situation, host: Host, action: Join) -> None:
        """A master gives a token for a quarter of an hour, which is taken back at the end."""
        master = leader(situation)
        if master is None:
            raise StepError("no master has joined that could let it in")
        program = shlex.quote(self.program.path or "pybernetes")
        script = f"{program} token create --ttl={TOKEN_TTL} --description='deploy: {host.name}' --print-join-command"
        if action.control_plane:
            script += f"\n{program} init phase upload-certs --upload-certs --config={INIT_FILE}"
        said = await self._do(master, script, shown=False, exclusive=False)
        try:
            secrets = initfile.secrets(said.output)
        except ValueError as error:
            raise StepError(f"{master.name}: {error}") from error
        entry = next(entry for entry in self.description.entry.hosts if entry.name == host.name)
        try:
            document = initfile.join(situation.cluster, host, master, secrets, entry.taints)
            await self._do(host, action.script(), document.encode())
        finally:
            token_id = secrets.token.partition(".")[0]
            await self._do(master, f"{program} token delete {token_id} >/dev/null", exclusive=False)

    async def _do(
        self, host: Host, script: str, data: bytes = b"", shown: bool = True, exclusive: bool = True
    ) -> Result:
        """StepError, Unreachable. One deployment at a time changes a host, also where an earlier one was cut off from it."""
        try:
            wrapped = _alone(script) if exclusive else script
            result = await self.hosts[host.name].run(wrapped, data, ACTION_SECONDS)
        except TimeoutError as error:
            raise StepError(f"no end after {ACTION_SECONDS:.0f} s") from error
        if result.code == LOCKED:
            raise StepError("another deployment is at work on this host")
        if result.code:
            raise StepError(f"exit code {result.code}: {_words(result) if shown else _tail(result.errors)}")
        return result


def _alone(script: str) -> str:
    quoted = shlex.quote(f"set -eu\n{script}")
    return f"exec flock -o -w {LOCK_SECONDS} -E {LOCKED} {LOCK} sh -c {quoted}"


def _words(result: Result) -> str:
    return _tail(result.errors) or _tail(result.output) or "without a word"


def _tail(text: str) -> str:
    return text.strip()[-WORDS:]
