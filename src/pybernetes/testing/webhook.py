"""Webhooks that a test answers: by a function, or by a server of its own that is shown the certificate which the cluster trusts."""

from __future__ import annotations

import asyncio
import base64
import copy
import inspect
import json
import ssl
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pybernetes.wire.http import Request, Response, Server, serve

from . import arguments, manifests, reviews
from .arguments import WrongArgument
from .background import BackgroundLoop
from .reviews import Convert, NoAnswer, Object, Review

if TYPE_CHECKING:
    from .core import Core

HOST = "127.0.0.1"
KEPT = 1000  # reviews
OPERATIONS = ("CREATE", "UPDATE")
VERSIONS = ["v1"]
JSON = (("Content-Type", "application/json"),)


class Reviewer:
    """Answers reviews by a test's functions, which run on threads: they may ask the cluster."""

    def __init__(self, review: Review | None, convert: Convert | None) -> None:
        self._review, self._convert = review, convert
        self.seen: deque[Object] = deque(maxlen=KEPT)

    async def handle(self, request: Request) -> Response:
        try:
            told = json.loads(request.body)
            kind, asked = str(told["kind"]), told["request"]
        except (ValueError, KeyError, TypeError):
            return _plain(400, "want an AdmissionReview or a ConversionReview, in JSON")
        self.seen.append(asked)
        try:
            response = await self._response(kind, asked)
        except Exception as error:  # of the test's function: its failurePolicy decides, and the API server says why
            return _plain(500, str(error) if isinstance(error, NoAnswer) else f"{type(error).__name__}: {error}")
        answer = {"apiVersion": told["apiVersion"], "kind": kind, "response": response}
        return Response(200, JSON, json.dumps(answer).encode())

    async def _response(self, kind: str, asked: Object) -> Object:
        if kind == "ConversionReview" and self._convert is not None:
            return await asyncio.to_thread(reviews.conversion, asked, self._convert)
        if kind == "AdmissionReview" and self._review is not None:
            answered = await asyncio.to_thread(self._review, copy.deepcopy(asked))  # which it may change and return
            return reviews.admission(asked, await answered if inspect.isawaitable(answered) else answered)
        raise NoAnswer(f"webhook() was given no function that answers a {kind}")


def _plain(code: int, text: str) -> Response:
    return Response(code, (("Content-Type", "text/plain"),), text.encode())


class LocalWebhook:
    """On the cluster's loop. `port` 0: any that is free."""

    def __init__(self, core: Core, reviewer: Reviewer | None, port: int) -> None:
        self._core, self.reviewer, self.port = core, reviewer, port
        self.configurations: list[tuple[str, str]] = []  # (kind, name) of those that lead here
        self._server: Server | None = None

    async def start(self) -> None:
        """OSError where the port is not to be had."""
        self.certificate_file, self.key_file, self.ca = self._core.cluster.serving(HOST)
        if self.reviewer is None:
            return
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate_file, self.key_file)
        self._server = await serve(self.reviewer.handle, HOST, self.port, context)
        self.port = self._server.port

    async def apply(self, objects: Sequence[Object], namespace: str) -> list[Object]:
        """And remembers what is to go with it."""
        applied = await self._core.apply(objects, namespace)
        self.configurations += [
            (one["kind"], one["metadata"]["name"]) for one in applied if one["kind"] in reviews.CONFIGURATIONS
        ]
        return applied

    async def configure(self, kind: str, words: Sequence[str], operations: Sequence[str], given: Object) -> Object:
        """A configuration with one webhook. WrongArgument, StatusError."""
        number = self._core.number()
        webhook = {
            "name": f"test-{number}.webhook.test",
            "rules": [await self._rule(word, operations) for word in words],
            "clientConfig": reviews.client_config(self.url, "/", self.ca_bundle),
            "sideEffects": "None",
            "admissionReviewVersions": VERSIONS,
            **given,
        }
        configuration = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": f"test-{number}"},
            "webhooks": [webhook],
        }
        [applied] = await self.apply([configuration], "")
        return applied

    async def _rule(self, word: str, operations: Sequence[str]) -> Object:
        name, _, subresource = word.partition("/")
        rule = {"operations": list(operations), "scope": "*"}
        if name == "*":
            return {**rule, "apiGroups": ["*"], "apiVersions": ["*"], "resources": [word]}
        resource = await self._core.find(name)
        resources = [f"{resource.name}/{subresource}" if subresource else resource.name]
        return {**rule, "apiGroups": [resource.group], "apiVersions": ["*"], "resources": resources}

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}"

    @property
    def ca_bundle(self) -> str:
        return base64.b64encode(self.ca).decode()

    async def leave(self) -> None:
        """Its configurations go first: else all that they speak of would be refused."""
        while self.configurations:
            await self._core.remove(*self.configurations.pop())
        await self.stop()

    async def stop(self) -> None:
        """Nobody answers any more."""
        if self._server is not None:
            await self._server.stop(0)
            self._server = None


class Webhook:
    """Where the cluster finds the test's webhook: `with kube.webhook(review) as hook`, or until the test ends.

    `url` and `ca_bundle` (base64) are what a clientConfig says; `certificate_file` and `key_file` are for a server of the test's own.
    """

    def __init__(self, loop: BackgroundLoop, local: LocalWebhook, namespace: str) -> None:
        self._loop, self._local, self._namespace = loop, local, namespace
        self.url, self.ca_bundle, self.port = local.url, local.ca_bundle, local.port
        self.certificate_file, self.key_file = local.certificate_file, local.key_file

    def client_config(self, path: str = "/") -> Object:
        """For a configuration that the test writes."""
        return reviews.client_config(self.url, path, self.ca_bundle)

    def validate(self, /, *kinds: str, operations: Sequence[str] = OPERATIONS, **webhook: Any) -> Object:
        """Asked whether these kinds ("pods", "deploy", "pods/status", "*") may be created or updated; the configuration.

        `webhook`: further fields, as `failurePolicy="Ignore"`, `matchConditions=[...]`. WrongArgument, StatusError.
        """
        return self._configure(reviews.CONFIGURATIONS[0], kinds, operations, webhook)

    def mutate(self, /, *kinds: str, operations: Sequence[str] = OPERATIONS, **webhook: Any) -> Object:
        """As `validate`, and it may change them."""
        return self._configure(reviews.CONFIGURATIONS[1], kinds, operations, webhook)

    def install(self, given: Any) -> Sequence[Object]:
        """Applies manifests, as `Kube.apply`, whose webhooks are asked here: those of configurations and of definitions with conversions.

        Services in a clientConfig become this URL, at their path: what envtest does with WebhookInstallOptions. WrongArgument, StatusError.
        """
        objects = reviews.localized(manifests.objects(given), self.url, self.ca_bundle)
        return self._loop.run(self._local.apply(objects, self._namespace))

    @property
    def requests(self) -> list[Object]:
        """What a function of the test's was asked, oldest first, the last 1000: the `request` of each review."""
        return list(self._local.reviewer.seen) if self._local.reviewer is not None else []

    def close(self) -> None:
        """Configurations that lead here are deleted; nobody answers any more."""
        self._loop.run(self._local.leave())

    def __enter__(self) -> Webhook:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _configure(self, kind: str, words: Sequence[str], operations: Sequence[str], webhook: Object) -> Object:
        if not words or not all(isinstance(word, str) and word for word in words):
            raise WrongArgument(f'{words!r}: want kinds, as "pods", "widgets.example.com", or "*"')
        if isinstance(operations, str):
            raise WrongArgument(f"operations={operations!r}: want a list of CREATE, UPDATE, DELETE, CONNECT, or *")
        return self._loop.run(self._local.configure(kind, words, operations, webhook))


def reviewer(review: Review | None, convert: Convert | None, port: int) -> Reviewer | None:
    """None where the test has a server of its own. WrongArgument."""
    arguments.port(port)
    for name, given in (("review", review), ("convert", convert)):
        if given is not None and not callable(given):
            raise WrongArgument(f"webhook({name}={given!r}): want a function")
    if review is None and convert is None:
        if not port:
            raise WrongArgument("webhook(): want a function that answers reviews, or the port of a server of your own")
        return None
    return Reviewer(review, convert)
