"""The Corefile's language."""

from pathlib import Path

import pytest

from pybernetes.dns import corefile
from pybernetes.dns.corefile import Block, CorefileError, Listener, listeners_of, normalized, parse

KUBEADM = """
.:53 {
    errors
    health {
       lameduck 5s
    }
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    # a comment
    cache 30
}
"""


def shape(block: Block) -> list[tuple[str, list[str], list[tuple[str, list[str]]]]]:
    return [(d.name, d.arguments, [(p.name, p.arguments) for p in d.properties]) for d in block.directives]


def test_kubeadms_file() -> None:
    (block,) = parse(KUBEADM)
    assert block.listeners == [Listener(".", 53)]
    assert shape(block) == [
        ("errors", [], []),
        ("health", [], [("lameduck", ["5s"])]),
        (
            "kubernetes",
            ["cluster.local", "in-addr.arpa", "ip6.arpa"],
            [("pods", ["insecure"]), ("fallthrough", ["in-addr.arpa", "ip6.arpa"]), ("ttl", ["30"])],
        ),
        ("cache", ["30"], []),
    ]


def test_quotes_variables_snippets_and_imports(tmp_path: Path) -> None:
    (tmp_path / "one.override").write_text("log\n")
    text = """
    (common) {
        errors
    }
    {$ZONE}:{%PORT%} b.org {
        import common
        import *.override
        import *.nothing
        rewrite name "quoted words" x # comment
    }
    """
    (block,) = parse(text, str(tmp_path / "Corefile"), 5353, {"ZONE": "A.org", "PORT": "1053"})
    assert block.listeners == [Listener("a.org.", 1053), Listener("b.org.", 5353)]
    assert shape(block) == [("errors", [], []), ("log", [], []), ("rewrite", ["name", "quoted words", "x"], [])]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (".:53", "Corefile:1 - Error during parsing: Unexpected EOF: a server block has no braces"),
        (".:53 {\n errors\n", "Corefile:1 - Error during parsing: Unexpected EOF: a brace is not closed"),
        (". {\n import nowhere\n}", "Corefile:2 - Error during parsing: File to import not found: nowhere"),
        ("tls://. {\n}", "tls://.: transport 'tls' is not there, only dns is"),
        ("(a) {\n import a\n}\n. {\n import a\n}", "Corefile:2 - Error during parsing: imports go round in a circle"),
    ],
)
def test_errors_say_where(text: str, message: str) -> None:
    with pytest.raises(CorefileError) as caught:
        parse(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "zones"),
    [
        ("Example.ORG", ["example.org."]),
        (".", ["."]),
        ("10.0.0.0/24", ["0.0.10.in-addr.arpa."]),
        ("10.0.0.0/8", ["10.in-addr.arpa."]),
        ("10.96.0.0/15", ["96.10.in-addr.arpa.", "97.10.in-addr.arpa."]),
        ("fd00::/8", ["d.f.ip6.arpa."]),
    ],
)
def test_zones(text: str, zones: list[str]) -> None:
    assert normalized(text) == zones


def test_listeners() -> None:
    assert listeners_of("dns://cluster.local:5300", 53) == [Listener("cluster.local.", 5300)]
    assert listeners_of("10.0.0.0/24:54", 53) == [Listener("0.0.10.in-addr.arpa.", 53 + 1)]


def test_imports_outside_of_blocks_and_with_arguments(tmp_path: Path) -> None:
    (tmp_path / "blocks.conf").write_text("a.example {\n errors\n}\n")
    (tmp_path / "part").write_text("hosts {args[0]} {\n ttl {args.1}\n}\n")
    text = """
    import blocks.conf
    (answer) {
        template IN A {
            answer "{args[0]} {args[7]}"
        }
    }
    . {
        import part hosts.txt 60
        import answer "two words"
    }
    """
    first, second = parse(text, str(tmp_path / "Corefile"))
    assert (first.zones, shape(first)) == (["a.example."], [("errors", [], [])])
    assert shape(second) == [
        ("hosts", ["hosts.txt"], [("ttl", ["60"])]),
        ("template", ["IN", "A"], [("answer", ["two words {args[7]}"])]),
    ]


def test_imports_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corefile, "MAX_TOKENS", 10_000)
    snippets = "".join(f"(s{n + 1}) {{\n import s{n}\n import s{n}\n}}\n" for n in range(30))
    with pytest.raises(CorefileError, match="more than 10000 words are imported"):
        parse(f"(s0) {{\n a b c d e f g h\n}}\n{snippets}. {{\n import s30\n}}")
    (tmp_path / "self").write_text("import self\n")
    with pytest.raises(CorefileError, match="imports go round in a circle"):
        parse("import self", str(tmp_path / "Corefile"))
