"""The typed client over HTTP (client-go's typed clients)."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from typing import Any, Literal, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from pybernetes.aio.clock import Clock, RealClock
from pybernetes.api import errors, mediatypes, types
from pybernetes.api.errors import StatusError
from pybernetes.api.resources import CLUSTER_SCOPED, collection_path

from . import older
from .http import Answer, Duplex, HTTPClient
from .kubeconfig import Config
from .older import Older
from .pager import in_pages
from .types import Bookmark, Object, ObjectList, Page, WatchEvent

_log = logging.getLogger(__name__)

T = TypeVar("T", bound=Object)
R = TypeVar("R")

READY_POLL, READY_POLL_MAX = 0.05, 2.0  # seconds
READY_QUIET_SECONDS = 5.0  # so long a server that does not answer is nothing to tell
# For an answer: a little more than upstream's server takes before it says 504 itself (--request-timeout). client-go has no time-out of
# its own, but gives up a connection on which nothing comes for 45 s (see http.KEEP_ALIVE), as is done here where the network is cut.
REQUEST_SECONDS = 65.0
ENDING_SECONDS = 30.0  # after the time at which a server was asked to end a watch: it hangs
MAX_RETRIES = 10  # of answers 429 and 503 with Retry-After, as client-go does


class _Frame(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _Bookmark(msgspec.Struct):
    metadata: _BookmarkMeta


class _BookmarkMeta(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    annotations: dict[str, str] = {}


_frames = msgspec.json.Decoder(_Frame)
_bookmarks = msgspec.json.Decoder(_Bookmark)
_identities: dict[type, tuple[str, str]] = {}


def identity(kind: type[Object]) -> tuple[str, str]:
    """(apiVersion, kind) of a typed object's class."""
    pair = _identities.get(kind)
    if pair is None:
        blank = kind()
        pair = _identities[kind] = (blank.api_version, blank.kind)
    return pair


def raise_for(answer: Answer, method: str, path: str) -> None:
    """Raises the StatusError of an answer of 400 and more."""
    if answer.status < 400:
        return
    try:
        status = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status":
        raise StatusError(status)
    text = answer.body[:200].decode(errors="replace").strip()
    raise errors.generic(answer.status, method, "", "", "", f"{method} {path} was answered {answer.status}: {text}")


class RESTClient:
    """See `client.types.Client`. `timeout`: seconds for each answer, and for a watch to begin."""

    def __init__(
        self,
        config: Config,
        user_agent: str = "pybernetes",
        timeout: float = REQUEST_SECONDS,
        clock: Clock | None = None,
        http: HTTPClient | None = None,
        retries: int = MAX_RETRIES,
    ) -> None:
        """`http` in place of one for the configuration's server, such as one without a socket. `retries` of 429 and 503 with Retry-After."""
        self._retries = retries
        self.config = config
        self._timeout, self._clock = timeout, clock or RealClock()
        self._http = http or HTTPClient(config.server, config.ssl_context(), config.tls_server_name)
        self._user_agent = user_agent
        self._older: dict[tuple[str, str], Older] = {}  # what this server has in an older version alone
        self._newest: set[tuple[str, str]] = set()  # what it has in today's, of what others have not

    async def get(self, kind: type[T], name: str, namespace: str = "") -> T:
        return types.decode(await self._of(kind, "GET", namespace, name), kind)

    async def list(
        self,
        kind: type[T],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
    ) -> ObjectList[T]:
        def fetch(page: Page) -> Awaitable[ObjectList[T]]:
            return self.list_page(kind, namespace, page, label_selector=label_selector, field_selector=field_selector)

        return await in_pages(fetch, resource_version)

    async def list_page(
        self, kind: type[T], namespace: str, page: Page, *, label_selector: str = "", field_selector: str = ""
    ) -> ObjectList[T]:
        query = _query(
            labelSelector=label_selector,
            fieldSelector=field_selector,
            resourceVersion=page.resource_version,
            limit=str(page.limit or ""),
            **{"continue": page.continue_},
        )
        body = await self._of(kind, "GET", namespace, query=query)
        version, name = identity(kind)
        listed: Any = types.decode(body, types.type_of(version, f"{name}List"))
        return ObjectList(listed.items, listed.metadata.resource_version, listed.metadata.continue_)

    async def watch(
        self,
        kind: type[T],
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        timeout_seconds: int = 0,
    ) -> AsyncIterator[WatchEvent[T] | Bookmark]:
        query = _query(
            watch="true",
            allowWatchBookmarks="true",
            resourceVersion=resource_version,
            labelSelector=label_selector,
            fieldSelector=field_selector,
            timeoutSeconds=str(timeout_seconds or ""),
        )
        version = self._older.get(identity(kind))
        path = self._path(kind, namespace, version=version) + query
        async for frame in self._frames(path, None, timeout_seconds):
            if version is not None and frame.type in ("ADDED", "MODIFIED", "DELETED"):
                frame.object = msgspec.Raw(self._received(version, kind, bytes(frame.object)))
            yield _event(frame, kind)

    async def create(self, obj: T) -> T:
        sent = types.encode(obj)
        for owner in obj.metadata.owner_references:
            await self._learn((owner.api_version, owner.kind))
        if self._older and obj.metadata.owner_references:  # its owners are to be found by what the server calls them
            sent = msgspec.json.encode(older.as_owned(self._older, msgspec.json.decode(sent)))
        return types.decode(await self._of(type(obj), "POST", obj.metadata.namespace, body=sent), type(obj))

    async def update(self, obj: T, subresource: str = "") -> T:
        namespace, name = obj.metadata.namespace, obj.metadata.name
        return types.decode(
            await self._of(type(obj), "PUT", namespace, name, subresource, types.encode(obj)), type(obj)
        )

    async def patch(
        self,
        kind: type[T],
        name: str,
        namespace: str,
        patch: Any,
        *,
        type: Literal["merge", "strategic", "json"] = "merge",
        subresource: str = "",
    ) -> T:
        headers = {"Content-Type": mediatypes.PATCHES[type]}
        body = await self._of(kind, "PATCH", namespace, name, subresource, types.encode(patch), headers)
        return types.decode(body, kind)

    async def delete(
        self,
        kind: type[T],
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        resource_version: str = "",
        grace_period_seconds: int | None = None,
        propagation: Literal["Background", "Foreground", "Orphan", ""] = "",
    ) -> None:
        options: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1"}
        conditions = {"uid": uid, "resourceVersion": resource_version}
        if any(conditions.values()):
            options["preconditions"] = {key: value for key, value in conditions.items() if value}
        if grace_period_seconds is not None:
            options["gracePeriodSeconds"] = grace_period_seconds
        if propagation:
            options["propagationPolicy"] = propagation
        path = self._path(kind, namespace, name, version=self._older.get(identity(kind)))
        await self.raw("DELETE", path, types.encode(options))

    async def create_subresource(
        self, kind: type[Object], name: str, namespace: str, subresource: str, body: Any, result: type[R]
    ) -> R:
        path = self._path(kind, namespace, name, subresource)
        return types.decode(await self.raw("POST", path, types.encode(body)), result)

    async def _of(
        self,
        kind: type[Object],
        method: str,
        namespace: str,
        name: str = "",
        subresource: str = "",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        query: str = "",
    ) -> bytes:
        """The answer about a kind, from a server that has it in an older version alone as from any other."""
        pair = identity(kind)
        for again in (False, True):
            version = self._older.get(pair)
            path = self._path(kind, namespace, name, subresource, version) + query
            sent = body
            if version is not None and body is not None:
                sent = msgspec.json.encode(older.as_sent(version, msgspec.json.decode(body)))
            try:
                answer = await self.raw(method, path, sent, headers)
            except StatusError as error:
                of_object = (error.status.get("details") or {}).get("name")
                if again or error.code != 404 or of_object or not await self._another_version(pair):
                    raise
                continue
            return answer if version is None else self._received(version, kind, answer)
        raise AssertionError("the second try answers or raises")

    async def _learn(self, pair: tuple[str, str]) -> None:
        """In what version the server has a kind that this client names, and may never have asked for: another client reads it.

        The garbage collector finds no owner that is named in a version which is not served, and never lets go of what it owns.
        """
        if pair in older.OLDER and pair not in self._older and pair not in self._newest:
            await self._another_version(pair)

    async def _another_version(self, pair: tuple[str, str]) -> bool:
        """Whether the server has the kind, but not in the version that was asked for; from now on that one is asked for."""
        version, was = older.OLDER.get(pair), pair in self._older
        if version is None:
            return False
        if await self._serves(pair[0], pair[1]):  # the newer one where there are both
            self._older.pop(pair, None)
            self._newest.add(pair)
        elif await self._serves(version.api_version, pair[1]):
            self._older[pair] = version
            _log.info("the server has %s in %s, not in %s", pair[1], version.api_version, pair[0])
        return was != (pair in self._older)

    async def _serves(self, version: str, kind: str) -> bool:
        try:
            document = msgspec.json.decode(await self.raw("GET", f"/apis/{version}"))
        except StatusError:
            return False
        return any(
            one.get("kind") == kind and "/" not in one.get("name", "") for one in document.get("resources") or ()
        )

    @staticmethod
    def _received(version: Older, kind: type[Object], data: bytes) -> bytes:
        return msgspec.json.encode(older.as_received(version, identity(kind)[0], msgspec.json.decode(data)))

    async def raw(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        authorization, context = await self._authorization(), self._http.context
        answer = await self._answer(method, path, self._headers(headers, body, authorization), body)
        if answer.status == 401:
            fresh = await self._after_refusal(authorization)
            if fresh != authorization or self._http.context is not context:
                # The token or the certificate was replaced; what was refused was not done.
                answer = await self._answer(method, path, self._headers(headers, body, fresh), body)
        raise_for(answer, method, path)
        return answer.body

    async def _after_refusal(self, authorization: str) -> str:
        """The Authorization header as it is after a 401: files and plug-ins are asked again, also for a certificate."""
        self._http.look_at_files()
        return await self._authorization() if self.config.rejected(authorization) else authorization

    async def _answer(self, method: str, path: str, headers: Sequence[tuple[str, str]], body: bytes | None) -> Answer:
        for attempt in range(self._retries + 1):
            try:
                answer = await self._http.request(method, path, headers, body or b"", answer_timeout=self._timeout)
            except TimeoutError as error:
                raise TimeoutError(f"no answer to {method} {path} within {self._timeout:g} s") from error
            wait = answer.headers.get("retry-after", "")
            if answer.status not in (429, 503) or not wait.isdigit() or attempt == self._retries:
                break
            await self._clock.sleep(int(wait))
        return answer

    async def watch_raw(
        self, path: str, headers: Mapping[str, str] | None = None, timeout_seconds: int = 0
    ) -> AsyncIterator[tuple[str, bytes]]:
        async for frame in self._frames(path, headers, timeout_seconds):
            if frame.type == "ERROR":
                raise StatusError(msgspec.json.decode(frame.object))
            yield frame.type, bytes(frame.object)

    async def websocket(self, path: str, protocol: str) -> Duplex | Answer:
        """Asks for a WebSocket with this subprotocol; an Answer where the server refuses. The caller closes it."""
        key = base64.b64encode(os.urandom(16)).decode()
        headers = [("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", key), ("Sec-WebSocket-Protocol", protocol)]
        sent = self._headers(None, None, await self._authorization())
        async with asyncio.timeout(self._timeout):
            return await self._http.upgrade("GET", path, [*sent, *headers], "websocket")

    async def wait_ready(self) -> None:
        """Returns when /readyz says ok, however long that takes; asks often at first, since parts start together."""
        delay, begun, told = READY_POLL, self._clock.monotonic(), False
        while True:
            try:
                await self.raw("GET", "/readyz")
                return
            except (StatusError, ConnectionError, TimeoutError) as error:
                if isinstance(error, StatusError) and error.code in (401, 403):
                    return  # it serves; what this user lacks will be said where it is needed
                if not told and self._clock.monotonic() - begun > READY_QUIET_SECONDS:
                    _log.warning("waiting for the API server at %s: %s", self.config.server, error)
                    told = True
            await self._clock.sleep(delay)
            delay = min(delay * 1.3, READY_POLL_MAX)

    def credentials_changed(self) -> None:
        """A certificate in a file was replaced just now: no further request goes over a connection that was made with the old one."""
        self._http.look_at_files()

    async def close(self) -> None:
        await self._http.close()

    async def _frames(
        self, path: str, headers: Mapping[str, str] | None = None, timeout_seconds: int = 0
    ) -> AsyncIterator[_Frame]:
        """The lines of a watch; TimeoutError where the server neither begins nor, asked for an end after some seconds, ends it."""
        authorization = await self._authorization()
        sent = self._headers(headers, None, authorization)
        async with self._http.stream("GET", path, sent, head_timeout=self._timeout) as stream:
            if stream.status >= 400:
                if stream.status == 401:  # whoever watches asks again, then with another token or certificate
                    self._http.look_at_files()
                    self.config.rejected(authorization)
                async with asyncio.timeout(self._timeout):
                    raise_for(Answer(stream.status, stream.headers, await stream.read()), "GET", path)
            if timeout_seconds:
                stream.expire_in(timeout_seconds + ENDING_SECONDS)
            rest = b""
            while piece := await stream.piece():
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    if line:
                        yield _frames.decode(line)

    async def _authorization(self) -> str:
        return await self.config.authorization(self._clock.now())

    def _headers(
        self, headers: Mapping[str, str] | None, body: bytes | None, authorization: str
    ) -> Sequence[tuple[str, str]]:
        sent = {"Accept": "application/json", "User-Agent": self._user_agent}
        if body is not None:
            sent["Content-Type"] = "application/json"
        if authorization:
            sent["Authorization"] = authorization
        return [*{**sent, **(headers or {})}.items(), *_impersonation(self.config.impersonate)]

    @staticmethod
    def _path(
        kind: type[Object], namespace: str, name: str = "", subresource: str = "", version: Older | None = None
    ) -> str:
        api_version, kind_name = identity(kind)
        api_version = api_version if version is None else version.api_version
        if name and not namespace and kind_name not in CLUSTER_SCOPED:
            raise ValueError(f"{kind_name} {name!r} needs a namespace")
        path = collection_path(api_version, kind_name, namespace)
        if name:
            path += f"/{quote(name, safe='')}"
        return f"{path}/{subresource}" if subresource else path


def _query(**options: str) -> str:
    given = {key: value for key, value in options.items() if value}
    return f"?{urlencode(given)}" if given else ""


def _event(frame: _Frame, kind: type[T]) -> WatchEvent[T] | Bookmark:
    if frame.type == "ERROR":
        raise StatusError(msgspec.json.decode(frame.object))
    if frame.type == "BOOKMARK":
        return Bookmark(_bookmarks.decode(frame.object).metadata.resource_version)
    return WatchEvent(frame.type, types.decode(frame.object, kind))  # type: ignore[arg-type]  # the server's word


def _impersonation(options: Mapping[str, Any]) -> list[tuple[str, str]]:
    headers = [("Impersonate-User", options["as"])] if options.get("as") else []
    if options.get("as-uid"):
        headers.append(("Impersonate-Uid", options["as-uid"]))
    headers.extend(("Impersonate-Group", group) for group in options.get("as-groups") or ())
    for key, values in (options.get("as-user-extra") or {}).items():
        headers.extend((f"Impersonate-Extra-{quote(key, safe='')}", value) for value in values)
    return headers
