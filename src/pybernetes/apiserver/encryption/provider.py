"""The transformers of all resources, made of the configuration's file, and made anew when it changes.

Upstream: apiserver/pkg/server/options/encryptionconfig (config.go, controller/controller.go).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field

from pybernetes.aio.clock import Clock
from pybernetes.aio.ending import end
from pybernetes.api import durations, gobase64
from pybernetes.api import field as fields
from pybernetes.store.transformed import Plain, Transformer

from .. import configdocument
from ..configdocument import DocumentError, Object
from . import configuration
from .aes import CBC, GCM
from .configuration import ANY, GroupResource
from .kms import KMS
from .kmsservice import KMSService
from .metrics import EncryptionMetrics, digest
from .secretbox import Secretbox
from .transformers import Cipher, Identity, Prefixed, Prefixes

_log = logging.getLogger(__name__)

LOOK_SECONDS = 60.0  # between looks at the file (EncryptionConfigFileChangePollDuration)
GRACE_SECONDS = 10.0  # that new plug-ins have to be well, at least
HEALTH_RETRY_SECONDS = 0.1
WHAT = "encryption provider configuration"
KMS_V1 = (
    "KMSv1 is deprecated and will only receive security updates going forward. Use KMSv2 instead.  "
    "Set --feature-gates=KMSv1=true to use the deprecated KMSv1 feature."
)
_CIPHERS: Mapping[str, tuple[str, Callable[[bytes], Cipher]]] = {
    "aesgcm": ("AES", GCM),
    "aescbc": ("AES", CBC),
    "secretbox": ("Secretbox", Secretbox),
}


@dataclass(frozen=True, slots=True)
class _Keys:
    """The keys of one provider: the first one writes."""

    keys: Sequence[Prefixed]
    no_match: str


@dataclass(frozen=True, slots=True)
class _Provider:
    """One of an entry, and what its values begin with."""

    prefix: bytes
    cipher: Cipher | _Keys


@dataclass(frozen=True, slots=True)
class Loaded:
    """One reading of the file: the ciphers of each entry by what it names, and the plug-ins."""

    ciphers: Mapping[GroupResource, Sequence[_Provider]]
    plugins: Sequence[KMS]
    grace: float  # seconds in which what is under way with these plug-ins ends
    file: str  # its digest
    chosen: dict[GroupResource, Transformer] = field(default_factory=dict)  # made as they are asked for


def load(path: str, reload: bool, metrics: EncryptionMetrics, clock: Clock) -> Loaded:
    """Reads the file; nothing is started. DocumentError, in upstream's words."""
    try:
        data = configdocument.read(path, WHAT)
    except DocumentError as error:
        raise DocumentError(f"error while parsing file: error while loading file: {error}") from error
    try:
        entries = configuration.parse(data, reload)
    except DocumentError as error:
        raise DocumentError(f"error while parsing file: {error}") from error
    ciphers: dict[GroupResource, list[_Provider]] = {}
    plugins: list[KMS] = []
    grace = 0.0
    try:
        for entry in entries:
            transformers = [_prefixed(provider, metrics, clock) for provider in entry["providers"]]
            plugins += [one.cipher for one in transformers if isinstance(one.cipher, KMS)]
            grace += sum(durations.parse_duration(p["kms"]["timeout"]) for p in entry["providers"] if "kms" in p)
            for name in map(configuration.group_resource, entry["resources"]):
                for wide in ((name[0], "*"), ANY):
                    if wide in ciphers:
                        earlier = fields.quote(configuration.told(wide))
                        raise DocumentError(
                            f"resource {fields.quote(configuration.told(name))} is masked by earlier rule {earlier}"
                        )
                ciphers.setdefault(name, []).extend(transformers)
    except DocumentError as error:
        raise DocumentError(f"error while building transformers: {error}") from error
    return Loaded(ciphers, plugins, 2 * grace, digest(data))


def _prefixed(provider: Object, metrics: EncryptionMetrics, clock: Clock) -> _Provider:
    [(name, settings)] = provider.items()
    if name == "identity":
        return _Provider(b"", Identity())
    if name == "kms":
        if settings["apiVersion"] == "v1":
            raise DocumentError(KMS_V1)
        seconds = durations.parse_duration(settings["timeout"])
        service = KMSService(settings["name"], settings["endpoint"], seconds, metrics)
        return _Provider(f"k8s:enc:kms:v2:{settings['name']}:".encode(), KMS(settings["name"], service, metrics, clock))
    family, make = _CIPHERS[name]
    keys = [Prefixed(f"{key['name']}:".encode(), make(gobase64.decode(key["secret"]))) for key in settings["keys"]]
    return _Provider(
        f"k8s:enc:{name}:v1:".encode(), _Keys(keys, f"no matching key was found for the provided {family} transformer")
    )


class _Bound:
    """A resource's ciphers as the store's `Transformer`."""

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher

    async def to_storage(self, key: str, value: bytes) -> bytes:
        """See `Transformer`."""
        return await self._cipher.seal(value, key.encode(errors="surrogateescape"))

    async def from_storage(self, key: str, stored: bytes) -> Plain:
        """See `Transformer`."""
        return await self._cipher.open(stored, key.encode(errors="surrogateescape"))


class Encryption:
    """Of one API server. `start` before the store is read, `close` after it was written for the last time."""

    def __init__(self, path: str, reload: bool, metrics: EncryptionMetrics, clock: Clock) -> None:
        """DocumentError."""
        self._path, self._reload, self.metrics, self._clock = path, reload, metrics, clock
        self._loaded = load(path, reload, metrics, clock)
        self._plain: Transformer = _Bound(Identity())
        self._tasks: set[asyncio.Task[None]] = set()
        # Told when values may be readable that were not: the file has changed, or a plug-in has come back.
        self.readable: list[Callable[[], Awaitable[None]]] = []

    @property
    def checked(self) -> bool:
        """Whether there is a check of health, `kms-providers`."""
        return self._reload or bool(self._loaded.plugins)

    def of(self, name: GroupResource) -> Transformer:
        """The transformer of a resource; what no entry names is stored as it is."""
        loaded = self._loaded
        transformer = loaded.chosen.get(name)
        if transformer is None:
            choices = next((loaded.ciphers[one] for one in (name, (name[0], "*"), ANY) if one in loaded.ciphers), None)
            shown = f"{name[1]}.{name[0]}" if name[0] else name[1]
            transformer = self._plain
            if choices is not None:
                transformer = _Bound(self._cipher(choices, shown))
            loaded.chosen[name] = transformer
        return transformer

    def _cipher(self, choices: Sequence[_Provider], resource: str) -> Cipher:
        """Of a resource, which is counted by name with each provider, and with each of its keys, as upstream does."""
        ciphers = [
            Prefixed(one.prefix, Prefixes(one.cipher.keys, one.cipher.no_match, self.metrics, resource))
            if isinstance(one.cipher, _Keys)
            else Prefixed(one.prefix, one.cipher)
            for one in choices
        ]
        return Prefixes(ciphers, "no matching prefix found", self.metrics, resource)

    async def start(self) -> None:
        """Looks at the plug-ins once, and then follows them and the file."""
        await self._started(self._loaded)
        self.metrics.applied(self._loaded.file)
        if self._reload:
            self._run(self._follow())

    async def close(self) -> None:
        """Ends what `start` began."""
        await end(*self._tasks)
        for plugin in self._loaded.plugins:
            await plugin.close()

    async def healthy(self) -> bool:
        """Whether all plug-ins are well; what is wrong is in the log, as probes that are asked for tell nobody."""
        return not [problem async for problem in _problems(self._loaded)]

    async def _started(self, loaded: Loaded) -> None:
        await asyncio.gather(*(plugin.start() for plugin in loaded.plugins))
        for plugin in loaded.plugins:
            plugin.recovered.clear()
            self._run(self._heal(plugin))

    def _run(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _heal(self, plugin: KMS) -> None:
        while plugin in self._loaded.plugins:
            await plugin.recovered.wait()
            plugin.recovered.clear()
            await self._tell()

    async def _tell(self) -> None:
        for told in self.readable:
            try:
                await told()
            except Exception:
                _log.exception("what could not be decrypted is not read again")

    async def _follow(self) -> None:
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except DocumentError as error:
                self.metrics.reloaded(False, self._clock.now().timestamp())
                _log.error("error processing encryption config file %s: %s", self._path, error)
            except Exception:
                self.metrics.reloaded(False, self._clock.now().timestamp())
                _log.exception("error processing encryption config file %s", self._path)

    async def look(self) -> None:
        """Takes the file's content where it has changed and its plug-ins are well; what was before stays where not. DocumentError."""
        if digest(await asyncio.to_thread(configdocument.read, self._path, WHAT)) == self._loaded.file:
            return
        loaded, before = load(self._path, True, self.metrics, self._clock), self._loaded
        try:
            await asyncio.gather(*(plugin.start() for plugin in loaded.plugins))
            await self._well(loaded)
        except BaseException:
            await asyncio.gather(*(plugin.close() for plugin in loaded.plugins))
            raise
        self._loaded = loaded
        for plugin in loaded.plugins:
            plugin.recovered.clear()
            self._run(self._heal(plugin))
        self.metrics.applied(loaded.file)
        self.metrics.reloaded(True, self._clock.now().timestamp())
        _log.info("the encryption configuration of %s is in use", self._path)
        self._run(self._closed(before))
        await self._tell()

    async def _well(self, loaded: Loaded) -> None:
        end = self._clock.monotonic() + max(loaded.grace, GRACE_SECONDS)
        while problems := [problem async for problem in _problems(loaded, fresh=True)]:
            if self._clock.monotonic() >= end:
                text = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
                raise DocumentError(f"health check for new transformers failed, polling error timed out: {text}")
            await self._clock.sleep(HEALTH_RETRY_SECONDS)

    async def _closed(self, before: Loaded) -> None:
        """After what is under way has ended."""
        try:
            await self._clock.sleep(before.grace)
        finally:
            for plugin in before.plugins:
                await plugin.close()
                plugin.recovered.set()  # for who waits for it, and ends


async def _problems(loaded: Loaded, *, fresh: bool = False) -> AsyncIterator[str]:
    for number, plugin in enumerate(loaded.plugins):
        problem = await plugin.check(fresh=fresh)
        if problem:
            yield f"kms-provider-{number}: {problem}"
