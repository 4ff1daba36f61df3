"""dockerd's options for flannel's subnet.env, as lines of an environment file (upstream: dist/mk-docker-opts.sh)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PREFIX = "DOCKER_OPT_"
DEFAULT_KEY = "DOCKER_OPTS"


class DockerOptionsError(ValueError):
    """A value that makes no option; one line for the user."""


@dataclass(frozen=True, slots=True)
class Form:
    """Which lines there are to be: each option as a variable of its own, all of them in one, or both."""

    individual: bool = True
    combined: bool = True
    key: str = DEFAULT_KEY
    ip_masq: bool = True  # dockers before 1.2 do not know the option


def read(text: str) -> dict[str, str]:
    """A file of NAME=VALUE lines, quoted or not; no shell reads it."""
    pairs = (line.strip().partition("=") for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs if not name.startswith("#")}


def lines(variables: Mapping[str, str], form: Form) -> str:
    """`variables` are the environment's and the subnet file's: options that the environment has already (DOCKER_OPT_X, the combined key) stay."""
    options = {name: value for name, value in variables.items() if name.startswith(PREFIX)}
    if variables.get("FLANNEL_SUBNET"):
        options[f"{PREFIX}BIP"] = f"--bip={variables['FLANNEL_SUBNET']}"
    if variables.get("FLANNEL_MTU"):
        options[f"{PREFIX}MTU"] = f"--mtu={variables['FLANNEL_MTU']}"
    masquerades = variables.get("FLANNEL_IPMASQ", "")
    if masquerades and form.ip_masq:
        if masquerades not in ("true", "false"):
            raise DockerOptionsError(f"Invalid value of FLANNEL_IPMASQ: {masquerades}")
        # What flanneld does Docker must not do again.
        options[f"{PREFIX}IPMASQ"] = f"--ip-masq={'false' if masquerades == 'true' else 'true'}"
    written = [f'{name}="{value}"' for name, value in sorted(options.items())] if form.individual else []
    if form.combined:
        before = f"{variables[form.key]} " if variables.get(form.key) else ""
        written.append(f'{form.key}="{before}{"".join(f" {value}" for _, value in sorted(options.items()))}"')
    return "".join(f"{line}\n" for line in written)
