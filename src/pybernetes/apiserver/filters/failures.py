"""What a client is told of a failure (upstream: apiserver/pkg/endpoints/handlers/responsewriters/errors.go)."""

from __future__ import annotations

from pybernetes.api import errors, gosyntax
from pybernetes.api.errors import StatusError
from pybernetes.store.transformed import TransformError
from pybernetes.store.types import Closed, StoreError
from pybernetes.wire.http import Request, Response

from .. import query
from ..endpoints import negotiate
from ..endpoints.handlers import answer
from ..endpoints.negotiate import Accepted


def status_error(error: Exception) -> StatusError:
    """The failure itself; 503 for a store that is closed already, the store's word for what else it refuses, for want of space as well
    (as upstream hands on etcd's), 400 for what is deeper than the interpreter's stack, 500 for what nobody has foreseen."""
    if isinstance(error, StatusError):
        return error
    if isinstance(error, Closed):
        return errors.service_unavailable("the server is shutting down")
    if isinstance(error, TransformError):
        return errors.internal_error(str(error))
    if isinstance(error, StoreError):
        return errors.unclassified(str(error))
    if isinstance(error, RecursionError):
        return errors.bad_request(gosyntax.TOO_DEEP)
    return errors.internal_error(str(error))


def response(request: Request, error: StatusError) -> Response:
    """The Status in the form that the client accepts, or as JSON where it accepts none."""
    try:
        form = negotiate.accepted(request, query.parse(request.query))
    except StatusError:
        form = Accepted()
    answered = answer(error.code, error.status, Accepted(form.media, pretty=form.pretty))
    seconds = (error.status.get("details") or {}).get("retryAfterSeconds")
    further = [*error.headers, *([("Retry-After", str(seconds))] if seconds else [])]
    return Response(answered.status, (*answered.headers, *further), answered.body) if further else answered
