"""kube-apiserver's flags of which group-versions are served, and the port that there once was."""

from __future__ import annotations

from typing import Any

from pybernetes.component import flags
from pybernetes.component.command import UsageError
from pybernetes.component.flags import Flag, Values

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


def options(values: Values) -> dict[str, Any]:
    """Keywords for `server.Options`. UsageError."""
    config: dict[str, str] = values["runtime-config"]
    served = set[tuple[str, str, str]]()
    if config:
        from .. import runtimeconfig
        from ..kinds import RESOURCES, legacy

        try:
            found = runtimeconfig.enabled(RESOURCES, legacy.resources, config)
        except runtimeconfig.RuntimeConfigError as error:
            raise UsageError(f"--runtime-config: {error}") from error
        served = {runtimeconfig.key_of(one) for one in found.resources}
    if "PodSecurityPolicy" in values["enable-admission-plugins"] and POLICY not in served:
        raise UsageError(
            "PodSecurityPolicy of --enable-admission-plugins needs policy/v1beta1 of --runtime-config: no pod could be made"
        )
    return {"runtime_config": config}
