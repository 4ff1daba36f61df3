"""Rules by which a test server fails: which requests, which of them, and how. Pure, but for the counts that a rule keeps."""

from __future__ import annotations

import fnmatch
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from pybernetes.api import errors
from pybernetes.api.durations import parse_duration
from pybernetes.api.errors import StatusError

from ..types import RequestInfo

READS = ("get", "list", "watch")
WRITES = ("create", "update", "patch", "delete", "deletecollection")
VERBS = (*READS, *WRITES)
GROUPS_OF_VERBS = {"*": VERBS, "read": READS, "write": WRITES}
MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"
MESSAGE = "injected by the test"
OBJECTS = 10_000  # that a rule with per="object" counts; others are not hit


class FaultError(ValueError):
    """What a rule says wrong; the text names the field and what it may be."""


REASONS = {
    "BadRequest": 400,
    "Unauthorized": 401,
    "Forbidden": 403,
    "NotFound": 404,
    "AlreadyExists": 409,
    "Conflict": 409,
    "Expired": 410,
    "Invalid": 422,
    "TooManyRequests": 429,
    "InternalError": 500,
    "ServiceUnavailable": 503,
    "Timeout": 504,
}
REASON_OF = {code: reason for reason, code in REASONS.items() if reason != "AlreadyExists"}


@dataclass(kw_only=True)
class Fault:
    """One rule. Texts in `resource` (`pods`, `deployments.apps`, `pods/status`), `namespace`, `name` and `user` may have `*` and `?`.

    Which of the requests that match are hit: all, or those after the first `skip`, only the `nth`, at most `times`, each with the
    `probability`, by dice of the `seed`; counted by rule or (`per="object"`) for each object.

    What happens to them: after a `delay` (2.5 or "2s"; alone it is only that) one of
    `error`  a reason or code; with `message`, `retry_after` (seconds) and, where `after` is true, only when the request has been done;
    `drop`   the connection ends without an answer, with `after` when the request has been done; a watch after its `delay`;
    `gone`   410 Expired: a watch's end after its `delay`, and the answer to a list's continue token;
    `stale`  a get or list has the answer that the same request had before, as from a server whose cache is behind.
    """

    verb: str | Sequence[str] = "*"
    resource: str = "*"
    namespace: str = "*"
    name: str = "*"
    user: str = ""  # of nobody: everybody but the cluster's own parts
    skip: int = 0
    nth: int = 0
    times: int = 0
    probability: float = 1.0
    seed: int = 0
    per: str = "rule"
    delay: float | str = 0.0
    error: str | int = ""
    message: str = ""
    retry_after: int = 0
    after: bool = False
    drop: bool = False
    gone: bool = False
    stale: bool = False
    hits: int = field(default=0, init=False)
    _seen: dict[str, int] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        """FaultError."""
        given = tuple(self.verb) if isinstance(self.verb, list | tuple) else (self.verb,)
        unknown = [
            one for one in given if not isinstance(one, str) or (one not in VERBS and one not in GROUPS_OF_VERBS)
        ]
        if unknown or not given:
            raise FaultError(f"verb={self.verb!r}: want some of {', '.join((*VERBS, *GROUPS_OF_VERBS))}")
        self._verbs = {one for verb in given for one in GROUPS_OF_VERBS.get(verb, (verb,))}
        for name in ("resource", "namespace", "name", "user", "message"):
            if not isinstance(getattr(self, name), str):
                raise FaultError(f"{name}={getattr(self, name)!r}: want a text")
        for name in ("skip", "nth", "times", "retry_after", "seed"):
            number = getattr(self, name)
            if isinstance(number, bool) or not isinstance(number, int) or number < 0:
                raise FaultError(f"{name}={number!r}: want a number, 0 or more")
        for name in ("after", "drop", "gone", "stale"):
            if not isinstance(getattr(self, name), bool):
                raise FaultError(f"{name}={getattr(self, name)!r}: want true or false")
        if not isinstance(self.probability, int | float) or not 0 < self.probability <= 1:
            raise FaultError(f"probability={self.probability!r}: want a number above 0, at most 1")
        if self.per not in ("rule", "object"):
            raise FaultError(f'per={self.per!r}: want "rule" or "object"')
        self.seconds = _seconds(self.delay)
        self._check_effect()
        self._dice = random.Random(self.seed)

    def _check_effect(self) -> None:
        effects = [name for name in ("error", "drop", "gone", "stale") if getattr(self, name)]
        if len(effects) > 1:
            raise FaultError(f"{' and '.join(effects)}: want one of them in a rule")
        if not effects and not self.seconds:
            raise FaultError("a rule that does nothing: want error, drop, gone, stale or delay")
        code = REASONS.get(self.error) if isinstance(self.error, str) else self.error
        if self.error and (isinstance(code, bool) or code is None or not 400 <= code <= 599):
            raise FaultError(f"error={self.error!r}: want a code from 400 to 599, or one of {', '.join(REASONS)}")
        self.code = code or 0
        for name, verbs in (("gone", {"watch", "list"}), ("stale", {"get", "list"})):
            if getattr(self, name) and not self._verbs & verbs:
                raise FaultError(f"{name}: it is of {' and '.join(sorted(verbs))}, and verb={self.verb!r} is neither")
        if self.after and not (self.error or self.drop):
            raise FaultError("after: want error or drop beside it")
        if (self.message or self.retry_after) and not self.error:
            raise FaultError("message and retry_after: want error beside them")

    @classmethod
    def read(cls, rule: object) -> Fault:
        """Of a mapping as YAML and JSON have it, by the names of the arguments; a Fault is itself. FaultError."""
        if isinstance(rule, Fault):
            return rule
        if not isinstance(rule, Mapping):
            raise FaultError(f"{rule!r}: want a rule, with some of {', '.join(NAMES)}")
        unknown = sorted(str(name) for name in rule if name not in NAMES)
        if unknown:
            raise FaultError(f"{unknown[0]}: there is {', '.join(NAMES)}")
        return cls(**rule)

    def matches(self, info: RequestInfo, user: str, continued: bool, is_part: bool) -> bool:
        """Whether it speaks of a request; `continued`: with a continue token; `is_part`: by the cluster's own parts."""
        if not info.is_resource or info.verb not in self._verbs:
            return False
        if self.gone and info.verb != "watch" and not (info.verb == "list" and continued):
            return False
        if self.stale and info.verb not in ("get", "list"):
            return False
        if not self.user and is_part:
            return False
        return (
            fnmatch.fnmatchcase(user, self.user or "*")
            and fnmatch.fnmatchcase(info.namespace, self.namespace)
            and fnmatch.fnmatchcase(info.name, self.name)
            and any(fnmatch.fnmatchcase(name, self.resource) for name in _names(info))
        )

    def hit(self, info: RequestInfo, name: str) -> bool:
        """Counts a request that matches; whether it is one of those that fail. `name`: of the object, from path or body."""
        counted = f"{info.group}/{info.resource}/{info.namespace}/{name}" if self.per == "object" else ""
        if counted not in self._seen and len(self._seen) >= OBJECTS:
            return False
        number = self._seen[counted] = self._seen.get(counted, 0) + 1
        chosen = number == self.nth if self.nth else number > self.skip
        if not chosen or (self.times and number > self.skip + self.times):
            return False
        if self.probability < 1 and self._dice.random() >= self.probability:
            return False
        self.hits += 1
        return True

    def status(self, info: RequestInfo, name: str) -> StatusError:
        """The failure that the client is told."""
        reason = self.error if isinstance(self.error, str) and self.error else REASON_OF.get(self.code, "")
        if reason == "Conflict" and not self.message:
            return errors.conflict(info.group, info.resource, name, MODIFIED)
        if reason == "NotFound" and not self.message:
            return errors.not_found(info.group, info.resource, name)
        if reason == "AlreadyExists" and not self.message:
            return errors.already_exists(info.group, info.resource, name)
        details: dict[str, Any] = {"name": name, "group": info.group, "kind": info.resource}
        if self.retry_after:
            details["retryAfterSeconds"] = self.retry_after
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message or MESSAGE,
            **({"reason": reason} if reason else {}),
            "details": {key: value for key, value in details.items() if value},
            "code": self.code,
        }
        return StatusError(status)


NAMES = tuple(one.name for one in fields(Fault) if one.init)


def _names(info: RequestInfo) -> Sequence[str]:
    """How a rule may call the resource of a request."""
    of_group = f"{info.resource}.{info.group}" if info.group else info.resource
    if not info.subresource:
        return info.resource, of_group
    return f"{info.resource}/{info.subresource}", f"{of_group}/{info.subresource}"


def _seconds(given: object) -> float:
    try:
        seconds = parse_duration(given) if isinstance(given, str) else float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        seconds = -1.0
    if isinstance(given, bool) or not 0 <= seconds < float("inf"):
        raise FaultError(f"delay={given!r}: want seconds, or a duration as 500ms or 1m30s")
    return seconds
