"""The text for nginx: whose a line is, and that users' words stay words. tests/netns has the real nginx read it."""

from __future__ import annotations

import pytest

from pybernetes.ingress.nginx import line_of
from pybernetes.ingress.plan import configuration
from pybernetes.ingress.quoting import Invalid, quoted, server_name
from pybernetes.ingress.render import Host, render

from .objects import ingress, path, world

MACHINE = Host("/run/ingress-nginx", user="www-data")


def test_a_complaint_about_a_line_finds_the_ingress() -> None:
    rendered = render(configuration(world(ingress("i", path("/x")), ingress("j", path("/y")))), MACHINE)
    lines = rendered.text.splitlines()
    number = next(index for index, line in enumerate(lines, 1) if 'location "/x/"' in line)
    complaint = f'pcre2_compile() failed: missing ) in "^/x" in /run/ingress-nginx/nginx.conf.new:{number}'
    assert line_of(complaint) == number
    assert rendered.owner(number) == ("default", "i")
    assert rendered.owner(1) is rendered.owner(0) is rendered.owner(10**6) is None
    assert len(rendered.owners) == len(lines)


def test_the_same_objects_in_another_order_are_the_same_text() -> None:
    one, two = ingress("i", path("/x")), ingress("j", path("/y"), host="b.example")
    assert render(configuration(world(one, two)), MACHINE) == render(configuration(world(two, one)), MACHINE)


@pytest.mark.parametrize(
    ("text", "word"),
    [("/a", '"/a"'), ('/"; }', '"/\\"; }"'), ("/\\", '"/\\\\"'), ('/\\";', '"/\\\\\\";"'), ("/$x {", '"/$x {"')],
)
def test_a_word(text: str, word: str) -> None:
    assert quoted(text) == word


@pytest.mark.parametrize("text", ["/\n", "/\r", "/\x00", "/\x7f"])
def test_control_characters_are_no_part_of_a_word(text: str) -> None:
    with pytest.raises(Invalid):
        quoted(text)
    made = configuration(world(ingress("i", path(text, "ImplementationSpecific"))))
    assert [each.reason for each in made.problems] == ["PathNotUsed"]


def test_a_wildcard_stands_for_one_label() -> None:
    assert server_name("*.a.example") == '"~^[^.]+\\\\.a\\\\.example$"'


@pytest.mark.parametrize(
    "host", ["a.example; }", "a b", 'a"', "$host", "~^.*$", "a.example\n", "*", "*.*.example", "A.example"]
)
def test_hostile_hosts_get_no_server(host: str) -> None:
    made = configuration(world(ingress("i", path("/"), host=host)))
    assert [each.name for each in made.servers] == ["_"]
    assert [each.reason for each in made.problems] == ["RuleNotUsed"]
