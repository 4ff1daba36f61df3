"""Asks for one certificate and waits for it (upstream: client-go/util/certificate/csr)."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from pybernetes.aio.clock import Clock
from pybernetes.api.errors import StatusError
from pybernetes.api.types import certificates_v1
from pybernetes.client.types import Client
from pybernetes.pki import keys
from pybernetes.pki.files import Pair

from .plan import Refused, Template, answer, usages_for

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

_log = logging.getLogger(__name__)

# Between two looks whether it was signed: often at first, for controllers answer at once and people do not.
POLL, POLL_MAX, POLL_GROWTH = 0.2, 5.0, 1.3
CSR = certificates_v1.CertificateSigningRequest


class SigningError(Exception):
    """No certificate was issued; says why.

    `responsive`: whether an API server has refused the request for what it is, False where none was there to do so; None where the
    request was made, and did not come to a certificate.
    """

    def __init__(self, text: str, responsive: bool | None = None) -> None:
        super().__init__(text)
        self.responsive = responsive


async def issue(
    client: Client, clock: Clock, key: EllipticCurvePrivateKey, template: Template, seconds: float, name: str = ""
) -> Pair:
    """A certificate for this key. SigningError where it is refused, or nobody has signed it after so many seconds.

    With a `name` a request of that name that is there already is waited for, as long as it is for the same key.
    """
    try:
        request = await _requested(client, key, template, name)
    except StatusError as error:
        who = ": the token or certificate is not one of this cluster, or it has expired" if error.code == 401 else ""
        responsive = error.code in (401, 403, 404)
        raise SigningError(f"cannot create certificate signing request: {error}{who}", responsive) from error
    except (ConnectionError, TimeoutError) as error:
        raise SigningError(f"cannot create certificate signing request: {error}", responsive=False) from error
    _log.info("waiting for certificate signing request %s to be approved and signed", request.metadata.name)
    try:
        async with clock.timeout(seconds):
            certificate = await _answered(client, clock, request.metadata.name, request.metadata.uid)
    except TimeoutError as error:
        text = f"certificate signing request {request.metadata.name} was not signed within {seconds:.0f} s"
        raise SigningError(text) from error
    return Pair(certificate, keys.private_pem(key))


async def _requested(client: Client, key: EllipticCurvePrivateKey, template: Template, name: str) -> CSR:
    from pybernetes.pki import requests

    request = CSR()
    if name:
        request.metadata.name = name
    else:
        request.metadata.generate_name = "csr-"
    request.spec.request = requests.request(key, template.subject)
    request.spec.signer_name = template.signer
    request.spec.usages = usages_for(template, await _server_version(client))
    try:
        return await client.create(request)
    except StatusError as error:
        if error.reason != "AlreadyExists" or not name:
            raise
    present = await client.get(CSR, name)
    if requests.public_key(present.spec.request) != keys.public_pem(key.public_key()):
        raise SigningError(f"retrieved csr is not compatible: {name} is for another key")
    _log.info("csr for this node already exists, reusing")
    return present


async def _server_version(client: Client) -> str:
    """Its gitVersion; "" where the server keeps that from who asks. StatusError, ConnectionError, TimeoutError."""
    try:
        said = json.loads(await client.raw("GET", "/version"))
    except StatusError as error:
        if error.code == 401:  # the request itself would be refused likewise
            raise
        return ""
    except ValueError:
        return ""
    return str(said.get("gitVersion", "")) if isinstance(said, dict) else ""


async def _answered(client: Client, clock: Clock, name: str, uid: str) -> bytes:
    delay = POLL
    while True:
        try:
            come_to = answer(await client.get(CSR, name), uid)
        except StatusError as error:
            if error.code == 404:
                raise SigningError(f'csr "{name}" was deleted') from error
            if error.code in (401, 403):
                raise SigningError(f"cannot read certificate signing request {name}: {error}") from error
            _log.debug("certificate signing request %s: %s", name, error)  # a server that is busy or starts anew
        except (ConnectionError, TimeoutError) as error:
            _log.debug("certificate signing request %s: %s", name, error)
        else:
            if isinstance(come_to, Refused):
                raise SigningError(come_to.reason)
            if come_to is not None:
                return come_to.certificate
        await clock.sleep(delay)
        delay = min(delay * POLL_GROWTH, POLL_MAX)
