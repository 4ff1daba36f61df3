"""Links of proxied pages and redirects."""

import time
import zlib

import pytest

from pybernetes.apiserver.endpoints.connect import rewriting
from pybernetes.apiserver.endpoints.connect.rewriting import Place

PREFIX = "/api/v1/namespaces/n/pods/p:80/proxy"
PLACE = Place(frozenset({"10.0.0.1:80", "10.0.0.1"}), PREFIX, "api.example.com:6443")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("/x", f"{PREFIX}/x"),
        ("/", f"{PREFIX}/"),
        ("/a/b/?q=1&r=%20#f", f"{PREFIX}/a/b/?q=1&r=%20#f"),
        ("/a/../b", f"{PREFIX}/b"),
        ("/a b", f"{PREFIX}/a%20b"),
        ("http://10.0.0.1:80/z", f"{PREFIX}/z"),
        ("//10.0.0.1/z", f"{PREFIX}/z"),
        ("https://api.example.com:6443/w/", f"https://api.example.com:6443{PREFIX}/w/"),
        (f"{PREFIX}/already", f"{PREFIX}/already"),
        ("http://example.com/z", "http://example.com/z"),
        ("//example.com/z", "//example.com/z"),
        ("http://10.0.0.1:81/z", "http://10.0.0.1:81/z"),
        ("x/y", "x/y"),
        ("../y", "../y"),
        ("", ""),
        ("#top", "#top"),
        ("?q=1", "?q=1"),
        ("mailto:a@b", "mailto:a@b"),
    ],
)
def test_urls(given: str, expected: str) -> None:
    """Paths of the place's own host, by whatever name; nothing else."""
    assert PLACE.url(given) == expected


@pytest.mark.parametrize("given", ["/%zz", "/a\nb", "http://[::1/x", "/%"])
def test_what_is_no_url(given: str) -> None:
    with pytest.raises(ValueError, match=r"URL|port|Invalid"):
        PLACE.url(given)
    assert PLACE.page(f"<a href='{given}'>").startswith('<a href="')


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("<a href='/x'>t</a>", '<a href="PREFIX/x">t</a>'),
        ("<A HREF=/x CLASS=c>t</A>", '<a href="PREFIX/x" class="c">t</A>'),
        ("<img src=/i.png usemap='#m'/>", '<img src="PREFIX/i.png" usemap="#m"/>'),
        (
            "<form action='/f' method=post><button formaction='/g'>",
            '<form action="PREFIX/f" method="post"><button formaction="PREFIX/g">',
        ),
        (
            "<script src='/s.js'>x('<a href=\"/no\">')</script>",
            '<script src="PREFIX/s.js">x(\'<a href="/no">\')</script>',
        ),
        (
            "<style><a href='/no'></style><link href='/c.css'>",
            "<style><a href='/no'></style><link href=\"PREFIX/c.css\">",
        ),
        ("<!-- <a href='/no'> --><!DOCTYPE html>", "<!-- <a href='/no'> --><!DOCTYPE html>"),
        ("<p title='/no' hidden>1 < 2</p>", '<p title="/no" hidden="">1 < 2</p>'),
        ("<a href='/q?a=1&amp;b=2&copy=3'>", '<a href="PREFIX/q?a=1&amp;b=2&amp;copy=3">'),
        ("<a title='&quot;&#39;&eacute;' href='x'>", '<a title="&#34;&#39;é" href="x">'),
        (
            "<video poster=/p src=/v><source src=/w></video>",
            '<video poster="PREFIX/p" src="PREFIX/v"><source src="PREFIX/w"></video>',
        ),
        ("<object data=/d codebase=/e classid=/f>", '<object data="PREFIX/d" codebase="PREFIX/e" classid="PREFIX/f">'),
        ("<a href='/x' href2='/no' data-href=/no>", '<a href="PREFIX/x" href2="/no" data-href="/no">'),
        (
            "<base href='/app/'><iframe src=/f><a href='/no'></iframe>",
            '<base href="PREFIX/app/"><iframe src="PREFIX/f"><a href=\'/no\'></iframe>',
        ),
        ("<br><br/><hr >", "<br><br/><hr>"),
        ("a <b", "a <b>"),
        ("", ""),
    ],
)
def test_pages(given: str, expected: str) -> None:
    assert PLACE.page(given) == expected.replace("PREFIX", PREFIX)


@pytest.mark.parametrize("encoding", ["", "gzip", "deflate"])
def test_packed_pages(encoding: str) -> None:
    page = "<a href='/ä'>".encode() + b"\xff"
    wbits = {"gzip": 31, "deflate": -15}.get(encoding)
    packer = zlib.compressobj(wbits=wbits) if wbits else None
    data = packer.compress(page) + packer.flush() if packer else page
    made = rewriting.rewritten(PLACE, data, encoding)
    plain = zlib.decompress(made, wbits) if wbits else made
    assert plain == f'<a href="{PREFIX}/%C3%A4">'.encode() + b"\xff"


def test_what_is_not_unpacked() -> None:
    assert rewriting.rewritten(PLACE, b"<a href=/x>", "br") == b"<a href=/x>"
    packer = zlib.compressobj(wbits=31)
    bomb = packer.compress(b"<a href=/x>" + b" " * rewriting.MAX_PAGE) + packer.flush()
    assert rewriting.rewritten(PLACE, bomb, "gzip") == bomb
    with pytest.raises(rewriting.Unreadable, match="errorf making gzip reader"):
        rewriting.rewritten(PLACE, b"no gzip", "gzip")


@pytest.mark.parametrize(
    "piece", ["<", "<a ", "<a =", "<a href='", "<a b= ", "<!--", "<script>", "<title></titl", "&amp", "<a href='&copy"]
)
def test_pages_cost_as_much_as_they_are_long(piece: str) -> None:
    started = time.process_time()
    PLACE.page(piece * (200_000 // len(piece)))
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("given", "page"),
    [
        ("text/html", True),
        ("text/html; charset=utf-8", True),
        ("text/plain", False),
        ("", False),
        ("application/xhtml+xml", False),
    ],
)
def test_what_is_a_page(given: str, page: bool) -> None:
    assert rewriting.rewrites(given) == page
