"""What a container of a hollow pod pretends to do, as the pod's annotations say (upstream: kwok's stages).

`hollow.pybernetes.dev/NAME` holds for all containers of a pod, `CONTAINER.hollow.pybernetes.dev/NAME` for one. Without any,
init containers end well at once, containers of pods that are to end (restartPolicy Never or OnFailure, as a Job's) after a
second, and all others run until they are stopped.

exit-code    what a run ends with; one that would run on ends, too
exit-after   how long a run lasts: 500ms, 1m
exit-reason  why it ended, as its status says: OOMKilled
never-ready  "true": readiness fails for ever
pull-error   the image cannot be pulled: the message
logs         what `kubectl logs` shows
exec-output, exec-exit-code: what every command run in the container prints and ends with
exec-handler: a function of the process that runs the nodes answers, by the name under which it was registered there
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pybernetes.api.durations import parse_duration

DOMAIN = "hollow.pybernetes.dev"
NAMES = (
    *("exit-code", "exit-after", "exit-reason", "never-ready", "pull-error", "logs"),
    *("exec-output", "exec-exit-code", "exec-handler"),
)
MOMENT = 1.0  # how long a container runs that is to end
NO_CONTAINERS = "hollow nodes run no containers"
MAX_EXIT_CODE = 255


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
    )


def _duration(name: str, text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise ScriptError(f"annotation {DOMAIN}/{name}: {error}") from error
    if seconds < 0:
        raise ScriptError(f"annotation {DOMAIN}/{name}: {text!r} is in the past")
    return seconds


def _code(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= MAX_EXIT_CODE):
        raise ScriptError(f"annotation {DOMAIN}/{name}: {text!r} is no exit code (0 to {MAX_EXIT_CODE})")
    return int(text)
