"""What Kubernetes adds to CEL."""

from typing import Any

import pytest

from pybernetes.apiserver.cel.environment import CompileError, EvaluationError, compiled

pytest.importorskip("cel_expr_python")
DATA = {"object": {"q": "1Gi", "l": [3, 1]}}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("quantity(object.q).isGreaterThan(quantity('1Mi'))", True),
        ("quantity('1Gi') == quantity('1024Mi')", True),
        ("quantity('1').add(1) == quantity('2')", True),
        ("isQuantity('1x')", False),
        ("object.l.isSorted()", False),
        ("object.l.min()", 1),
        ("url('https://a.b:8443/c').getHost()", "a.b:8443"),
        ("ip('10.0.0.1').family()", 4),
        ("cidr('10.0.0.0/8').containsIP('11.0.0.1')", False),
        ("cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')", True),
    ],
)
def test_values(expression: str, value: Any) -> None:
    assert compiled(expression, ("object",), "").evaluate(DATA) == value


def test_errors() -> None:
    with pytest.raises(EvaluationError, match="no such key: nope"):
        compiled("object.nope == 1", ("object",), "BOOL").evaluate(DATA)
    with pytest.raises(CompileError, match="must evaluate to bool"):
        compiled("'text'", ("object",), "BOOL")
    with pytest.raises(CompileError, match="undeclared reference"):
        compiled("other == 1", ("object",), "BOOL")
