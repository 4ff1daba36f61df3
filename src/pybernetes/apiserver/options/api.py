"""kube-apiserver's flags of which group-versions are served, and the port that there once was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pybernetes.component import flags
from pybernetes.component.command import UsageError
from pybernetes.component.flags import Flag, Values

if TYPE_CHECKING:
    from ..resource import Resource

POLICY = ("policy", "v1beta1", "podsecuritypolicies")


def zero(text: str) -> int:
    """The only port without TLS that upstream still takes: none."""
    number = flags.integer(text)
    if number:
        raise ValueError(f"invalid port value {number}: only zero is allowed")
    return number


FLAGS = (
    Flag(
        "runtime-config",
        flags.configuration,
        {},
        "Group-versions to serve or not: api/all, api/ga, api/beta, api/alpha, GROUP/VERSION or GROUP/VERSION/RESOURCE, "
        "=true or =false; api/legacy=true: those of 1.17 to 1.24 that later left.",
    ),
    Flag("insecure-port", zero, 0, "0: there is no port without TLS."),
)


def installed(values: Values) -> tuple[Resource, ...]:
    """What --runtime-config asks for. UsageError."""
    from ..kinds import RESOURCES

    config: dict[str, str] = values["runtime-config"]
    if not config:
        return tuple(RESOURCES)
    from .. import runtimeconfig
    from ..kinds import legacy

    try:
        return runtimeconfig.enabled(RESOURCES, legacy.resources, config).resources
    except runtimeconfig.RuntimeConfigError as error:
        raise UsageError(f"--runtime-config: {error}") from error


def options(values: Values) -> dict[str, Any]:
    """Keywords for `server.Options`. UsageError."""
    config: dict[str, str] = values["runtime-config"]
    served = {(one.group, one.version, one.name) for one in installed(values)} if config else set()
    if "PodSecurityPolicy" in values["enable-admission-plugins"] and POLICY not in served:
        raise UsageError(
            "PodSecurityPolicy of --enable-admission-plugins needs policy/v1beta1 of --runtime-config: no pod could be made"
        )
    return {"runtime_config": config}
