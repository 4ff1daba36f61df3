"""Links in pages and redirects that come through a proxy, led back through it (upstream: apimachinery/pkg/util/proxy/transport.go).

A page of a pod knows nothing of `/api/v1/namespaces/N/pods/P/proxy`: its links to paths of its own host would miss it. Pure; a page
costs time in proportion to its length.
"""

from __future__ import annotations

import html
import posixpath
import re
import zlib
from dataclasses import dataclass
from html.entities import html5
from urllib.parse import quote, unquote, urlsplit, urlunsplit

# Which attributes of which elements are URLs.
URLS = {
    **dict.fromkeys(("a", "area", "base", "link"), ("href",)),
    **dict.fromkeys(("audio", "embed", "script", "source"), ("src",)),
    **dict.fromkeys(("blockquote", "del", "ins", "q"), ("cite",)),
    **dict.fromkeys(("frame", "iframe"), ("longdesc", "src")),
    "applet": ("codebase",),
    "body": ("background",),
    "button": ("formaction",),
    "command": ("icon",),
    "form": ("action",),
    "head": ("profile",),
    "html": ("manifest",),
    "img": ("longdesc", "src", "usemap"),
    "input": ("src", "usemap", "formaction"),
    "object": ("classid", "codebase", "data", "usemap"),
    "video": ("poster", "src"),
}
# What is in these is text up to their end tag, whatever it looks like.
RAW_TEXT = frozenset(
    ("iframe", "noembed", "noframes", "noscript", "plaintext", "script", "style", "textarea", "title", "xmp")
)
MAX_PAGE = 2 << 20  # bytes: what is longer passes as it is, lest it fill the memory
PATH_SAFE = "$&+,/:;=@-_.~"  # of what Go leaves as it is in a path

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_TOKEN = re.compile(r"<(?:[A-Za-z]|!--|[!?/])")
_ENTITY = re.compile(r"&(#[0-9]{1,8};?|#[xX][0-9A-Fa-f]{1,8};?|[A-Za-z][A-Za-z0-9]*;?)")
_NAME = re.compile(r"[^\s/>]+")
_ATTRIBUTE = re.compile(
    r"""[\s/]*([^\s/>=][^\s/>=]*|=[^\s/>=]*)(?:\s*=\s*(?:"([^"]*)("|\Z)|'([^']*)('|\Z)|([^\s>]*)))?"""
)


class Unreadable(Exception):
    """A page that is not packed as it says; the text is upstream's."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an answer comes from: `hosts` are the names it may call itself (upstream compares them with ports), `prefix` is the
    path of the proxy, `requested` the host that the client asked."""

    hosts: frozenset[str]
    prefix: str
    requested: str

    def url(self, text: str) -> str:
        """The URL as the client must ask for it. ValueError for what is none."""
        if _CONTROL.search(text):
            raise ValueError(f"parse {text!r}: net/url: invalid control character in URL")
        parts = urlsplit(text)
        if escape := _BAD_ESCAPE.search(parts.path):
            raise ValueError(f'parse "{text}": invalid URL escape "{parts.path[escape.start() : escape.start() + 3]}"')
        host = parts.netloc
        if (host and host not in self.hosts and host != self.requested) or not parts.path.startswith("/"):
            return text
        scheme, host = (parts.scheme, host) if host and host == self.requested else ("", "")
        path = unquote(parts.path)
        if path.startswith(self.prefix):
            return urlunsplit((scheme, host, parts.path, parts.query, parts.fragment))
        moved = quote(joined(self.prefix, path), safe=PATH_SAFE)
        return urlunsplit((scheme, host, moved, parts.query, parts.fragment))

    def page(self, text: str) -> str:
        """HTML with its links led through the proxy; all that is no start tag stays as it is, byte for byte."""
        pieces: list[str] = []
        at = 0
        while (token := _TOKEN.search(text, at)) is not None:
            pieces.append(text[at : token.start()])
            at, piece = self._markup(text, token.start())
            pieces.append(piece)
        pieces.append(text[at:])
        return "".join(pieces)

    def _markup(self, text: str, start: int) -> tuple[int, str]:
        """(where it goes on, what stands there now)."""
        if text.startswith("<!--", start):
            end = text.find("-->", start + 4)
            end = len(text) if end < 0 else end + 3
            return end, text[start:end]
        if text[start + 1] in "!?/":
            end = text.find(">", start)
            end = len(text) if end < 0 else end + 1
            return end, text[start:end]
        end, name, piece = self._tag(text, start)
        if name not in RAW_TEXT:
            return end, piece
        closing = _closing(name).search(text, end)
        stop = len(text) if closing is None or name == "plaintext" else closing.start()
        return stop, piece + text[end:stop]

    def _tag(self, text: str, start: int) -> tuple[int, str, str]:
        """(its end, name, the tag anew) of a start tag, written as Go's html.Token.String writes it."""
        named = _NAME.match(text, start + 1)
        assert named is not None, "it begins with a letter"
        name, at = named.group().lower(), named.end()
        urls = URLS.get(name, ())
        pieces = [f"<{name}"]
        while (attribute := _ATTRIBUTE.match(text, at)) is not None:
            at = attribute.end()
            key = attribute[1].lower()
            value = _unescaped(next((attribute[i] for i in (2, 4, 6) if attribute[i] is not None), ""))
            pieces.append(f' {key}="{_escaped(self._link(value) if key in urls else value)}"')
        end = text.find(">", at)
        end = len(text) if end < 0 else end + 1
        pieces.append("/>" if text[end - 2 : end] == "/>" else ">")
        return end, name, "".join(pieces)

    def _link(self, value: str) -> str:
        try:
            return self.url(value)
        except ValueError:
            return value  # a page is no worse for a link that nobody understands


def joined(prefix: str, path: str) -> str:
    """Go's path.Join, with the slash at the end that the path has."""
    whole = posixpath.normpath(f"{prefix}/{path}")
    whole = f"/{whole.lstrip('/')}"
    return f"{whole}/" if path.endswith("/") and not whole.endswith("/") else whole


def rewrites(content_type: str) -> bool:
    """Whether an answer is a page."""
    return content_type.split(";", 1)[0].strip() == "text/html"


def rewritten(place: Place, data: bytes, encoding: str) -> bytes:
    """The body of a page, in the same encoding; unchanged where that, or the page unpacked, is too much for us. Unreadable."""
    packing = {"": 0, "gzip": 31, "deflate": -15}.get(encoding)
    if packing is None:
        return data
    plain = data if not packing else _unpacked(data, packing, encoding)
    if len(plain) > MAX_PAGE:
        return data
    body = place.page(plain.decode(errors="surrogateescape")).encode(errors="surrogateescape")
    if not packing:
        return body
    packer = zlib.compressobj(wbits=packing)
    return packer.compress(body) + packer.flush()


def _unpacked(data: bytes, packing: int, encoding: str) -> bytes:
    """No more than a byte over the limit."""
    try:
        return zlib.decompressobj(packing).decompress(data, MAX_PAGE + 1)
    except zlib.error as error:
        raise Unreadable(f"errorf making {encoding} reader: {error}") from None


def _closing(name: str) -> re.Pattern[str]:
    return re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE)


def _unescaped(value: str) -> str:
    """As HTML reads an attribute: a name counts whole, and without a semicolon not before an equals sign (`?a=1&copy=2`)."""

    def one(match: re.Match[str]) -> str:
        name = match[1]
        if name.startswith("#"):
            return html.unescape(match[0])
        if not name.endswith(";") and value[match.end() : match.end() + 1] == "=":
            return match[0]
        return html5.get(name, match[0])

    return _ENTITY.sub(one, value) if "&" in value else value


def _escaped(value: str) -> str:
    """As Go's html.EscapeString, which writes quotes as numbers."""
    for character, entity in (
        ("&", "&amp;"),
        ("'", "&#39;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ('"', "&#34;"),
        ("\r", "&#13;"),
    ):
        value = value.replace(character, entity)
    return value
