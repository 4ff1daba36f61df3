"""What nginx is to do, as data. Names of users are checked before they come here; `render` quotes what may hold anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

Key = tuple[str, str]  # namespace, name

DEFAULT_SERVER = "_"


@dataclass(frozen=True, slots=True)
class Problem:
    """What an Ingress asks for and does not get: an Event on it."""

    ingress: Key
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Sticky:
    """Session affinity by a cookie."""

    cookie: str = "INGRESSCOOKIE"  # upstream's
    path: str = "/"
    max_age: int = 0  # seconds; 0: as long as the browser runs


@dataclass(frozen=True, slots=True)
class Cors:
    """Cross-origin answers (upstream's defaults)."""

    origins: tuple[str, ...] = ("*",)
    methods: str = "GET, PUT, POST, DELETE, PATCH, OPTIONS"
    headers: str = (
        "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization"
    )
    expose: str = ""
    credentials: bool = True
    max_age: int = 1728000


@dataclass(frozen=True, slots=True)
class Limits:
    """What each client may at most; 0: as much as it likes. Not those of `unlimited`."""

    connections: int = 0  # at a time
    per_second: int = 0  # requests
    per_minute: int = 0
    burst: int = 5  # times a rate: so many at once
    kilobytes: int = 0  # a second, of an answer
    kilobytes_free: int = 0  # which come as fast as they can
    unlimited: tuple[str, ...] = ()  # CIDRs


@dataclass(frozen=True, slots=True)
class Options:
    """What annotations say of the locations of an Ingress; times in seconds. `denied`: what was to keep people out cannot be brought about."""

    rewrite_target: str = ""
    use_regex: bool = False
    ssl_redirect: bool = True
    force_ssl_redirect: bool = False
    backend_protocol: str = "HTTP"
    body_size: str = "1m"
    connect_timeout: int = 5
    send_timeout: int = 60
    read_timeout: int = 60
    allowed: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    app_root: str = ""
    redirect: str = ""
    redirect_code: int = 301
    cors: Cors | None = None
    aliases: tuple[str, ...] = ()
    sticky: Sticky | None = None
    auth_secret: Key | None = None
    auth_realm: str = ""
    service_upstream: bool = False
    upstream_vhost: str = ""
    forwarded_prefix: str = ""
    limits: Limits | None = None
    directives: tuple[tuple[str, str], ...] = ()  # nginx' own, with checked values
    denied: bool = False


@dataclass(frozen=True, slots=True)
class Upstream:
    """Servers that requests are spread over: HOST:PORT."""

    name: str
    servers: tuple[str, ...]
    sticky: Sticky | None = None


@dataclass(frozen=True, slots=True)
class Location:
    """`modifier` is nginx': "" (begins with), "=", "~" or "~*" (regular expressions). `upstream` names one; `external` is HOST:PORT of a name that
    is looked up by nginx; without both nobody is there, but for `status`, which is answered then."""

    modifier: str
    path: str
    options: Options
    ingress: Key | None = None
    upstream: str = ""
    external: str = ""
    status: int = 503
    to_https: bool = False
    auth_file: str = ""
    rewrites: str = ""  # the regular expression whose captures the target may name


@dataclass(frozen=True, slots=True)
class Certificate:
    """`pem` is the chain and its key; `file` is named by what is in it."""

    file: str
    pem: bytes
    names: tuple[str, ...]
    ends: datetime


@dataclass(frozen=True, slots=True)
class Server:
    """A host: `_` is the one for all hosts that nobody has. `certificate` is a file; `tls`: an Ingress asks for TLS here."""

    name: str
    locations: tuple[Location, ...]
    certificate: str
    aliases: tuple[str, ...] = ()
    tls: bool = False
    app_root: str = ""
    ingress: Key | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """`files` are the certificates and password files that it names, by name in the folder; those of `readable` are read by workers, too."""

    servers: tuple[Server, ...]
    upstreams: tuple[Upstream, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)
    readable: frozenset[str] = frozenset()
    problems: tuple[Problem, ...] = ()
    ends: Mapping[str, datetime] = field(default_factory=dict)  # of certificates, by server
    uses: Mapping[str, frozenset[Key]] = field(default_factory=dict)  # of files: by which Ingresses
