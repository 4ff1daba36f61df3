"""Pulling images with a pod's credentials, and freeing the disk of those nobody uses (upstream: pkg/kubelet/images, pkg/credentialprovider)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fnmatch
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pybernetes.api.types import core_v1 as core

from ..interfaces import ImageService
from .types import Image, RuntimeFailure

logger = logging.getLogger(__name__)

DOCKER_CONFIG_JSON, DOCKER_CONFIG = ".dockerconfigjson", ".dockercfg"
# A reference: [host[:port]/]path[:tag][@digest] (distribution/reference).
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
REFERENCE = re.compile(
    rf"(?:{_HOST}/)?{_PART}(?:/{_PART})*(?::[\w][\w.-]{{0,127}})?(?:@([A-Za-z][\w.+-]*):([0-9a-fA-F]{{32,}}))?",
    re.ASCII,
)
_IDENTIFIER = re.compile("[a-f0-9]{64}")  # which engines take for an image's ID
NAME_CHARACTERS = 255  # of what is behind the host
DIGESTS = {"sha256": 64, "sha384": 96, "sha512": 128}  # hexadecimal digits of each algorithm (opencontainers/go-digest)
DOCKER_HUB = ("docker.io", "index.docker.io")  # whose names without an owner are library's
GetSecret = Callable[[str, str], Awaitable["core.Secret | None"]]  # (name, namespace)


def check_reference(image: str) -> None:
    """RuntimeFailure with InvalidImageName where it is no image's name."""
    if reason := _refusal(image):
        text = f'Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": {reason}'
        raise RuntimeFailure(text, "InvalidImageName")


def _refusal(image: str) -> str:
    """Why it cannot be parsed, "" where it can (distribution/reference: ParseNormalizedNamed)."""
    if _IDENTIFIER.fullmatch(image):
        return f"invalid repository name ({image}), cannot specify 64-byte hexadecimal strings"
    first, slash, rest = image.partition("/")
    behind = rest if slash and _is_host(first) else image
    name = behind.partition("@")[0].partition(":")[0]
    if name.lower() != name:
        remote = behind.partition(":")[0]
        if "/" not in remote and (behind is image or first in DOCKER_HUB):
            remote = f"library/{remote}"
        return f"invalid reference format: repository name ({remote}) must be lowercase"
    parsed = REFERENCE.fullmatch(image)
    if parsed is None:
        return "invalid reference format"
    if len(name) > NAME_CHARACTERS:
        return f"repository name must not be more than {NAME_CHARACTERS} characters"
    algorithm, digits = parsed.groups()
    if algorithm is None:
        return ""
    if algorithm not in DIGESTS:
        return "unsupported digest algorithm"
    if len(digits) != DIGESTS[algorithm]:
        return "invalid checksum digest length"
    return "invalid checksum digest format" if digits.lower() != digits else ""


def _is_host(part: str) -> bool:
    """What is before the first slash is the registry's host, or part of the name."""
    return "." in part or ":" in part or part == "localhost"


def registry_of(image: str) -> str:
    """The registry's host, docker.io where none is named."""
    first, slash, _ = image.partition("/")
    if slash and _is_host(first):
        return first
    return "docker.io"


def credentials(secrets: Sequence[core.Secret], image: str) -> list[dict[str, str]]:
    """What the pull secrets have for an image, the most specific first; broken secrets are passed over."""
    pairs: list[tuple[str, dict[str, str]]] = []
    for secret in secrets:
        for server, entry in _entries(secret).items():
            if _matches(server, image) and isinstance(entry, dict):
                pairs.append((server, _auth_config(server, entry)))
    return [auth for _, auth in sorted(pairs, key=lambda pair: -len(pair[0]))]


def _entries(secret: core.Secret) -> Mapping[str, Any]:
    try:
        if DOCKER_CONFIG_JSON in secret.data:
            return dict(json.loads(secret.data[DOCKER_CONFIG_JSON])["auths"])
        return dict(json.loads(secret.data.get(DOCKER_CONFIG, b"{}")))
    except (ValueError, KeyError, TypeError) as error:
        logger.warning("pull secret %s/%s: %s", secret.metadata.namespace, secret.metadata.name, error)
        return {}


def _matches(server: str, image: str) -> bool:
    """Whether a server of a docker config is the image's; hosts may have wildcards, paths are prefixes."""
    place = re.sub(r"^https?://", "", server).rstrip("/")
    registry = registry_of(image)
    if registry == "docker.io" and place.rstrip("/").removesuffix("/v1").removesuffix("/v2") in (
        "index.docker.io",
        "docker.io",
    ):
        return True
    host, _, path = place.partition("/")
    pattern_host, _, rest = image.partition("/")
    path = path.removesuffix("v1").removesuffix("v2").strip("/")
    return (
        fnmatch.fnmatchcase(registry, host)
        and pattern_host == registry
        and (not path or rest == path or rest.startswith(path + "/"))
    )


def _auth_config(server: str, entry: Mapping[str, Any]) -> dict[str, str]:
    user, password = str(entry.get("username", "")), str(entry.get("password", ""))
    if entry.get("auth") and not user:
        try:
            user, _, password = base64.b64decode(str(entry["auth"])).decode().partition(":")
        except ValueError as error:
            logger.warning("the auth of %s in a pull secret is no base64: %s", server, error)
    return {"username": user, "password": password, "serveraddress": server}


def encoded(auth: Mapping[str, str]) -> str:
    """The X-Registry-Auth header."""
    return base64.urlsafe_b64encode(json.dumps(auth).encode()).decode()


class PullFailure(RuntimeFailure):
    """`missing_secrets`: those of the pod's pull secrets that are not there, which may be why."""

    def __init__(self, message: str, missing_secrets: Sequence[str]) -> None:
        super().__init__(message, "ErrImagePull")
        self.missing_secrets = tuple(missing_secrets)


class ImagePuller:
    """Implements interfaces.Images."""

    def __init__(self, runtime: ImageService, get_secret: GetSecret, at_once: int = 0) -> None:
        """`at_once`: how many images are pulled at a time (serializeImagePulls, maxParallelImagePulls); 0: any number."""
        self._runtime, self._get_secret = runtime, get_secret
        self._gate = asyncio.Semaphore(at_once) if at_once else contextlib.nullcontext()

    async def present(self, pod: core.Pod, image: str) -> Image | None:
        return await self._runtime.image_status(image)

    async def pull(self, pod: core.Pod, image: str) -> Image:
        """Tries each credential, none where there are none. RuntimeFailure with the waiting reason's message."""
        check_reference(image)
        secrets, missing = [], []
        for reference in pod.spec.image_pull_secrets:
            secret = await self._get_secret(reference.name, pod.metadata.namespace) if reference.name else None
            if secret is not None:
                secrets.append(secret)
            elif reference.name:
                missing.append(reference.name)
        last: RuntimeFailure | None = None
        for auth in [*map(encoded, credentials(secrets, image)), ""] if secrets else [""]:
            try:
                async with self._gate:
                    return await self._runtime.pull_image(image, auth)
            except RuntimeFailure as error:
                last = last or error
        raise PullFailure(f"rpc error: code = Unknown desc = {last}", missing)


@dataclass(frozen=True, slots=True)
class CollectionPolicy:
    """--image-gc-high-threshold, --image-gc-low-threshold, --minimum-image-ttl-duration."""

    high_percent: int = 85
    low_percent: int = 80
    minimum_age: timedelta = timedelta(minutes=2)
    maximum_age: timedelta = timedelta(0)  # imageMaximumGCAge: what was unused for longer goes anyway; 0: never


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """An image and when the kubelet saw it first and used last."""

    image: Image
    first_seen: datetime
    last_used: datetime


def to_free(policy: CollectionPolicy, capacity: int, available: int) -> int:
    """How many bytes are to be freed; 0 under the high threshold."""
    if capacity <= 0 or 100 - available * 100 // capacity < policy.high_percent:
        return 0
    return capacity * (100 - policy.low_percent) // 100 - available


def too_old(records: Sequence[ImageRecord], in_use: set[str], policy: CollectionPolicy, now: datetime) -> list[Image]:
    """Those that nobody has used for longer than imageMaximumGCAge, however much room there is (freeOldImages)."""
    if not policy.maximum_age:
        return []
    return [
        record.image
        for record in records
        if record.image.id not in in_use and now - max(record.last_used, record.first_seen) > policy.maximum_age
    ]


def to_remove(
    records: Sequence[ImageRecord], in_use: set[str], bytes_to_free: int, policy: CollectionPolicy, now: datetime
) -> list[Image]:
    """The images to remove until so many bytes are free: the longest unused first, none that is in use or too young."""
    chosen, freed = [], 0
    for record in sorted(records, key=lambda r: (r.last_used, r.first_seen)):
        if freed >= bytes_to_free:
            break
        if record.image.id in in_use or record.last_used >= now or now - record.first_seen < policy.minimum_age:
            continue
        chosen.append(record.image)
        freed += record.image.size
    return chosen
