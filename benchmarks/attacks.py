"""What one hostile request costs everybody else: the longest that /healthz waits while it is answered.

./bench attacks
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import yaml

from .figures import Figures

BODY = 3 << 20  # bytes that a request may have
PATIENCE = 15.0  # seconds for one attack; a server that is still at it is ended, and another one started
PAUSE = 0.002  # between two questions of the watcher
MEMORY = 4 << 30  # bytes of address space for the server: an attack on memory ends it, and not the machine

PODS, CONFIG_MAPS = "/api/v1/namespaces/default/pods", "/api/v1/namespaces/default/configmaps"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
JSON, YAML = "application/json", "application/yaml"
STRATEGIC, JSON_PATCH, APPLY = (
    "application/strategic-merge-patch+json",
    "application/json-patch+json",
    "application/apply-patch+yaml",
)


@dataclass(frozen=True, slots=True)
class Attack:
    """One request. `before` are requests that make what it needs."""

    name: str
    method: str
    path: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    before: tuple[Attack, ...] = field(default=())


def _post(name: str, path: str, body: Any, media: str = JSON, before: tuple[Attack, ...] = ()) -> Attack:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Attack(name, "POST", path, data, (("Content-Type", media),), before)


def _patch(name: str, path: str, body: Any, media: str, before: tuple[Attack, ...] = ()) -> Attack:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Attack(name, "PATCH", path, data, (("Content-Type", media),), before)


def _many(item: Callable[[int], Any]) -> list[Any]:
    """So many items as a body may hold."""
    each = len(json.dumps(item(12345))) + 2
    return [item(number) for number in range(BODY * 9 // 10 // each)]


def _pod(name: str, **spec: Any) -> dict[str, Any]:
    containers = [{"name": "c", "image": "i"}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": containers, **spec}}


def _config_map(name: str, data: dict[str, str], **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": data}


def _definition(plural: str, schema: dict[str, Any]) -> dict[str, Any]:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    kind = plural.capitalize()
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.attack.example"},
        "spec": {
            "group": "attack.example",
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind, "singular": plural, "listKind": f"{kind}List"},
            "versions": [version],
        },
    }


def _deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def _query(name: str, path: str, **values: str) -> Attack:
    return Attack(name, "GET", f"{path}?" + "&".join(f"{key}={quote(value, safe='')}" for key, value in values.items()))


def attacks() -> Iterator[Attack]:
    """All of them. Each is of the size that upstream's limits allow: 3 MiB of body, 1 MiB of headers."""
    yield from _selectors()
    yield from _headers()
    yield from _documents()
    yield from _objects()
    yield from _patches()
    yield from _definitions()


def _selectors() -> Iterator[Attack]:
    size = 300_000
    yield _query("label_selector_blanks", PODS, labelSelector="a" + " " * size)
    yield _query("label_selector_values", PODS, labelSelector=f"a in ({','.join(map(str, range(size // 8)))})")
    yield _query("label_selector_terms", PODS, labelSelector=",".join(f"a!={n}" for n in range(size // 10)))
    yield _query("field_selector_terms", PODS, fieldSelector="metadata.name!=a," * (size // 17))
    yield _query("field_selector_escapes", PODS, fieldSelector="metadata.name=" + "\\," * (size // 6))
    yield _query("continue_token", PODS, limit="5", **{"continue": "A" * size})
    yield _query("resource_version_digits", PODS, resourceVersion="9" * size)


def _headers() -> Iterator[Attack]:
    anonymous = (("Authorization", ""),)
    yield Attack(
        "impersonation", "GET", PODS, headers=tuple((f"Impersonate-Extra-{n}", "a") for n in range(20_000)) + anonymous
    )
    yield Attack("many_headers", "GET", PODS, headers=tuple((f"a{n}", "b") for n in range(50_000)))
    yield Attack("accept_clauses", "GET", PODS, headers=(("Accept", "a/b;c=d," * 50_000),))
    yield Attack("accept_parameters", "GET", PODS, headers=(("Accept", "application/json;" + "a=b;" * 100_000),))
    yield Attack("user_agent", "GET", PODS, headers=(("User-Agent", "(" * 500_000),))
    deep = base64.urlsafe_b64encode(b"[" * 300_000).decode().rstrip("=")
    yield Attack("deep_token", "GET", PODS, headers=(("Authorization", f"Bearer {deep}.{deep}.a"),))
    protocols = "base64url.bearer.authorization.k8s.io." + "a" * 300_000
    yield Attack("protocols", "GET", PODS, headers=(("Sec-WebSocket-Protocol", protocols + ",v4" * 100_000),))


def _documents() -> Iterator[Attack]:
    yield _post("deep_json", CONFIG_MAPS, b'{"a":' * (BODY // 5))
    yield _post("deep_json_closed", CONFIG_MAPS, b"[" * (BODY // 2) + b"]" * (BODY // 2))
    yield _post("deep_yaml", CONFIG_MAPS, b"[" * 100_000 + b"a" + b"]" * 100_000, YAML)
    yield _post("deep_yaml_lines", CONFIG_MAPS, b"\n".join(b" " * n + b"a:" for n in range(1500)), YAML)
    yield _post("twice_keys", CONFIG_MAPS, b"{" + b",".join(b'"a%d":1' % (n // 2) for n in range(200_000)) + b"}")
    yield _post("unknown_keys", CONFIG_MAPS, b"{" + b",".join(b'"a%d":1' % n for n in range(200_000)) + b"}")
    chain = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: *a{n - 1}, k{n}: 1}}\n" for n in range(1, 3000))
    yield _post("yaml_merge_chain", CONFIG_MAPS, chain.encode(), YAML)
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
    )
    yield _post("yaml_laughs", CONFIG_MAPS, laughs.encode(), YAML)
    large = _config_map("yaml-large", {f"key-{n}": "value" for n in range(40_000)})
    yield _post("yaml_large", CONFIG_MAPS, yaml.dump(large, Dumper=yaml.CSafeDumper).encode(), YAML)
    quoted = 'data: {a: "' + "\\n" * (BODY // 3) + '"}'
    yield _post("yaml_escapes", CONFIG_MAPS, quoted.encode(), YAML)
    kept = _post("", CONFIG_MAPS, _config_map("wide", {f"key-{n}": "value" for n in range(30_000)}))
    yield Attack("answer_as_yaml", "GET", f"{CONFIG_MAPS}/wide", b"", (("Accept", YAML),), (kept,))
    yield Attack("answer_pretty", "GET", f"{CONFIG_MAPS}/wide?pretty=1")
    yield Attack("answer_as_table", "GET", f"{CONFIG_MAPS}", b"", (("Accept", f"{JSON};as=Table;g=meta.k8s.io;v=v1"),))
    protobuf = b"k8s\x00" + b"\x12\xff\xff\x7f" * 100_000
    yield _post("protobuf", CONFIG_MAPS, protobuf, "application/vnd.kubernetes.protobuf")
    yield Attack("delete_options", "DELETE", f"{CONFIG_MAPS}/none", b"[" * BODY, (("Content-Type", JSON),))


def _objects() -> Iterator[Attack]:
    image = {"image": "i", "name": ""}
    yield _post("containers", PODS, _pod("containers", containers=_many(lambda n: {**image, "name": f"c{n}"})))
    nothing = b"[" + b",".join([b"{}"] * (BODY * 9 // 30)) + b"]"
    yield _post("containers_empty", PODS, b'{"metadata":{"name":"a"},"spec":{"containers":' + nothing + b"}}")
    yield _post(
        "env", PODS, _pod("env", containers=[{"name": "c", "image": "i", "env": _many(lambda n: {"name": f"E{n}"})}])
    )
    mounts = _many(lambda n: {"name": "v", "mountPath": f"/{n}"})
    yield _post("mounts", PODS, _pod("mounts", containers=[{"name": "c", "image": "i", "volumeMounts": mounts}]))
    ports = _many(lambda n: {"containerPort": 1 + n % 65_535, "name": f"p{n}"})
    yield _post("ports", PODS, _pod("ports", containers=[{"name": "c", "image": "i", "ports": ports}]))
    yield _post("volumes", PODS, _pod("volumes", volumes=_many(lambda n: {"name": f"v{n}", "emptyDir": {}})))
    yield _post(
        "tolerations", PODS, _pod("tolerations", tolerations=_many(lambda n: {"key": f"k{n}", "operator": "Exists"}))
    )
    yield _post(
        "host_aliases",
        PODS,
        _pod("host-aliases", hostAliases=_many(lambda n: {"ip": "1.2.3.4", "hostnames": [f"h{n}"]})),
    )
    spread = {"maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}
    yield _post(
        "spreading",
        PODS,
        _pod("spreading", topologySpreadConstraints=_many(lambda n: {**spread, "topologyKey": f"k{n}"})),
    )
    yield _post("gates", PODS, _pod("gates", schedulingGates=_many(lambda n: {"name": f"g{n}"})))
    yield _post("pull_secrets", PODS, _pod("pull-secrets", imagePullSecrets=_many(lambda n: {"name": f"s{n}"})))
    reference = [{"name": "E", "valueFrom": {"fieldRef": {"fieldPath": "['" * 400_000}}}]
    yield _post("field_path", PODS, _pod("field-path", containers=[{"name": "c", "image": "i", "env": reference}]))
    resources = {"limits": {"cpu": "1" * 1_000_000}}
    yield _post("quantity", PODS, _pod("quantity", containers=[{"name": "c", "image": "i", "resources": resources}]))
    resources = {"limits": {"cpu": "1e2147483647", "memory": "1e-2147483647"}}
    yield _post("exponent", PODS, _pod("exponent", containers=[{"name": "c", "image": "i", "resources": resources}]))
    yield _post("labels", CONFIG_MAPS, _config_map("labels", {}, labels={f"k{n}": "!" for n in range(100_000)}))
    yield _post(
        "owners",
        CONFIG_MAPS,
        _config_map(
            "owners", {}, ownerReferences=_many(lambda n: {"uid": f"{n}", "name": "a", "kind": "A", "apiVersion": "v1"})
        ),
    )
    yield _post("finalizers", CONFIG_MAPS, _config_map("finalizers", {}, finalizers=_many(lambda n: f"a.b/f{n}")))
    managed = {"manager": "m", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1"}
    fields: dict[str, Any] = {}
    for _ in range(400):
        fields = {"f:a": fields}
    entries = [{**managed, "manager": f"m{n}", "fieldsV1": fields} for n in range(500)]
    yield _post("managed_fields", CONFIG_MAPS, _config_map("managed", {}, managedFields=entries))
    service = {"metadata": {"name": "a"}, "spec": {"ports": _many(lambda n: {"name": f"p{n}", "port": 1 + n % 65_535})}}
    yield _post("service_ports", "/api/v1/namespaces/default/services", service)
    lines = base64.b64encode(b"-----BEGIN CERTIFICATE REQUEST-----\n" * 50_000).decode()
    signing = {"metadata": {"name": "a"}, "spec": {"request": lines, "signerName": "a.b/c", "usages": ["client auth"]}}
    yield _post("signing_request", "/apis/certificates.k8s.io/v1/certificatesigningrequests", signing)
    slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    endpoints = [{"addresses": [f"10.{n % 250}.{m}.1" for m in range(100)]} for n in range(1000)]
    yield _post("endpoint_slice", slices, {"metadata": {"name": "a"}, "addressType": "IPv4", "endpoints": endpoints})
    rules = _many(lambda n: {"apiGroups": [f"g{n}"], "resources": ["r"], "verbs": ["get"]})
    yield _post(
        "role", "/apis/rbac.authorization.k8s.io/v1/clusterroles", {"metadata": {"name": "wide"}, "rules": rules}
    )
    names = [f"r{n}" for n in range(1000)]
    cube = {"apiGroups": names, "resources": names, "verbs": names}
    review = {"spec": {"user": "a", "groups": [f"g{n}" for n in range(200_000)], "resourceAttributes": {"verb": "get"}}}
    yield _post("access_review", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    review["spec"] = {
        "user": "a",
        "extra": {f"k{n}": [] for n in range(180_000)},
        "resourceAttributes": {"verb": "get"},
    }
    yield _post("access_review_extra", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    mallory = (("Impersonate-User", "mallory"), ("Content-Type", JSON))
    rights = "/apis/rbac.authorization.k8s.io/v1"
    maker = {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["create"]}
    own = [{"apiGroups": [f"g{n}"], "resources": ["r"], "verbs": ["get"]} for n in range(1000)]
    binding = {
        "metadata": {"name": "mallory"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "mallory"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "mallory"}],
    }
    before = (
        _post("", f"{rights}/clusterroles", {"metadata": {"name": "mallory"}, "rules": [maker, *own]}),
        _post("", f"{rights}/clusterrolebindings", binding),
    )
    body = json.dumps({"metadata": {"name": "cube"}, "rules": [cube]}).encode()
    yield Attack("role_escalation", "POST", f"{rights}/namespaces/default/roles", body, mallory, before)


def _patches() -> Iterator[Attack]:
    kept = _post("", CONFIG_MAPS, _config_map("patched", {"a": "b"}))
    path = f"{CONFIG_MAPS}/patched"
    names = [f"a.b/f{n}" for n in range(60_000)]
    order = {"metadata": {"$setElementOrder/finalizers": names, "finalizers": names}}
    yield _patch("element_order", path, order, STRATEGIC, (kept,))
    yield _patch("retain_keys", path, {"data": {"$retainKeys": names, **dict.fromkeys(names, "a")}}, STRATEGIC)
    adds = [{"op": "add", "path": "/data", "value": {}}] + [
        {"op": "add", "path": f"/data/{n}", "value": "a"} for n in range(9_999)
    ]
    yield _patch("json_patch", path, adds, JSON_PATCH)
    wide = {f"k{n}": "v" for n in range(20_000)}
    tests = [
        {"op": "add", "path": "/data", "value": wide},
        *({"op": "copy", "from": "/data", "path": "/data"} for _ in range(9_000)),
    ]
    yield _patch("json_patch_copies", path, tests, JSON_PATCH)
    yield _patch("json_pointer", path, [{"op": "add", "path": "/a" * 1_000_000, "value": 1}], JSON_PATCH)
    yield _patch("deep_merge", path, b'{"data":' * 900 + b"1" + b"}" * 900, "application/merge-patch+json")
    data = {f"key-{n}": "value" for n in range(60_000)}
    applied = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": data}
    yield _patch("apply", f"{CONFIG_MAPS}/applied?fieldManager=m", applied, APPLY)
    yield _patch("apply_again", f"{CONFIG_MAPS}/applied?fieldManager=n&force=1", applied, APPLY)


def _definitions() -> Iterator[Attack]:
    yield _post("definition_deep", CRDS, _definition("deeps", _deep(400)))
    yield _post("definition_too_deep", CRDS, _definition("deepers", _deep(5_000 // 25)))
    wide = {f"p{n}": {"type": "string", "pattern": "^a{1,9}$"} for n in range(30_000)}
    yield _post("definition_wide", CRDS, _definition("wides", {"type": "object", "properties": wide}))
    patterns = {f"p{n}": {"type": "string", "pattern": f"\\pL{{250}}{n}"} for n in range(20_000)}
    yield _post("definition_patterns", CRDS, _definition("patterns", {"type": "object", "properties": patterns}))
    text = {"type": "string", "pattern": "^(a|aa)+$"}
    names = {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}
    item = {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}}}
    maps = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "items": item}
    properties = {
        "text": text,
        "names": names,
        "maps": maps,
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    }
    before = (_post("", CRDS, _definition("victims", {"type": "object", "properties": properties})),)
    path = "/apis/attack.example/v1/namespaces/default/victims"

    def custom(**rest: Any) -> dict[str, Any]:
        return {"apiVersion": "attack.example/v1", "kind": "Victims", "metadata": {"name": "a"}, **rest}

    yield _post("pattern", path, custom(text="a" * 1_000_000 + "b"), JSON, before)
    yield _post("set", path, custom(names=_many(lambda n: f"n{n}")))
    yield _post("map", path, custom(maps=_many(lambda n: {"k": f"n{n}"})))
    free: Any = "a"
    for _ in range(450):
        free = {"a": free}
    yield _post("free", path, custom(free={f"f{n}": {"a": [1, 2]} for n in range(60_000)}))
    yield _post("free_deep", path, custom(free=free))


class Watcher(threading.Thread):
    """Asks for /healthz again and again, on a connection of its own, and keeps the longest wait."""

    def __init__(self, connect: Callable[[], http.client.HTTPSConnection]) -> None:
        super().__init__(daemon=True)
        self._connection = connect()
        self._lock = threading.Lock()
        self._longest, self._since = 0.0, 0.0
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(PAUSE):
            begin = self._since = time.perf_counter()
            try:
                self._connection.request("GET", "/healthz")
                self._connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                self._connection.close()
            with self._lock:
                self._longest, self._since = max(self._longest, time.perf_counter() - begin), 0.0

    def take(self) -> float:
        """Seconds of the longest wait since it was asked last."""
        time.sleep(3 * PAUSE)
        with self._lock:
            waiting = time.perf_counter() - self._since if self._since else 0.0
            longest, self._longest = max(self._longest, waiting), 0.0
        return longest

    def stop(self) -> None:
        """Waits for its end."""
        self._ended.set()
        self.join(PATIENCE)
        self._connection.close()


@contextlib.contextmanager
def server() -> Iterator[Callable[[], http.client.HTTPSConnection]]:
    """A test server in a process of its own, and what makes connections to it."""

    def bounded() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    command = [sys.executable, "-m", "pybernetes", "testserver", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=bounded)
    try:
        assert process.stdout
        given = json.loads(process.stdout.readline())
        context, address = _context(given["kubeconfig"]), urlsplit(given["url"])
        yield lambda: http.client.HTTPSConnection(address.netloc, context=context, timeout=PATIENCE)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _context(kubeconfig: str) -> ssl.SSLContext:
    """With the administrator's certificate."""
    with open(kubeconfig) as file:
        config = yaml.safe_load(file)
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    folder = os.path.dirname(kubeconfig)
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    names = []
    for key in ("client-certificate-data", "client-key-data"):
        names.append(os.path.join(folder, key))
        with open(names[-1], "wb") as out:
            out.write(base64.b64decode(user[key]))
    context.load_cert_chain(*names)
    return context


def _await(connect: Callable[[], http.client.HTTPSConnection], path: str) -> None:
    """Until the path is served: that of a new definition takes a moment."""
    end = time.monotonic() + PATIENCE
    while send(connect, Attack("", "GET", path.partition("?")[0]))[0] == 404 and time.monotonic() < end:
        time.sleep(0.1)


def send(connect: Callable[[], http.client.HTTPSConnection], attack: Attack) -> tuple[int, float]:
    """(status, seconds); status 0 where the connection ended."""
    connection = connect()
    begin = time.perf_counter()
    try:
        connection.putrequest(attack.method, attack.path, skip_accept_encoding=True)
        for name, value in attack.headers:
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(attack.body)))
        connection.endheaders(attack.body)
        answer = connection.getresponse()
        answer.read()
        return answer.status, time.perf_counter() - begin
    except (OSError, http.client.HTTPException):
        return 0, time.perf_counter() - begin
    finally:
        connection.close()


def main(only: str = "") -> Figures:
    """The longest wait of each attack, and of all."""
    found: Figures = {}
    left = list(attacks())
    while left:
        with server() as connect:
            left = _fire(connect, left, only, found)
    if found:
        found["stall_longest"] = (max(value for value, _ in found.values()), "ms")
    return found


def _fire(
    connect: Callable[[], http.client.HTTPSConnection], left: list[Attack], only: str, found: Figures
) -> list[Attack]:
    """What is left when the server has to be ended."""
    watcher = Watcher(connect)
    watcher.start()
    for number, attack in enumerate(left):
        for one in attack.before:
            send(connect, one)
        if only not in attack.name:
            continue
        if attack.before:
            _await(connect, attack.path)
        watcher.take()
        status, seconds = send(connect, attack)
        stall = 1000 * watcher.take()
        print(f"# {attack.name}: {status} after {seconds:.2f} s, stall {stall:.0f} ms", flush=True)
        found[f"stall_{attack.name}"] = (stall, "ms")
        if seconds >= PATIENCE:
            return left[number + 1 :]
    watcher.stop()
    return []
