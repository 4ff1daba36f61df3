"""What a test's function says of a review, as webhooks answer it; and manifests whose webhooks are to be asked where the test answers. Pure."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

Object = dict[str, Any]
# Of an admission request: see `admission`.
Review = Callable[[Object], object]
# Of an object and the apiVersion that is asked for.
Convert = Callable[[Object, str], Object]

CONFIGURATIONS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
DEFINITION = "CustomResourceDefinition"
WANT = (
    "want None or True (allowed), False or why it is refused, the object as it is to be, a list of JSON patch operations, "
    "or a whole response, a dict with `allowed`"
)


class NoAnswer(ValueError):
    """What a test's function has returned is none; says what may be."""


def admission(request: Object, answered: object) -> Object:
    """The `response` of an AdmissionReview. NoAnswer."""
    uid = request["uid"]
    match answered:
        case None | True:
            return {"uid": uid, "allowed": True}
        case False:
            return {"uid": uid, "allowed": False}
        case str():
            return {"uid": uid, "allowed": False, "status": {"message": answered, "code": 403}}
        case list():
            return {"uid": uid, "allowed": True, **_patched(answered)}
        case dict() if isinstance(answered.get("allowed"), bool):
            return {"uid": uid, **answered}
        case dict() if isinstance(answered.get("metadata"), dict):
            operations = changes(request.get("object") or {}, answered)
            return {"uid": uid, "allowed": True, **(_patched(operations) if operations else {})}
    raise NoAnswer(f"the test's function answered {answered!r}: {WANT}")


def _patched(operations: Sequence[object]) -> Object:
    return {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(operations).encode()).decode()}


def changes(old: Object, new: Object) -> list[Object]:
    """The JSON patch that makes one of the other, field by field of the whole."""
    operations: list[Object] = []
    for name in old.keys() | new.keys():
        path = "/" + name.replace("~", "~0").replace("/", "~1")
        if name not in new:
            operations.append({"op": "remove", "path": path})
        elif name not in old or old[name] != new[name]:
            operations.append({"op": "add", "path": path, "value": new[name]})
    return sorted(operations, key=lambda one: str(one["path"]))


def conversion(request: Object, convert: Convert) -> Object:
    """The `response` of a ConversionReview: each object by the function, its apiVersion set. What the function raises fails them all."""
    version = request["desiredAPIVersion"]
    converted = []
    try:
        for obj in request["objects"]:
            one = convert(copy.deepcopy(obj), version)
            if not isinstance(one, dict):
                raise NoAnswer(f"the test's function converted {obj.get('kind')} to {one!r}: want the object")
            converted.append({**one, "apiVersion": version})
    except Exception as error:  # the test's own: whoever asked for the object is told
        why = str(error) if isinstance(error, NoAnswer) else f"{type(error).__name__}: {error}"
        return {"uid": request["uid"], "result": {"status": "Failure", "message": why}}
    return {"uid": request["uid"], "convertedObjects": converted, "result": {"status": "Success"}}


def localized(objects: Sequence[Object], url: str, ca_bundle: str) -> list[Object]:
    """The manifests with every webhook (of configurations, and for conversions) asked at the URL, at the path that it had.

    Upstream: controller-runtime's pkg/envtest, modifyWebhook and modifyConversionWebhooks.
    """
    changed = copy.deepcopy(list(objects))
    for obj in changed:
        if obj["kind"] in CONFIGURATIONS:
            for webhook in obj.get("webhooks") or ():
                webhook["clientConfig"] = client_config(url, path_of(webhook.get("clientConfig") or {}), ca_bundle)
        conversion = (obj.get("spec") or {}).get("conversion") or {}
        if obj["kind"] == DEFINITION and conversion.get("strategy") == "Webhook":
            webhook = conversion.setdefault("webhook", {})
            webhook["clientConfig"] = client_config(url, path_of(webhook.get("clientConfig") or {}), ca_bundle)
            webhook.setdefault("conversionReviewVersions", ["v1"])
    return changed


def client_config(url: str, path: str, ca_bundle: str) -> Object:
    """As a webhook has it."""
    return {"url": f"{url}/{path.lstrip('/')}", "caBundle": ca_bundle}


def path_of(config: Object) -> str:
    """Of a clientConfig, by Service or URL."""
    if "service" in config:
        return str(config["service"].get("path") or "/")
    _, _, rest = str(config.get("url", "")).partition("://")
    return f"/{rest.partition('/')[2]}"
