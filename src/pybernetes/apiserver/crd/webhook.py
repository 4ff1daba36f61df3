"""Asks conversion webhooks, over the connections that admission webhooks use, too."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from ..admission.webhook.caller import Caller, CallFailed
from ..admission.webhook.hooks import DEFAULT_PORT, ClientConfig, ServiceReference
from ..resource import Object
from ..types import Reader
from .conversion import Failed


class Webhook:
    """Of all definitions; connections are made when first needed. `close` when done."""

    def __init__(self, reader: Reader) -> None:
        self._caller = Caller(reader)

    async def call(self, config: Mapping[str, Any], body: bytes, seconds: int) -> Object:
        """See `conversion.Call`."""
        try:
            return await self._caller.call(_read(config), body, seconds)
        except CallFailed as error:
            raise Failed(str(error)) from None

    async def close(self) -> None:
        """Ends the connections."""
        await self._caller.close()


def _read(config: Mapping[str, Any]) -> ClientConfig:
    """ValueError for a bundle that is no base64."""
    ca = base64.b64decode(config.get("caBundle") or "", validate=True)
    service = config.get("service")
    if service is None:
        return ClientConfig(config.get("url") or "", None, ca)
    port = service.get("port") or DEFAULT_PORT
    return ClientConfig(
        "", ServiceReference(service["namespace"], service["name"], port, service.get("path") or ""), ca
    )
