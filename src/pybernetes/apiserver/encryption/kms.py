"""Envelope encryption with a KMS v2 plug-in: values are sealed with keys derived from a seed, the plug-in seals the seed.

The seed is made anew when the plug-in's Status names another key. Reads need the plug-in once for each seed; writes go on for three minutes after
it was last well (upstream: encrypt/envelope/kmsv2/envelope.go, server/options/encryptionconfig/config.go).
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
import uuid
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import timedelta

from pybernetes.aio.clock import Clock
from pybernetes.aio.ending import end
from pybernetes.api import field, times
from pybernetes.store.transformed import Plain, TransformError, Unreadable

from . import kmsobject
from .aes import GCM, SEED, SeededGCM
from .kmsobject import EncryptedObject
from .kmsservice import Encrypted, KMSError, KMSService, Status
from .metrics import EncryptionMetrics, digest
from .transformers import Cipher

_log = logging.getLogger(__name__)

POSITIVE_SECONDS, NEGATIVE_SECONDS = 60.0, 10.0  # between looks at the plug-in, as it is well and as it is not
WRITE_SECONDS = 180.0  # that a seed is written with after the plug-in was last seen well
ANSWER_SECONDS, FAILURE_SECONDS = 20.0, 3.0  # that what came of a look holds for health checks
CACHE_SECONDS = 24 * 3600.0  # that a data key is kept after its last use
MAX_DATA_KEYS = 10_000  # that are kept; there are as many as starts of servers and keys of the plug-in
VERSIONS = ("v2", "v2beta1")

DataKey = tuple[int, bytes, str, tuple[tuple[str, bytes], ...]]


@dataclass(frozen=True, slots=True)
class State:
    """What is written with. `expires` is on the monotonic clock."""

    cipher: Cipher
    sealed: EncryptedObject  # without data
    expires: float


class KMS:
    """One plug-in of the configuration: the `Cipher` of its prefix, and how it is. Between `start` and `close` it is looked at."""

    def __init__(self, name: str, service: KMSService, metrics: EncryptionMetrics, clock: Clock) -> None:
        self.name, self._service, self._metrics, self._clock = name, service, metrics, clock
        self._state: State | None = None
        self._version = ""
        self._looking = asyncio.Lock()
        self._problem, self._until = "", float("-inf")  # what came of the last look, and until when that holds
        self._opened: OrderedDict[DataKey, tuple[Cipher, float]] = OrderedDict()  # with the time of the last use
        self._failed: dict[
            DataKey, tuple[KMSError, float]
        ] = {}  # not asked again at once: a list would wait for each value
        self._task: asyncio.Task[None] | None = None
        self.recovered = asyncio.Event()  # set when the plug-in is well, having been unwell; who acts on it clears it

    # Cipher.

    async def seal(self, value: bytes, data: bytes) -> bytes:
        """TransformError where the plug-in was not well for too long."""
        state = self._state
        if state is None:
            raise TransformError("got unexpected nil transformer")
        now = self._clock.monotonic()
        if now > state.expires:
            expired = self._clock.now() + timedelta(seconds=state.expires - now)
            raise TransformError(
                f"encryptedDEKSource with keyID hash {field.quote(digest(state.sealed.key_id))} expired at "
                f"{times.format_time(expired)} (current time is {times.format_time(self._clock.now())})"
            )
        self._keep(state.sealed.data_key, state.cipher)
        sealed = await state.cipher.seal(value, data)
        self._metrics.key_used("to_storage", self.name, state.sealed.key_id, self._clock.now().timestamp())
        return state.sealed.holding(sealed).encode()

    async def open(self, stored: bytes, data: bytes) -> Plain:
        """TransformError. The plug-in is asked where the data key is not known."""
        envelope = kmsobject.decode(stored)
        state = self._state
        if state is None:
            raise Unreadable("got unexpected nil transformer")
        cipher = await self._cipher(envelope)
        self._metrics.key_used("from_storage", self.name, envelope.key_id, self._clock.now().timestamp())
        plain = await cipher.open(envelope.data, data)
        current = (state.sealed.key_id, state.sealed.kind)
        return replace(plain, stale=(envelope.key_id, envelope.kind) != current)

    async def _cipher(self, envelope: EncryptedObject) -> Cipher:
        kept, now = self._opened.get(envelope.data_key), self._clock.monotonic()
        if kept is not None:
            self._keep(envelope.data_key, kept[0])
            return kept[0]
        failed = self._failed.get(envelope.data_key)
        if failed is not None and now < failed[1]:
            raise failed[0]
        self._metrics.cache_misses.inc()
        try:
            key = await self._service.decrypt(
                Encrypted(envelope.source, envelope.key_id, envelope.annotations), str(uuid.uuid4())
            )
        except KMSError as error:
            told = KMSError(error.status, "")
            told.args = (f"failed to decrypt DEK, error: {error}",)
            if len(self._failed) >= MAX_DATA_KEYS:
                self._failed.clear()
            self._failed[envelope.data_key] = told, self._clock.monotonic() + FAILURE_SECONDS
            raise told from error
        try:
            cipher = SeededGCM(key) if envelope.kind == kmsobject.SEED else GCM(key)
        except ValueError as error:
            raise Unreadable(f"crypto/aes: invalid key size {len(key)}") from error
        self._keep(envelope.data_key, cipher)
        return cipher

    def _keep(self, key: DataKey, cipher: Cipher) -> None:
        """As used now; those whose last use is long ago go."""
        opened, now = self._opened, self._clock.monotonic()
        opened[key] = cipher, now
        opened.move_to_end(key)
        while len(opened) > MAX_DATA_KEYS or next(iter(opened.values()))[1] < now - CACHE_SECONDS:
            opened.popitem(last=False)
        self._metrics.cached_keys.set(len(opened), self.name)

    # How the plug-in is.

    async def start(self) -> None:
        """Looks once, then again and again; a plug-in that is not there yet is no failure."""
        await self._looked()
        self._task = asyncio.get_running_loop().create_task(self._keep_looking())

    async def close(self) -> None:
        """Ends what `start` began, and the connection."""
        await end(self._task)
        await self._service.close()

    async def _keep_looking(self) -> None:
        while True:
            await self._clock.sleep(NEGATIVE_SECONDS if self._problem else POSITIVE_SECONDS)
            await self._looked()

    async def _looked(self) -> None:
        problem = await self.check(fresh=True)
        if problem:
            _log.error("kms plugin %s failed health check probe: %s", self.name, problem)

    async def check(self, *, fresh: bool = False) -> str:
        """What is wrong; "" for nothing. What was found is good for some seconds, unless it is to be `fresh`."""
        async with self._looking:
            if not fresh and self._clock.monotonic() < self._until:
                return self._problem
            before = self._problem or ("" if self._state else "unseen")
            try:
                self._problem = await self._judged(await self._service.status())
            except KMSError as error:
                self._problem = (
                    "failed to perform status section of the healthz check for KMS Provider "
                    f"{self.name}, error: {error}"
                )
            self._until = self._clock.monotonic() + (FAILURE_SECONDS if self._problem else ANSWER_SECONDS)
            if before and not self._problem:
                self._failed.clear()
                self.recovered.set()
            return self._problem

    async def _judged(self, status: Status) -> str:
        problems = []
        if status.healthz != "ok":
            problems.append(f"got unexpected healthz status: {status.healthz}")
        if status.version not in VERSIONS:
            problems.append(f"expected KMSv2 API version {VERSIONS[0]}, got {status.version}")
        else:
            self._version = self._version or status.version
            if status.version != self._version:
                changed = f"initial status response version {self._version}, got {status.version}"
                problems.append(f"KMSv2 API version should not change after the {changed}")
        wrong = kmsobject.key_id_problem(status.key_id)
        if wrong is not None:
            self._metrics.invalid_key_ids.inc(self.name, wrong[0])
            problems.append(f"got invalid KMSv2 KeyID hash {field.quote(digest(status.key_id))}: {wrong[1]}")
        else:
            self._metrics.key_told(self.name, status.key_id, self._clock.now().timestamp())
            problems.append(await self._follow_key(status.key_id))
        told = [problem for problem in problems if problem]
        if not told:
            return ""
        text = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
        return f"kmsv2 Provider {self.name} is not healthy, error: {text}"

    async def _follow_key(self, key_id: str) -> str:
        """Goes on with the seed, or makes one where the plug-in has turned to another key: "", or why that failed."""
        state, expires = self._state, self._clock.monotonic() + WRITE_SECONDS
        if state is not None and state.sealed.key_id == key_id:
            self._state = replace(state, expires=expires)
            return ""
        uid, sealed = str(uuid.uuid4()), None
        try:
            cipher, sealed = await self._new_seed(uid)
            problem = ""
        except TransformError as error:
            problem = str(error)
        if sealed is not None and not problem and sealed.key_id == key_id:
            self._state = State(cipher, sealed, expires)
            return ""
        before = "<nil>" if state is not None else "got unexpected nil transformer"
        return (
            f"failed to rotate DEK uid={field.quote(uid)}, useSeed=true, errState={before}, errGen={problem or '<nil>'}, "
            f"statusKeyIDHash={field.quote(digest(key_id))}, "
            f"encryptKeyIDHash={field.quote(digest(sealed.key_id if sealed else ''))}, "
            f"stateKeyIDHash={field.quote(digest(state.sealed.key_id if state else ''))}"
        )

    async def _new_seed(self, uid: str) -> tuple[Cipher, EncryptedObject]:
        """TransformError."""
        started = time.perf_counter()
        seed = os.urandom(SEED)
        self._metrics.key_seconds.observe(time.perf_counter() - started)
        try:
            encrypted = await self._service.encrypt(seed, uid)
        except KMSError as error:
            raise TransformError(f"failed to encrypt DEK, error: {error}") from error
        sealed = EncryptedObject(encrypted.key_id, encrypted.ciphertext, encrypted.annotations)
        problem = kmsobject.problem_of(sealed, with_data=False)
        if problem:
            raise TransformError(problem)
        return SeededGCM(seed), sealed
