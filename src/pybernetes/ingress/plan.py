"""Ingresses and what they speak of → what nginx is to do (upstream: internal/ingress/controller/controller.go's getConfiguration)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import networking_v1 as networking

from . import certificates, quoting
from .annotations import PREFIX, parse
from .backends import Endpoints, Services
from .classes import in_order
from .model import DEFAULT_SERVER, Certificate, Configuration, Key, Location, Options, Problem, Server, Upstream
from .quoting import Invalid

# Not led to HTTPS (upstream: no-tls-redirect-locations): who issues certificates asks there before there is one.
ACME = "/.well-known/acme-challenge"
PATH_LENGTH = 4000


@dataclass(frozen=True, slots=True)
class World:
    """All that counts. `ingresses` are this controller's, in any order; `fallback` is the certificate where there is no other."""

    ingresses: Sequence[networking.Ingress]
    services: Services
    secrets: Mapping[Key, core.Secret]
    fallback: Certificate
    default_backend: Key | None = None
    default_certificate: Key | None = None
    prefix: str = PREFIX


@dataclass(slots=True)
class _Host:
    """A server in the making."""

    name: str
    locations: dict[tuple[str, str], Location] = field(default_factory=dict)
    stems: dict[tuple[str, str], Location] = field(default_factory=dict)  # of prefixes: an Exact path goes before these
    regex: bool = False
    tls: bool = False
    certificate: Certificate | None = None
    aliases: tuple[str, ...] = ()
    app_root: str = ""
    ingress: Key | None = None
    default: Location | None = None  # of an Ingress that has rules and a default backend


def configuration(world: World) -> Configuration:
    """The same for the same objects, whatever their order."""
    return _Planning(world).configuration()


class _Planning:
    def __init__(self, world: World) -> None:
        self._world = world
        self._hosts: dict[str, _Host] = {DEFAULT_SERVER: _Host(DEFAULT_SERVER)}
        self._upstreams: dict[str, Upstream] = {}
        self._problems: list[Problem] = []
        self._files: dict[str, bytes] = {}
        self._uses: dict[str, set[Key]] = {}
        self._readable: set[str] = set()
        self._pairs: dict[Key, Certificate | Invalid] = {}
        self._fallback = self._default_certificate()

    def configuration(self) -> Configuration:
        ingresses = in_order(self._world.ingresses)
        options = [self._options(ingress) for ingress in ingresses]
        # A host whose paths are regular expressions for one Ingress has such for all of them: nginx would else ask these before any prefix.
        for ingress, each in zip(ingresses, options, strict=True):
            if each.use_regex or each.rewrite_target:
                for rule in ingress.spec.rules:
                    self._host(rule.host, ingress).regex = True
        for ingress, each in zip(ingresses, options, strict=True):
            self._ingress(ingress, each)
        self._aliases(ingresses, options)
        servers = tuple(self._server(host) for _, host in sorted(self._hosts.items()))
        ends = {s.name: h.certificate.ends for s in servers if (h := self._hosts[s.name]).certificate is not None}
        uses = {name: frozenset(keys) for name, keys in self._uses.items()}
        upstreams = tuple(upstream for _, upstream in sorted(self._upstreams.items()))
        problems = tuple(dict.fromkeys(self._problems))
        return Configuration(servers, upstreams, self._files, frozenset(self._readable), problems, ends, uses)

    def problem(self, ingress: Key, reason: str, text: str) -> None:
        """Told as an Event; of no Ingress (\"\", \"\"): in the log."""
        self._problems.append(Problem(ingress, reason, text))

    def _options(self, ingress: networking.Ingress) -> Options:
        meta = ingress.metadata
        options, problems = parse(meta.annotations, meta.namespace, self._world.prefix)
        for text in problems:
            self.problem(_key(ingress), "AnnotationNotUsed", text)
        return options

    def _host(self, name: str, ingress: networking.Ingress) -> _Host:
        """Whose it is, is who named it first."""
        name = name or DEFAULT_SERVER
        if name != DEFAULT_SERVER:
            try:
                quoting.host(name)
            except Invalid as error:
                self.problem(_key(ingress), "RuleNotUsed", f"host {error}")
                return _Host("")  # leads nowhere
        host = self._hosts.setdefault(name, _Host(name))
        if host.ingress is None and name != DEFAULT_SERVER:
            host.ingress = _key(ingress)
        return host

    # --- rules ------------------------------------------------------------------------------------

    def _ingress(self, ingress: networking.Ingress, options: Options) -> None:
        key, spec = _key(ingress), ingress.spec
        auth_file, options = self._auth(key, options)
        maker = _Maker(self, ingress, options, auth_file)
        if spec.default_backend is not None and not spec.rules:
            default = self._hosts[DEFAULT_SERVER]
            self._add(default, maker.location("", "/", spec.default_backend, "/"), key)
        for rule in spec.rules:
            host = self._host(rule.host, ingress)
            if not host.name:
                continue
            host.app_root = host.app_root or options.app_root
            self._tls(host, ingress)
            for path in rule.http.paths if rule.http is not None else ():
                for location in maker.locations(path, host.regex):
                    self._add(host, location, key)
                if (stem := maker.stem(path, host.regex)) is not None:
                    host.stems.setdefault((stem.modifier, stem.path), stem)
            if spec.default_backend is not None and host.default is None:
                host.default = maker.location("", "/", spec.default_backend, "/")

    def _add(self, host: _Host, location: Location, key: Key) -> None:
        before = host.locations.setdefault((location.modifier, location.path), location)
        if before.ingress != key and before.ingress is not None:
            owner = "/".join(before.ingress)
            self.problem(key, "PathTaken", f"host {host.name}: {location.path} is that of the older Ingress {owner}")

    def _aliases(self, ingresses: Sequence[networking.Ingress], options: Sequence[Options]) -> None:
        """Names that no Ingress has as a host, each once."""
        taken: dict[str, str] = {}
        for ingress, each in zip(ingresses, options, strict=True):
            for rule in ingress.spec.rules:
                host = self._hosts.get(rule.host)
                if host is None or host.name == DEFAULT_SERVER:
                    continue
                free = [a for a in each.aliases if a not in self._hosts and taken.setdefault(a, host.name) == host.name]
                host.aliases = tuple(dict.fromkeys((*host.aliases, *free)))
                for alias in sorted({*each.aliases} - {*free}):
                    self.problem(_key(ingress), "AliasTaken", f"server-alias {alias} is another host's already")

    def backend(self, ingress: networking.Ingress, backend: networking.IngressBackend, options: Options) -> Endpoints:
        """Where a backend leads; what is wrong is told."""
        if backend.service is None:
            endpoints = Endpoints(problem="a backend that is a resource, no service, is not supported")
        else:
            endpoints = self._world.services.endpoints(
                ingress.metadata.namespace, backend.service, options.service_upstream
            )
        if endpoints.problem:
            self.problem(_key(ingress), "BackendNotFound", endpoints.problem)
        return endpoints

    def upstream(self, namespace: str, service: str, endpoints: Endpoints, options: Options) -> str:
        """Its name; "" where nobody is there."""
        if not endpoints.servers:
            return ""
        # With - between them, as upstream's are, a-b of c and b of c-a would share one.
        name = f"{namespace}_{service}_{endpoints.port}"
        if options.service_upstream:
            name += "_service"
        if options.sticky is not None:
            name += "_" + hashlib.sha256(repr(options.sticky).encode()).hexdigest()[:8]
        self._upstreams[name] = Upstream(name, endpoints.servers, options.sticky)
        return name

    # --- secrets ----------------------------------------------------------------------------------

    def _auth(self, key: Key, options: Options) -> tuple[str, Options]:
        """The file of passwords. Without it nobody gets in."""
        if options.auth_secret is None:
            return "", options
        try:
            if (secret := self._world.secrets.get(options.auth_secret)) is None:
                raise Invalid("does not exist")
            name, content = certificates.passwords(secret)
        except Invalid as error:
            text = f"secret {'/'.join(options.auth_secret)} of auth-secret {error}; its paths are closed"
            self.problem(key, "AuthNotUsed", text)
            return "", replace(options, denied=True)
        self._keep(name, content, key)
        self._readable.add(name)
        return name, options

    def _tls(self, host: _Host, ingress: networking.Ingress) -> None:
        """As upstream: an entry that names the host; else one whose certificate is for it. The first that has one has it."""
        key = _key(ingress)
        if host.name == DEFAULT_SERVER or host.certificate is not None:
            return
        named = [tls for tls in ingress.spec.tls if host.name in tls.hosts]
        host.tls = host.tls or bool(named)
        for tls in named or ingress.spec.tls:
            if not tls.secret_name:
                continue
            try:
                pair = self._pair((ingress.metadata.namespace, tls.secret_name))
                if not certificates.is_for(pair, host.name):
                    raise Invalid(f"has no certificate for {host.name}")
            except Invalid as error:
                if named:
                    text = f"secret {ingress.metadata.namespace}/{tls.secret_name} {error}; the default certificate is shown"
                    self.problem(key, "CertificateNotUsed", text)
                continue
            host.tls, host.certificate = True, pair
            self._keep(pair.file, pair.pem, key)
            return

    def _pair(self, key: Key) -> Certificate:
        """Invalid. Each Secret is read once, however many hosts name it."""
        if key not in self._pairs:
            secret = self._world.secrets.get(key)
            try:
                if secret is None:
                    raise Invalid("does not exist")
                self._pairs[key] = certificates.of_secret(secret)
            except Invalid as error:
                self._pairs[key] = error
        pair = self._pairs[key]
        if isinstance(pair, Invalid):
            raise pair
        return pair

    def _default_certificate(self) -> Certificate:
        chosen = self._world.fallback
        if self._world.default_certificate is not None:
            try:
                chosen = self._pair(self._world.default_certificate)
            except Invalid as error:
                text = f"secret {'/'.join(self._world.default_certificate)} of --default-ssl-certificate {error}"
                self.problem(("", ""), "CertificateNotUsed", text)
        self._files[chosen.file] = chosen.pem
        return chosen

    def _keep(self, name: str, content: bytes, ingress: Key) -> None:
        self._files[name] = content
        self._uses.setdefault(name, set()).add(ingress)

    # --- servers ----------------------------------------------------------------------------------

    def _server(self, host: _Host) -> Server:
        locations = {**host.stems, **host.locations}
        if not {("", "/"), ("~*", "^/")} & locations.keys():
            locations["", "/"] = host.default or self._nobody()
        redirected = [
            replace(
                each,
                to_https=each.options.force_ssl_redirect
                or (host.tls and each.options.ssl_redirect and not each.path.startswith(ACME)),
            )
            for each in locations.values()
        ]
        certificate = host.certificate or self._fallback
        return Server(
            name=host.name,
            locations=tuple(sorted(redirected, key=_rank)),
            certificate=certificate.file,
            aliases=host.aliases,
            tls=host.tls,
            app_root=host.app_root,
            ingress=host.ingress,
        )

    def _nobody(self) -> Location:
        """What answers where no path fits: --default-backend-service, else 404."""
        key = self._world.default_backend
        if key is None:
            return Location("", "/", Options(), status=404)
        default = self._world.services.default(key)
        if default.problem:
            self.problem(("", ""), "BackendNotFound", default.problem)
        return Location("", "/", Options(), upstream=self.upstream(*key, default, Options()), external=default.external)


@dataclass(frozen=True, slots=True)
class _Maker:
    """Of the locations of one Ingress."""

    planning: _Planning
    ingress: networking.Ingress
    options: Options
    auth_file: str

    def locations(self, path: networking.HTTPIngressPath, regex: bool) -> Iterable[Location]:
        """A path's; none where it cannot be used."""
        text, kind = path.path or "/", path.path_type
        problem = path_problem(text)
        if problem:
            self.planning.problem(_key(self.ingress), "PathNotUsed", f"path {text[:80]!r} {problem}")
            return
        if self.options.use_regex or self.options.rewrite_target:
            yield self.location("~*", f"^{text}", path.backend, f"(?i){text}")
        elif kind == "Exact":
            yield self._literal("=", text, path.backend, regex)
        elif kind == "Prefix" and (stem := text.rstrip("/")):
            yield self._literal("", f"{stem}/", path.backend, regex)
        else:
            yield self._literal("", text if kind != "Prefix" else "/", path.backend, regex)

    def stem(self, path: networking.HTTPIngressPath, regex: bool) -> Location | None:
        """A Prefix is one of whole elements: beside all below it, that is what it gives without the last slash."""
        text = path.path.rstrip("/")
        is_regex = self.options.use_regex or self.options.rewrite_target
        if path.path_type != "Prefix" or not text or is_regex or path_problem(text):
            return None
        return self._literal("=", text, path.backend, regex)

    def _literal(self, modifier: str, text: str, backend: networking.IngressBackend, regex: bool) -> Location:
        if regex and (modifier, text) != ("", "/"):
            return self.location("~", f"^{re.escape(text)}{'$' if modifier else ''}", backend, "")
        return self.location(modifier, text, backend, "")

    def location(self, modifier: str, path: str, backend: networking.IngressBackend, rewrites: str) -> Location:
        """Leads to the backend."""
        options, ingress = self.options, self.ingress
        endpoints = self.planning.backend(ingress, backend, options)
        service = backend.service.name if backend.service is not None else ""
        return Location(
            modifier=modifier,
            path=path,
            options=options,
            ingress=_key(ingress),
            upstream=self.planning.upstream(ingress.metadata.namespace, service, endpoints, options),
            external=endpoints.external,
            auth_file=self.auth_file,
            rewrites=rewrites,
        )


def path_problem(text: str) -> str:
    """What keeps a path out of the configuration."""
    if not text.startswith("/"):
        return "does not begin with /"
    if quoting.CONTROL.search(text):
        return "has control characters"
    return "is too long" if len(text) > PATH_LENGTH else ""


def _rank(location: Location) -> tuple[int, list[int]]:
    """Upstream's order, which counts among regular expressions: the longest first, of one length backwards by letters."""
    return -len(location.path), [-ord(letter) for letter in location.path]


def _key(ingress: networking.Ingress) -> Key:
    return ingress.metadata.namespace, ingress.metadata.name
