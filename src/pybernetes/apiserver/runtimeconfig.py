"""--runtime-config: which group-versions are served (upstream: apiserver/pkg/server/{options/api_enablement.go,resourceconfig}). Pure.

Beside upstream's keys there is `api/legacy`, as upstream once had one: the group-versions of 1.17 to 1.24 that later left.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from .resource import Resource

LEGACY = "api/legacy"
# In the order in which they hold; a later one wins.
MATCHERS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("api/all", re.compile(r".*")),
    ("api/ga", re.compile(r"v\d+")),
    ("api/beta", re.compile(r"v\d+beta\d+")),
    ("api/alpha", re.compile(r"v\d+alpha\d+")),
)
BLANKET = frozenset((LEGACY, *(name for name, _ in MATCHERS)))
# Groups that upstream knows, or knew, and this server does not serve: what is said of them changes nothing.
KNOWN_GROUPS = frozenset(
    {"settings.k8s.io", "auditregistration.k8s.io", "internal.apiserver.k8s.io", "imagepolicy.k8s.io"}
)
BOOLEANS = {"1": True, "t": True, "T": True, "TRUE": True, "true": True, "True": True}
BOOLEANS |= {"0": False, "f": False, "F": False, "FALSE": False, "false": False, "False": False}

Key = tuple[str, str, str]  # group, version, resource


class RuntimeConfigError(ValueError):
    """A value of --runtime-config that cannot be; the text is upstream's."""


@dataclass(frozen=True, slots=True)
class Enabled:
    """What is installed, and of that what nobody sees: the server itself needs kinds that it may be told not to serve."""

    resources: tuple[Resource, ...]
    hidden: frozenset[Key]


def enabled(today: Sequence[Resource], legacy: Callable[[], Sequence[Resource]], config: Mapping[str, str]) -> Enabled:
    """RuntimeConfigError. `legacy` gives the records of old group-versions, and again those of today that share objects with them; it
    is asked only where the configuration may switch one of them on."""
    if not config:
        return Enabled(tuple(today), frozenset())
    if dict(config) == {"api/all": "false"}:
        raise RuntimeConfigError("invalid runtime-config with only api/all=false")
    records = {key_of(one): one for one in today}
    own = set(records)
    further = {key_of(one): one for one in legacy()}
    _check_keys(config, {group for group, _, _ in own | set(further)}, {key[:2] for key in own | set(further)})
    switched = {key for key in further if key not in own and _is_on(key, config, False)}
    if switched:
        records |= {key: one for key, one in further.items() if key in own or key in switched}
    hidden = frozenset(key for key in own if not _is_on(key, config, True))
    return Enabled(tuple(records.values()), hidden)


def key_of(resource: Resource) -> Key:
    """Of one resource."""
    return resource.group, resource.version, resource.name


def _check_keys(config: Mapping[str, str], groups: Iterable[str], versions: Iterable[tuple[str, str]]) -> None:
    served, unknown = set(groups) | KNOWN_GROUPS, set[str]()
    for name, value in config.items():
        if name in BLANKET:
            if value not in ("true", "false"):
                raise RuntimeConfigError(f"invalid value {name}={value}")
            continue
        tokens = name.split("/")
        if len(tokens) not in (2, 3):
            raise RuntimeConfigError(f"runtime-config invalid key {name}")
        group, version = tokens[0] if tokens[0] != "api" or tokens[1] != "v1" else "", tokens[1]
        if group not in served:
            unknown.add(f"{tokens[0]}/{version}")
        elif group not in KNOWN_GROUPS and (group, version) not in versions:
            raise RuntimeConfigError(f"group version {tokens[0]}/{version} that has not been registered")
        if value and value not in BOOLEANS:
            why = f'strconv.ParseBool: parsing "{value}": invalid syntax'
            raise RuntimeConfigError(f"invalid value of {name}: {value}, err: {why}")
        if len(tokens) == 3 and tokens[2] != tokens[2].lower():
            why = f'group/version/resource and resource is always lowercase plural, not "{tokens[2]}"'
            raise RuntimeConfigError(f"invalid key {name}: {why}")
    if unknown:
        raise RuntimeConfigError(f"unknown api groups {','.join(sorted(unknown))}")


def _is_on(key: Key, config: Mapping[str, str], default: bool) -> bool:
    group, version, resource = key
    on = default
    for name, pattern in MATCHERS:
        if name in config and pattern.fullmatch(version):
            on = config[name] == "true"
    if not default and LEGACY in config:
        on = config[LEGACY] == "true"
    for name in (f"{group or 'api'}/{version}", f"{group or 'api'}/{version}/{resource}"):
        if name in config:
            on = BOOLEANS[config[name] or "true"]
    return on
