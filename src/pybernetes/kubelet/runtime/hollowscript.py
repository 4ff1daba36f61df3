"""What a container of a hollow pod pretends to do, as the pod's annotations say (upstream: kwok's stages).

`hollow.pybernetes.dev/NAME` holds for all containers of a pod, `CONTAINER.hollow.pybernetes.dev/NAME` for one. Without any,
init containers end well at once, containers of pods that are to end (restartPolicy Never or OnFailure, as a Job's) after a
second, and all others run until they are stopped.

exit-code    what a run ends with; one that would run on ends, too
exit-after   how long a run lasts: 500ms, 1m
exit-reason  why it ended, as its status says: OOMKilled
never-ready  "true": readiness fails for ever
pull-error   the image cannot be pulled: the message
logs         what `kubectl logs` shows, and `kubectl attach`
exec-output, exec-exit-code: what every command run in the container prints and ends with
port-forward: PORT=LOCAL,...: who forwards PORT of the pod reaches this machine's own port LOCAL
exec-handler: a function of the process that runs the nodes answers, by the name under which it was registered there
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pybernetes.api.durations import parse_duration

DOMAIN = "hollow.pybernetes.dev"
NAMES = (
    *("exit-code", "exit-after", "exit-reason", "never-ready", "pull-error", "logs"),
    *("exec-output", "exec-exit-code", "exec-handler", "port-forward"),
)
MOMENT = 1.0  # how long a container runs that is to end
NO_CONTAINERS = "hollow nodes run no containers"
MAX_EXIT_CODE, MAX_PORT = 255, 65535
MAX_PORTS = 100


class ScriptError(ValueError):
    """An annotation that says nothing sensible; the message names it."""


@dataclass(frozen=True, slots=True)
class Script:
    """`exit_after` None: until it is stopped; `logs` and `exec_output` None: nothing was said of them."""

    exit_code: int = 0
    exit_after: float | None = None
    never_ready: bool = False
    pull_error: str = ""
    logs: str | None = None
    exec_output: str | None = None
    exec_exit_code: int = 0
    exit_reason: str = ""
    exec_handler: str = ""
    ports: tuple[tuple[int, int], ...] = ()  # (of the pod, of this machine)

    def forwarded(self, port: int) -> int | None:
        """The port of this machine that stands for one of the pod's."""
        return dict(self.ports).get(port)


def is_scripted(annotations: Mapping[str, str]) -> bool:
    """Whether any annotation is ours."""
    return any(key.partition("/")[0].endswith(DOMAIN) for key in annotations)


def script(annotations: Mapping[str, str], container: str, *, init: bool = False, ends: bool = False) -> Script:
    """`ends`: a run of this container is meant to end. ScriptError for an annotation that is none of these, or a senseless value."""
    words: dict[str, str] = {}
    for prefix in (f"{DOMAIN}/", f"{container}.{DOMAIN}/"):
        words |= {key.removeprefix(prefix): text for key, text in annotations.items() if key.startswith(prefix)}
    unknown = sorted(set(words) - set(NAMES))
    if unknown:
        raise ScriptError(f"annotation {DOMAIN}/{unknown[0]}: there are {', '.join(NAMES)}")
    after: float | None = 0.0 if init else MOMENT if ends or "exit-code" in words else None
    if "exit-after" in words:
        after = _duration("exit-after", words["exit-after"])
    return Script(
        _code("exit-code", words.get("exit-code", "0")),
        after,
        words.get("never-ready") == "true",
        words.get("pull-error", ""),
        words.get("logs"),
        words.get("exec-output"),
        _code("exec-exit-code", words.get("exec-exit-code", "0")),
        words.get("exit-reason", ""),
        words.get("exec-handler", ""),
        _ports(words["port-forward"]) if "port-forward" in words else (),
    )


def _duration(name: str, text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise ScriptError(f"annotation {DOMAIN}/{name}: {error}") from error
    if seconds < 0:
        raise ScriptError(f"annotation {DOMAIN}/{name}: {text!r} is in the past")
    return seconds


def _ports(text: str) -> tuple[tuple[int, int], ...]:
    pairs = [pair.partition("=") for pair in text.split(",")]
    numbers = [one for port, _, local in pairs for one in (port, local)]
    if len(pairs) > MAX_PORTS or not all(_is_port(one) for one in numbers):
        raise ScriptError(
            f"annotation {DOMAIN}/port-forward: {text[:100]!r} is not PORT=LOCAL,... of ports from 1 to {MAX_PORT}"
        )
    return tuple((int(port), int(local)) for port, _, local in pairs)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) <= MAX_PORT


def _code(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= MAX_EXIT_CODE):
        raise ScriptError(f"annotation {DOMAIN}/{name}: {text!r} is no exit code (0 to {MAX_EXIT_CODE})")
    return int(text)
