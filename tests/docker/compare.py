"""Compares what was seen with what was recorded; <words> in a recording stand for what differs from run to run."""

from __future__ import annotations

import re
from typing import Any

LS_DATE = re.compile(r"\b[A-Z][a-z]{2} +\d{1,2} \d{2}:\d{2}\b")
BARE = re.compile(r"<[A-Za-z]+>")
# What the recordings show of `docker inspect`; Docker itself has many more, of its own making.
CONFIG_KEYS = (
    *("Hostname", "User", "Env", "Entrypoint", "Cmd", "Labels", "Healthcheck", "Tty", "OpenStdin", "StdinOnce"),
    "WorkingDir",
)
HOST_CONFIG_KEYS = (
    *("NetworkMode", "IpcMode", "PidMode", "UTSMode", "Binds", "CpuShares", "CpuPeriod", "CpuQuota", "Memory"),
    *("MemorySwap", "OomScoreAdj", "Privileged", "SecurityOpt", "CapAdd", "CapDrop", "GroupAdd", "ReadonlyRootfs"),
    *(
        "ShmSize",
        "CgroupParent",
        "RestartPolicy",
        "LogConfig",
        "MaskedPaths",
        "ReadonlyPaths",
        "PortBindings",
        "Sysctls",
    ),
)
UNORDERED = ("Env", "Binds", "Mounts", "SecurityOpt", "CapAdd", "CapDrop")
BY_NAME = ("containerStatuses", "initContainerStatuses")
PATCHED = "<patched>"
# Hidden from containers since: asound (read-only before), powercap 1.30, interrupts 1.34; engines' own defaults are as many.
HIDDEN_SINCE = {
    *("/proc/asound", "/proc/interrupts", "/sys/devices/virtual/powercap"),
    *(f"/sys/devices/system/cpu/cpu{number}/thermal_throttle" for number in range(256)),
}
REPEATED_CONDITIONS = ("PodReadyToStartContainers",)  # of later versions


class Differs(Exception):
    """The first difference of a case."""


# What a probe finds that comes before the container's server listens: whether there is one is a race of the two.
TOO_EARLY = re.compile(r"\w+ probe failed: .*connect: connection refused")


class MissingEvent(Differs):
    """An event that may be still to come."""


def matches(want: Any, got: Any) -> bool:
    if want == got:
        return True
    if isinstance(want, str) and BARE.search(want):
        pattern = "".join(".+?" if BARE.fullmatch(p) else re.escape(p) for p in re.split(r"(<[A-Za-z]+>)", want))
        return got is not None and re.fullmatch(pattern, str(got), re.S) is not None
    return False


def settled(text: str, where: str) -> str:
    """Without dates; mounts in the order of their names (Docker's is by chance) and without a size (set since 1.22)."""
    text = LS_DATE.sub("<date>", text.rstrip("\n"))
    if where.endswith(".log") or ";" in where:  # a log, or what several commands said
        text = "\n".join(sorted(text.splitlines()))  # Docker reads stdout and stderr in the order that comes about
    if where.endswith("/proc/mounts"):
        text = "\n".join(sorted(re.sub(r",size=\d+k", "", text).splitlines()))
    return text


def same_text(want: Any, got: str, where: str) -> None:
    wanted, seen = settled(str(want), where), settled(got, where)
    if not matches(wanted, seen):
        raise Differs(f"{where}: {seen!r}, not {wanted!r}")


def stripped(value: Any) -> Any:
    """Without what is null, empty, 0 or false, as the recordings are."""
    if isinstance(value, dict):
        kept = {k: stripped(v) for k, v in value.items()}
        return {k: v for k, v in kept.items() if v not in (None, "", 0, False, [], {})}
    return [stripped(v) for v in value] if isinstance(value, list) else value


def same(want: Any, got: Any, where: str, exact: bool = False) -> None:
    """`exact`: nothing else may be there either."""
    if want == PATCHED:
        return
    if isinstance(want, dict):
        if not isinstance(got, dict):
            raise Differs(f"{where}: {got!r}, not an object")
        for key, value in want.items():
            if value is None and got.get(key) is None:
                continue
            if value != PATCHED and key not in got and value not in ({}, "", [], False, 0):
                raise Differs(f"{where}.{key} is missing ({value!r})")
            same(value, got.get(key, type(value)() if value is not None else None), f"{where}.{key}", exact)
        extra = sorted(set(got) - set(want)) if exact else []
        if extra:
            raise Differs(f"{where}: {extra[0]} is too much: {got[extra[0]]!r}")
    elif isinstance(want, list):
        if not isinstance(got, list) or len(got) != len(want):
            raise Differs(f"{where}: {got!r}, not {want!r}")
        if where.rpartition(".")[2] in BY_NAME:
            by_name = {one["name"]: one for one in got}
            for one in want:
                same(one, by_name.get(one["name"]), f"{where}.{one['name']}", exact)
            return
        if where.rpartition(".")[2] in UNORDERED:
            same_unordered(want, got, where, exact)
            return
        for index, (w, g) in enumerate(zip(want, got, strict=True)):
            same(w, g, f"{where}.{index}", exact)
    elif where.endswith(".terminated.message") and sorted(str(want).split("\n")) == sorted(str(got).split("\n")):
        return  # Docker reads stdout and stderr in the order that comes about
    elif not matches(want, got):
        raise Differs(f"{where}: {got!r}, not {want!r}")


def same_unordered(want: list[Any], got: list[Any], where: str, exact: bool) -> None:
    rest = list(got)
    for wanted in want:
        for one in rest:
            try:
                same(wanted, one, where + ".*", exact)
            except Differs:
                continue
            rest.remove(one)
            break
        else:
            raise Differs(f"{where}: no {wanted!r} in {rest!r}")


def same_status(want: dict[str, Any], got: dict[str, Any], name: str) -> None:
    for key, value in want.items():
        if key == "qosClass" and value is None:
            continue  # a refused pod has its class today
        if key == "conditions":
            by_type = {c["type"]: c for c in got.get("conditions", [])}
            for condition in value:
                kept = {k: v for k, v in condition.items() if k != "lastProbeTime"}
                if got.get("phase") == "Failed" and kept.get("reason") == "ContainersNotReady":
                    kept = {**kept, "reason": "PodFailed"}  # since 1.21, and without a message
                    del kept["message"]
                if condition["type"] == "PodScheduled" and condition["type"] not in by_type:
                    raise Differs(f"{name}: no condition PodScheduled")
                same(kept, by_type.get(condition["type"]), f"{name}.status.{condition['type']}")
        elif key not in got and value not in ({}, "", [], None):
            raise Differs(f"{name}.status.{key} is missing ({value!r})")
        else:
            same(value, got.get(key), f"{name}.status.{key}")


def hidden(host: dict[str, Any]) -> dict[str, Any]:
    """A HostConfig without what was hidden later than it was recorded, in the order of the alphabet."""
    lists = {
        key: sorted({*host[key]} - HIDDEN_SINCE)
        for key in ("MaskedPaths", "ReadonlyPaths")
        if isinstance(host.get(key), list)
    }
    return {**host, **lists}


def same_inspect(want: dict[str, Any], got: dict[str, Any], where: str) -> None:
    if not got:
        raise Differs(f"{where} is not there")
    same(want["name"], got["Name"].lstrip("/"), f"{where}.name")
    got = {**got, "HostConfig": privileged(got["HostConfig"])}
    for part, keys in (("Config", CONFIG_KEYS), ("HostConfig", HOST_CONFIG_KEYS)):
        seen = stripped({key: got[part].get(key) for key in keys})
        wanted = {k: v for k, v in want.get(part, {}).items() if k in keys and v != PATCHED}
        if part == "HostConfig":
            wanted, seen = hidden(wanted), hidden(seen)
            seen = {k: v for k, v in seen.items() if k != "OomScoreAdj" or k in wanted}
        if part == "Config" and "Env" in wanted:
            wanted["Env"], seen["Env"] = sorted(wanted["Env"]), sorted(seen.get("Env", []))
        same(wanted, seen, f"{where}.{part}", exact=True)
    if "Mounts" in want:
        mounts = [
            {k: v for k, v in m.items() if k in ("Type", "Source", "Destination", "Mode", "RW", "Propagation")}
            for m in got["Mounts"]
        ]
        same(
            [m for m in want["Mounts"] if m.get("Type") == "bind"],
            [m for m in mounts if m["Type"] == "bind"],
            f"{where}.Mounts",
        )
    for key, value in (want.get("State") or {}).items():
        same(value, got["State"][key], f"{where}.State.{key}")


def privileged(host: dict[str, Any]) -> dict[str, Any]:
    """A machine without all rights gets a privileged container by single grants (dockerconfig.container_create)."""
    if not host.get("DeviceCgroupRules"):
        return host
    options = [option for option in host["SecurityOpt"] if option != "apparmor=unconfined"]
    return {**host, "Privileged": True, "CapAdd": [], "SecurityOpt": options}


def same_events(want: list[dict[str, Any]], got: list[dict[str, Any]], saved: dict[str, str]) -> None:
    """The kubelet's, each object's and container's in their order."""
    wanted: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
    for event in want:
        if event["from"] == "kubelet":
            where = (event["object"], event.get("field", ""))
            wanted.setdefault(where, []).append((event["type"], event["reason"], event["message"]))
    seen: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
    if not any(TOO_EARLY.match(event["message"]) for event in want):
        got = [event for event in got if not TOO_EARLY.match(event["message"])]
    for event in got:
        about = event["involvedObject"]
        where = (f"{about['kind']}/{about['name']}", about.get("fieldPath", ""))
        seen.setdefault(where, []).append((event["type"], event["reason"], event["message"]))
    for place in sorted({*wanted, *seen}):
        ours, theirs = seen.get(place, []), wanted.get(place, [])
        for index, event in enumerate(theirs):
            if index >= len(ours):
                raise MissingEvent(f"events of {place}: no {event}; there are {ours}")
            same(list(event), list(ours[index]), f"event {index} of {place}")
        if len(ours) > len(theirs):
            raise Differs(f"events of {place}: {ours[len(theirs)]} is too much")


def same_history(want: list[dict[str, Any]], got: list[dict[str, Any]]) -> None:
    """States may be merged on either side, but those that both have come in the same order, and the last ones are the same."""
    wanted = distinct(want)
    seen = distinct(got)
    position = 0
    for entry in (entry for entry in seen if entry in wanted):
        if entry not in wanted[position:]:
            raise Differs(f"history: {entry} comes late in {seen}, where it should be {wanted}")
        position = wanted.index(entry, position)
    if seen[-1] != wanted[-1]:
        raise Differs(f"history ends with {seen[-1]}, not {wanted[-1]}")


def distinct(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    result: list[dict[str, Any]] = []
    for entry in entries:
        if "deleting" in entry and all("running" not in state for state in entry.get("containers", {}).values()):
            # Since 1.22 the phase becomes terminal before the object goes, and the conditions with it.
            entry = {**entry, "phase": "", "conditions": {}}
        if entry["event"] == "DELETED":
            entry = {**entry, "deleting": 0}
        kept = {**entry, "conditions": {k: v for k, v in entry["conditions"].items() if k not in REPEATED_CONDITIONS}}
        if "containers" in kept and (not result or result[-1] != kept):
            result.append(kept)
    return result
