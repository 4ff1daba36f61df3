"""All plugins of a network do one command (upstream: libcni/api.go)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from pybernetes.aio.clock import Clock

from .arguments import RuntimeConf, environment, gc_input, plugin_input
from .cache import Attachment, Cache
from .configuration import (
    CURRENT_VERSION,
    Network,
    Plugin,
    container_problem,
    encoded,
    interface_problem,
    name_problem,
    quoted,
)
from .invocation import PluginError, PluginPrograms
from .results import Result, ResultError, convert, parse, read

CHAIN_SECONDS = 220.0  # cri-dockerd's: for all plugins of a network together
QUESTION_SECONDS = 30.0  # for one plugin that is only asked (STATUS, VERSION), and for GC


class Chain:
    """libcni's CNIConfig. Every method may raise PluginError, and OSError where the cache cannot be read or written."""

    def __init__(self, programs: PluginPrograms, cache: Cache, clock: Clock, seconds: float = CHAIN_SECONDS) -> None:
        self._programs, self._cache, self._clock, self._seconds = programs, cache, clock, seconds
        self._question_seconds = min(seconds, QUESTION_SECONDS)

    async def add(self, network: Network, conf: RuntimeConf) -> Result:
        """The last plugin's result. After a failure the attachment is in the cache, for `delete`."""
        for problem in (
            container_problem(conf.container_id),
            name_problem(network.name),
            interface_problem(conf.ifname),
        ):
            if problem:
                raise PluginError(problem)
        attachment = Attachment(network.name, network.data, conf, incomplete=True)
        self._cache.write(attachment, durable=True)
        end = self._clock.monotonic() + self._seconds
        result: Result | None = None
        for plugin in network.plugins:
            try:
                answer = await self._run(
                    "ADD", plugin, plugin_input(network, plugin, conf, result), conf, end - self._clock.monotonic()
                )
                result = parse(answer, network.cni_version)
            except (PluginError, ResultError) as error:
                raise _failed(plugin, "add", error) from None
            attachment = replace(attachment, result=result.document())
            self._cache.write(attachment)
        if result is None:
            raise PluginError("no plugin configs found")
        self._cache.write(replace(attachment, incomplete=False))
        return result

    async def delete(self, network: Network, conf: RuntimeConf) -> None:
        """In reverse, with what the cache has; what is gone already is no error to plugins. Then the cache has it no more."""
        previous = self._previous(network, conf) if network.at_least("0.4.0") else None
        end = self._clock.monotonic() + self._seconds
        for plugin in reversed(network.plugins):
            data = plugin_input(network, plugin, conf, previous)
            try:
                await self._run("DEL", plugin, data, conf, end - self._clock.monotonic())
            except PluginError as error:
                if "no such file or directory" not in str(error):  # dockershim's: it was gone before
                    raise _failed(plugin, "delete", error) from None
        self._cache.remove(network.name, conf)

    async def check(self, network: Network, conf: RuntimeConf) -> None:
        """Nothing where the network's version has no CHECK, or its configuration says so."""
        if network.disable_check or not network.at_least("0.4.0"):
            return
        previous = self._previous(network, conf)
        end = self._clock.monotonic() + self._seconds
        for plugin in network.plugins:
            data = plugin_input(network, plugin, conf, previous)
            await self._run("CHECK", plugin, data, conf, end - self._clock.monotonic())

    async def collect_garbage(self, network: Network, valid: Sequence[tuple[str, str]]) -> None:
        """GC: plugins free what is not of these attachments (container, interface). All are told; then the first error."""
        if network.disable_gc or not network.at_least("1.1.0"):
            return
        errors = []
        end = self._clock.monotonic() + self._question_seconds  # pods wait meanwhile
        for plugin in network.plugins:
            try:
                await self._run("GC", plugin, gc_input(network, plugin, valid), None, end - self._clock.monotonic())
            except PluginError as error:
                errors.append(f"failed to GC plugin {plugin.type}: {error}")
        if errors:
            raise PluginError("\n".join(errors))

    async def status(self, network: Network) -> None:
        """STATUS: PluginError where a plugin is not ready for ADD."""
        if network.at_least("1.1.0"):
            for plugin in network.plugins:
                await self._run("STATUS", plugin, plugin_input(network, plugin), None, self._question_seconds)

    async def validate(self, network: Network) -> None:
        """Every plugin is there and speaks the network's version (ValidateNetworkList). All of them are asked."""
        errors = []
        for plugin in network.plugins:
            try:
                await self._validate(plugin, network.cni_version or "0.1.0")
            except PluginError as error:
                errors.append(str(error))
        if errors:
            raise PluginError(f"[{' '.join(errors)}]")

    async def _validate(self, plugin: Plugin, version: str) -> None:
        # Plugins of CNI 0.1 look for all variables first, whatever the command.
        dummies = environment("VERSION", RuntimeConf("", "dummy", "dummy"), ("dummy",))
        data = encoded({"cniVersion": CURRENT_VERSION})
        try:
            answer = await self._programs.run(self._programs.find(plugin.type), data, dummies, self._question_seconds)
        except PluginError as error:
            if str(error) != "unknown CNI_COMMAND: VERSION":
                raise
            supported = ["0.1.0"]
        else:
            supported = supported_versions(answer)
        if version not in supported:
            raise PluginError(f"plugin {plugin.type} does not support config version {quoted(version)}")

    def _previous(self, network: Network, conf: RuntimeConf) -> Result | None:
        """The cached result, in the network's version; None where there is none that can be told."""
        attachment = self._cache.read(network.name, conf)
        if attachment is None or attachment.result is None:
            return None
        try:
            return convert(read(attachment.result, network.cni_version), network.cni_version)
        except ResultError:
            return None

    async def _run(self, command: str, plugin: Plugin, data: bytes, conf: RuntimeConf | None, seconds: float) -> bytes:
        variables = environment(command, conf, self._programs.path)
        return await self._programs.run(self._programs.find(plugin.type), data, variables, max(seconds, 0))


def _failed(plugin: Plugin, verb: str, error: Exception) -> PluginError:
    text = f"plugin {plugin.description} failed ({verb}): "
    if isinstance(error, PluginError):
        return PluginError(text + error.message, error.code, error.details, told=error.told)
    return PluginError(text + str(error))


def supported_versions(answer: bytes) -> list[str]:
    """Of VERSION's answer. PluginError."""
    try:
        document = json.loads(answer)
        versions = document.get("supportedVersions") or []
        if not versions and document.get("cniVersion") == "0.2.0":
            return ["0.1.0", "0.2.0"]
        if not isinstance(versions, list):
            raise TypeError
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise PluginError("decoding version info: it is none") from None
    if not versions:
        raise PluginError("decoding version info: missing field supportedVersions")
    return [str(version) for version in versions]
