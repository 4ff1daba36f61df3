"""EncryptionConfiguration: what is taken, and upstream's words for what is not."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pybernetes.apiserver.configdocument import DocumentError
from pybernetes.apiserver.encryption import configuration

HEAD = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration"}
KEY = {"name": "key1", "secret": base64.b64encode(b"0" * 32).decode()}
CBC = {"aescbc": {"keys": [KEY]}}
KMS = {"apiVersion": "v2", "name": "a", "endpoint": "unix:///run/kms.sock"}
OVERLAP = f"Invalid value: %s: {configuration.OVERLAP}"


def document(*entries: Any, **more: Any) -> bytes:
    return json.dumps({**HEAD, "resources": entries, **more}).encode()


def entry(resources: Any = ("secrets",), providers: Any = (CBC,)) -> dict[str, Any]:
    return {"resources": list(resources), "providers": list(providers)}


def refusal(data: bytes, reload: bool = False) -> str:
    with pytest.raises(DocumentError) as refused:
        configuration.parse(data, reload)
    return str(refused.value)


def test_defaults_of_kms() -> None:
    v1, v2 = {k: v for k, v in KMS.items() if k != "apiVersion"}, {**KMS, "name": "b", "timeout": "10s"}
    [read] = configuration.parse(document(entry(providers=[{"kms": v1}, {"kms": v2}, {"identity": {}}])))
    assert [provider.get("kms") for provider in read["providers"]] == [
        {**v1, "apiVersion": "v1", "timeout": "3s", "cachesize": 1000},
        v2,
        None,
    ]


def test_yaml_and_the_old_kind() -> None:
    text = (
        b"kind: EncryptionConfig\napiVersion: v1\nresources:\n- resources: [secrets]\n  providers: [{identity: {}}]\n"
    )
    assert configuration.parse(text) == [{"resources": ["secrets"], "providers": [{"identity": {}}]}]


@pytest.mark.parametrize(
    ("entries", "place", "words"),
    [
        ([], "resources", "Required value: at least one resources is required"),
        (
            [entry(resources=[])],
            "resources[0].resources",
            "Required value: at least one resources[0].resources is required",
        ),
        (
            [entry(providers=[])],
            "resources[0].providers",
            "Required value: at least one resources[0].providers is required",
        ),
        (
            [entry(["a", "a"])],
            "resources[0].resources",
            'Invalid value: ["a","a"]: the same resource cannot be specified multiple times',
        ),
        ([entry(["secrets", "*."])], "resources[0].resources", OVERLAP % '["secrets","*."]'),
        ([entry(["*.*", "a.apps"])], "resources[0].resources", OVERLAP % '["*.*","a.apps"]'),
        ([entry(["*.apps", "a.apps"])], "resources[0].resources", OVERLAP % '["*.apps","a.apps"]'),
        (
            [entry(["Secrets"])],
            "resources[0].resources[0]",
            'Invalid value: "Secrets": resource name should not contain capital letters',
        ),
        (
            [entry(["*"])],
            "resources[0].resources[0]",
            "Invalid value: \"*\": use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources",
        ),
        (
            [entry(["serviceipallocations"])],
            "resources[0].resources[0]",
            'Invalid value: "serviceipallocations": resources which do not have REST API/s cannot be encrypted',
        ),
        (
            [entry(["events.events.k8s.io"])],
            "resources[0].resources[0]",
            f'Invalid value: "events.events.k8s.io": {configuration.ONLY_EVENTS}',
        ),
        (
            [entry(["*.extensions"])],
            "resources[0].resources[0]",
            "Invalid value: \"*.extensions\": 'extensions' group has been removed and cannot be used for encryption",
        ),
        (
            [entry(["pods.*"])],
            "resources[0].resources[0]",
            'Invalid value: "pods.*": encrypting the same resource across groups is not supported',
        ),
        ([entry(providers=[{}])], "resources[0].providers[0]", f"Invalid value: {configuration.NO_PROVIDER}"),
        (
            [entry(providers=[{**CBC, "identity": {}}])],
            "resources[0].providers[0]",
            f"Invalid value: {configuration.TWO_PROVIDERS}",
        ),
        (
            [entry(providers=[{"aesgcm": {"keys": []}}])],
            "resources[0].providers[0].aesgcm.keys",
            "Required value: at least one keys is required",
        ),
        (
            [entry(providers=[{"aescbc": {"keys": [{"name": "", "secret": KEY["secret"]}]}}])],
            "resources[0].providers[0].aescbc.keys[0].name",
            "Required value: name is a mandatory field for a key",
        ),
        (
            [entry(providers=[{"aescbc": {"keys": [{"name": "k"}]}}])],
            "resources[0].providers[0].aescbc.keys[0].secret",
            "Required value: secret is a mandatory field for a key",
        ),
        (
            [entry(providers=[{"aescbc": {"keys": [{"name": "k", "secret": "%"}]}}])],
            "resources[0].providers[0].aescbc.keys[0].secret",
            'Invalid value: "REDACTED": secrets must be base64 encoded',
        ),
        (
            [entry(providers=[{"aescbc": {"keys": [{"name": "k", "secret": "YWE="}]}}])],
            "resources[0].providers[0].aescbc.keys[0].secret",
            'Invalid value: "REDACTED": secret is not of the expected length, got 2, expected one of [16 24 32]',
        ),
        (
            [
                entry(
                    providers=[{"secretbox": {"keys": [{"name": "k", "secret": base64.b64encode(b"0" * 16).decode()}]}}]
                )
            ],
            "resources[0].providers[0].secretbox.keys[0].secret",
            'Invalid value: "REDACTED": secret is not of the expected length, got 16, expected one of [32]',
        ),
        (
            [entry(providers=[{"kms": {**KMS, "name": ""}}])],
            "resources[0].providers[0].kms.name",
            "Required value: name is a mandatory field for a provider",
        ),
        (
            [entry(providers=[{"kms": {**KMS, "name": "a:b"}}])],
            "resources[0].providers[0].kms.name",
            "Invalid value: \"a:b\": invalid KMS provider name a:b, must not contain ':'",
        ),
        (
            [entry(providers=[{"kms": KMS}, {"kms": KMS}])],
            "resources[0].providers[1].kms.name",
            'Invalid value: "a": duplicate KMS provider name a, names must be unique',
        ),
        (
            [entry(providers=[{"kms": {**KMS, "timeout": "0s"}}])],
            "resources[0].providers[0].kms.timeout",
            'Invalid value: "0s": timeout should be a positive value',
        ),
        (
            [entry(providers=[{"kms": {**KMS, "endpoint": ""}}])],
            "resources[0].providers[0].kms.endpoint",
            'Invalid value: "": endpoint is a mandatory field for a kms',
        ),
        (
            [entry(providers=[{"kms": {**KMS, "endpoint": "tcp://a"}}])],
            "resources[0].providers[0].kms.endpoint",
            'Invalid value: "tcp://a": unsupported scheme "tcp" for KMS provider, only unix is supported',
        ),
        (
            [entry(providers=[{"kms": {**KMS, "cachesize": 5}}])],
            "resources[0].providers[0].kms.cachesize",
            "Invalid value: 5: cachesize is not supported in v2",
        ),
        (
            [entry(providers=[{"kms": {**KMS, "apiVersion": "v1", "cachesize": 0}}])],
            "resources[0].providers[0].kms.cachesize",
            "Invalid value: 0: cachesize should be a positive value, or negative to disable",
        ),
        (
            [entry(providers=[{"kms": {**KMS, "apiVersion": "v3"}}])],
            "resources[0].providers[0].kms.apiVersion",
            'Invalid value: "v3": unsupported apiVersion apiVersion for KMS provider, only v1 and v2 are supported',
        ),
    ],
)
def test_refusals(entries: list[Any], place: str, words: str) -> None:
    assert refusal(document(*entries)) == f"{place}: {words}"


def test_names_of_v1_plugins_are_unique_where_the_file_is_followed() -> None:
    twice = document(entry(providers=[{"kms": {**KMS, "apiVersion": "v1"}}] * 2))
    configuration.parse(twice)
    assert "duplicate KMS provider name a" in refusal(twice, reload=True)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"[]", "couldn't get version/kind; json parse error: the document is no object"),
        (b"kind: EncryptionConfiguration", "Object 'apiVersion' is missing in the document"),
        (b"kind: Pod\napiVersion: v1", 'no kind "Pod" is registered for version "v1"'),
        (document(recources=[]), 'strict decoding error: unknown field "recources"'),
        (
            document(entry(providers=[{"aescbd": {}}])),
            'strict decoding error: unknown field "resources[0].providers[0].aescbd"',
        ),
        (
            document(entry(resources=[1])),
            'strict decoding error: cannot unmarshal number into field "resources[0].resources[0]": want string',
        ),
        (b"kind: A\nkind: B", 'yaml: line 1: key "kind" already set in map'),
    ],
)
def test_documents_that_are_none(data: bytes, words: str) -> None:
    assert refusal(data) == words
