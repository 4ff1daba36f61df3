"""A Configuration as nginx reads it (upstream: rootfs/etc/nginx/template/nginx.tmpl)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from . import limits
from .model import DEFAULT_SERVER, Configuration, Key, Location, Server, Upstream
from .quoting import host, quoted, server_name

# Upstream's defaults (configmap.md): times in seconds.
WORKER_SHUTDOWN = 240
HSTS = "max-age=31536000; includeSubDomains"
REDIRECT = 308
CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
HASH_BUCKET = 64  # at least; the longest name must fit, with nginx' own 24 bytes


@dataclass(frozen=True, slots=True)
class Host:
    """Of the machine: `folder` holds the files, `user` runs the workers ("" where we are not root), `nameservers` look up external names."""

    folder: str
    http_port: int = 80
    https_port: int = 443
    user: str = ""
    ipv6: bool = True
    http2_directive: bool = False  # nginx 1.25.1 and newer
    nameservers: tuple[str, ...] = ()
    workers: int = 0  # 0: as many as CPUs


@dataclass(frozen=True, slots=True)
class Rendered:
    """`owners` has for each line (from 1) whose it is: so nginx' complaint about a line finds the Ingress."""

    text: str
    owners: Sequence[Key | None]

    def owner(self, line: int) -> Key | None:
        return self.owners[line - 1] if 0 < line <= len(self.owners) else None


def render(configuration: Configuration, machine: Host) -> Rendered:
    """Deterministic."""
    lines: list[tuple[str, Key | None]] = [(line, None) for line in _head(configuration, machine)]
    for upstream in configuration.upstreams:
        lines += [(line, None) for line in _upstream(upstream)]
    for server in configuration.servers:
        lines += _server(server, machine)
    lines.append(("}", None))
    return Rendered("\n".join(line for line, _ in lines) + "\n", [owner for _, owner in lines])


def _head(configuration: Configuration, machine: Host) -> Iterator[str]:
    names = [server_name(name) for each in configuration.servers for name in (each.name, *each.aliases)]
    bucket = HASH_BUCKET
    while bucket < max(map(len, names)) + 32:
        bucket *= 2
    temporary = quoted(f"{machine.folder}/tmp")[1:-1]
    if machine.user:
        yield f"user {machine.user};"
    yield f"worker_processes {machine.workers or 'auto'};"
    yield f"worker_shutdown_timeout {WORKER_SHUTDOWN}s;"
    yield f"pid {quoted(machine.folder + '/nginx.pid')};"
    yield "error_log stderr notice;"
    yield "events { worker_connections 16384; multi_accept on; }"
    yield "http {"
    for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
        yield f'    {kind}_temp_path "{temporary}/{kind}";'
    yield "    default_type text/html;"
    yield "    access_log off;"
    yield "    server_tokens off;"
    yield "    tcp_nopush on;"
    yield "    keepalive_timeout 75s;"
    yield "    keepalive_requests 1000;"
    yield "    reset_timedout_connection on;"
    yield "    variables_hash_max_size 2048;"
    yield f"    server_names_hash_bucket_size {bucket};"
    yield f"    server_names_hash_max_size {max(1024, 4 * len(names))};"
    yield f"    proxy_headers_hash_bucket_size {HASH_BUCKET};"
    yield "    ssl_protocols TLSv1.2 TLSv1.3;"
    yield f"    ssl_ciphers {CIPHERS};"
    yield "    ssl_prefer_server_ciphers on;"
    yield "    ssl_session_cache shared:SSL:10m;"
    yield "    ssl_session_timeout 10m;"
    yield "    ssl_session_tickets off;"
    yield "    proxy_http_version 1.1;"
    yield "    proxy_buffering off;"
    yield "    proxy_buffer_size 4k;"
    yield "    proxy_buffers 4 4k;"
    yield "    proxy_request_buffering on;"
    yield "    proxy_next_upstream error timeout;"
    yield "    proxy_next_upstream_tries 3;"
    yield "    proxy_ssl_server_name on;"
    # Nothing of a connection upstream is closed after each request; where a client upgrades, so do we.
    yield '    map $http_upgrade $connection_upgrade { default upgrade; "" ""; }'
    yield f'    map $https $strict_transport_security {{ default ""; on "{HSTS}"; }}'
    for cookie in sorted({each.sticky.cookie for each in configuration.upstreams if each.sticky is not None}):
        # Who has no cookie yet gets the request's number, and goes where that leads from then on.
        yield f'    map $cookie_{cookie} $sticky_{cookie} {{ default $cookie_{cookie}; "" $request_id; }}'
        yield f'    map $cookie_{cookie} $sticky_new_{cookie} {{ default ""; "" $request_id; }}'
    for zone in limits.zones(location for server in configuration.servers for location in server.locations):
        yield f"    {zone}"
    if machine.nameservers:
        yield f"    resolver {' '.join(machine.nameservers)} valid=30s;"


def _upstream(upstream: Upstream) -> Iterator[str]:
    yield f"    upstream {quoted(upstream.name)} {{"
    if upstream.sticky is not None:
        yield f"        hash $sticky_{upstream.sticky.cookie} consistent;"
    for server in upstream.servers:
        # Counting failures would keep all requests from a single server that failed once (upstream has max_fails=0 too).
        yield f"        server {server} max_fails=0;"
    yield "        keepalive 320;"
    yield "        keepalive_timeout 60s;"
    yield "        keepalive_requests 10000;"
    yield "    }"


def _server(server: Server, machine: Host) -> Iterator[tuple[str, Key | None]]:
    owner = server.ingress
    default = server.name == DEFAULT_SERVER
    yield "    server {", owner
    yield f"        server_name {' '.join(server_name(name) for name in (server.name, *server.aliases))};", owner
    for listen in _listens(machine, default):
        yield f"        listen {listen};", owner
    if machine.http2_directive:
        yield "        http2 on;", owner
    file = quoted(f"{machine.folder}/files/{server.certificate}")
    yield f"        ssl_certificate {file};", owner
    yield f"        ssl_certificate_key {file};", owner
    if server.app_root:
        yield f"        if ($uri = /) {{ return 302 {quoted('$scheme://$http_host' + server.app_root)}; }}", owner
    for location in server.locations:
        for line in _location(location, server, machine):
            yield f"        {line}", location.ingress
    yield "    }", owner


def _listens(machine: Host, default: bool) -> Iterator[str]:
    """No reuseport: with it a reload drops the connections that wait for a worker that goes."""
    tail = " default_server" if default else ""
    tls = " ssl" if machine.http2_directive else " ssl http2"
    for address in ("", "[::]:") if machine.ipv6 else ("",):
        only = " ipv6only=on" if address and default else ""
        yield f"{address}{machine.http_port}{tail}{only}"
        yield f"{address}{machine.https_port}{tail}{tls}{only}"


def _location(location: Location, server: Server, machine: Host) -> Iterator[str]:
    modifier = f"{location.modifier} " if location.modifier else ""
    yield f"location {modifier}{quoted(location.path)} {{"
    yield from (f"    {line}" for line in _inside(location, server, machine))
    yield "}"


def _inside(location: Location, server: Server, machine: Host) -> Iterator[str]:
    options = location.options
    if location.ingress is not None:
        yield f"# {'/'.join(location.ingress)}"
    if options.denied:
        yield "return 503;"
        return
    if location.to_https:
        port = "" if machine.https_port == 443 else f":{machine.https_port}"
        yield f'if ($scheme = http) {{ return {REDIRECT} "https://$host{port}$request_uri"; }}'
    if server.tls:
        yield "add_header Strict-Transport-Security $strict_transport_security always;"
    yield from _access(location, machine)
    if options.redirect:
        yield f"return {options.redirect_code} {quoted(options.redirect)};"
        return
    if options.cors is not None:
        yield from _cors(location)
    if not location.upstream and not location.external:
        yield f"return {location.status};"
        return
    yield from _limits(location)
    yield from _pass(location)


def _access(location: Location, machine: Host) -> Iterator[str]:
    options = location.options
    yield from (f"deny {network};" for network in options.forbidden)
    yield from (f"allow {network};" for network in options.allowed)
    if options.allowed:
        yield "deny all;"
    if location.auth_file:
        yield f"auth_basic {quoted(options.auth_realm or 'Authentication Required')};"
        yield f"auth_basic_user_file {quoted(f'{machine.folder}/files/{location.auth_file}')};"
        yield f'{_kind(location)}_set_header Authorization "";'


def _cors(location: Location) -> Iterator[str]:
    """Headers that have no value are not sent: so others' origins get none."""
    cors = location.options.cors
    assert cors is not None
    names = [
        ("Access-Control-Allow-Origin", "*" if "*" in cors.origins else "$http_origin"),
        ("Access-Control-Allow-Credentials", "true" if cors.credentials else ""),
        ("Access-Control-Allow-Methods", cors.methods),
        ("Access-Control-Allow-Headers", cors.headers),
        ("Access-Control-Expose-Headers", cors.expose),
        ("Access-Control-Max-Age", str(cors.max_age)),
    ]
    given = [(name, value, f"$cors_{number}") for number, (name, value) in enumerate(names) if value]
    yield from (f'set {variable} "";' for _, _, variable in given)
    yield f"if ($http_origin ~* {quoted(_origins(cors.origins))}) {{"
    yield from (f"    set {variable} {quoted(value)};" for _, value, variable in given)
    yield "}"
    yield from (f"add_header {name} {variable} always;" for name, _, variable in given)
    yield "if ($request_method = OPTIONS) { return 204; }"


def _origins(origins: Iterable[str]) -> str:
    """A regular expression for them; a * stands for one label, or for all."""
    if "*" in origins:
        return "."
    parts = [each.replace(".", "\\.").replace("*", "[A-Za-z0-9-]+") for each in origins]
    return f"^({'|'.join(parts)})$"


def _kind(location: Location) -> str:
    return "grpc" if location.options.backend_protocol.startswith("GRPC") else "proxy"


def _limits(location: Location) -> Iterator[str]:
    options = location.options
    kind = _kind(location)
    yield f"client_max_body_size {options.body_size};"
    yield f"{kind}_connect_timeout {options.connect_timeout}s;"
    yield f"{kind}_send_timeout {options.send_timeout}s;"
    yield f"{kind}_read_timeout {options.read_timeout}s;"
    for name, value in options.directives:
        yield f"{name} {value};"
    if options.limits is not None and location.ingress is not None:
        yield from limits.directives(location.ingress, options.limits)


def _pass(location: Location) -> Iterator[str]:
    options = location.options
    kind = _kind(location)
    if options.sticky is not None:
        sticky, variable = options.sticky, f"$sticky_cookie_{options.sticky.cookie}"
        age = f"; Max-Age={sticky.max_age}" if sticky.max_age else ""
        yield f'set {variable} "";'
        yield f"if ($sticky_new_{sticky.cookie}) {{"
        value = f"{sticky.cookie}=$sticky_new_{sticky.cookie}; Path={sticky.path}{age}; HttpOnly"
        yield f"    set {variable} {quoted(value)};"
        yield "}"
        yield f"add_header Set-Cookie {variable} always;"
    external = location.external.rpartition(":")[0]
    named = options.upstream_vhost or (host(external) if external else "$http_host")
    for name, value in (
        ("Host", named),
        ("X-Request-ID", "$request_id"),
        ("X-Real-IP", "$remote_addr"),
        ("X-Forwarded-For", "$remote_addr"),
        ("X-Forwarded-Host", "$http_host"),
        ("X-Forwarded-Port", "$server_port"),
        ("X-Forwarded-Proto", "$scheme"),
        ("X-Forwarded-Scheme", "$scheme"),
        ("X-Scheme", "$scheme"),
        ("X-Original-Forwarded-For", "$http_x_forwarded_for"),
        ("Proxy", ""),  # httpoxy
    ):
        yield f"{kind}_set_header {name} {quoted(value)};"
    if kind == "proxy":
        yield "proxy_set_header Upgrade $http_upgrade;"
        yield "proxy_set_header Connection $connection_upgrade;"
    if options.rewrite_target and location.rewrites:
        if options.forwarded_prefix:  # upstream's, too, is sent with rewritten paths only
            yield f"{kind}_set_header X-Forwarded-Prefix {quoted(options.forwarded_prefix)};"
        yield f"rewrite {quoted(location.rewrites)} {quoted(options.rewrite_target)} break;"
    scheme = {"HTTP": "http", "HTTPS": "https", "GRPC": "grpc", "GRPCS": "grpcs"}[options.backend_protocol]
    target = location.upstream
    # By a variable, so that the name is looked up as requests come, and none that fails keeps nginx from starting.
    if location.external:
        yield f"set $external {quoted(location.external)};"
        target = "$external"
    yield f"{kind}_pass {quoted(f'{scheme}://{target}')};"
