"""Source to syntax tree (upstream: cel-go parser/parser.go, gen/CEL.g4). Faults are told in the words of ANTLR's parsers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import ast, lexer, literals, macros
from .ast import Entry, Node
from .errors import CompileError, Issue, report
from .lexer import END, ESCAPED, IDENTIFIER, Token

MAX_DEPTH = 250  # of each rule of the grammar within itself
MAX_SIZE = 100_000  # characters of an expression

RESERVED = frozenset(
    (
        *("as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in"),
        *("let", "loop", "package", "namespace", "null", "return", "true", "var", "void", "while"),
    )
)
STARTERS = ("[", "{", "(", ".", "-", "!", "true", "false", "null", "NUM_FLOAT", "NUM_INT", "NUM_UINT", "STRING", "BYTES", "IDENTIFIER")  # fmt: skip
_RELATIONS = {
    "<": ast.LESS, "<=": ast.LESS_EQUAL, ">=": ast.GREATER_EQUAL, ">": ast.GREATER,
    "==": ast.EQUAL, "!=": ast.NOT_EQUAL, "in": ast.IN,
}  # fmt: skip
_SUMS = {"+": ast.ADD, "-": ast.SUBTRACT}
_PRODUCTS = {"*": ast.MULTIPLY, "/": ast.DIVIDE, "%": ast.MODULO}


def parse(source: str) -> Node:
    """The tree of an expression with its macros expanded. CompileError, and nothing else whatever the text."""
    if len(source) > MAX_SIZE:
        text = f"expression code point size exceeds limit: size: {len(source)}, limit {MAX_SIZE}"
        raise CompileError(report(source, [Issue(-1, text)]))
    parser = _Parser(source)
    try:
        tree = parser.start()
    except _Stop:
        tree = None
    if parser.issues or tree is None:
        raise CompileError(report(source, parser.issues))
    return tree


class _Stop(Exception):
    """The parser cannot go on; the reason is among its issues."""


class _Parser:
    def __init__(self, source: str) -> None:
        self.issues: list[Issue] = []
        self._tokens = lexer.tokens(source, self.issues)
        self._at = 0
        self._depths = {"expr": 0, "relation": 0, "calc": 0, "member": 0}

    def start(self) -> Node:
        tree = self._expression()
        token = self._token
        if token.kind != END:
            word = "extraneous" if self._ahead(1).kind == END else "mismatched"
            self._syntax(token, f"{word} input '{token.text}' expecting <EOF>")
        return tree

    # --- tokens ------------------------------------------------------------------------------

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    def _ahead(self, count: int) -> Token:
        return self._tokens[min(self._at + count, len(self._tokens) - 1)]

    def _next(self) -> Token:
        token = self._tokens[self._at]
        if token.kind != END:
            self._at += 1
        return token

    def _take(self, kind: str) -> Token | None:
        return self._next() if self._token.kind == kind else None

    def _expect(self, kind: str) -> Token:
        token = self._token
        if token.kind == kind:
            return self._next()
        expected = kind if kind in (IDENTIFIER,) else f"'{kind}'"
        if self._ahead(1).kind == kind:
            self._syntax(token, f"extraneous input '{token.text}' expecting {expected}")
            self._next()
            return self._next()
        raise self._stop(token, f"mismatched input '{token.text}' expecting {expected}")

    def _syntax(self, token: Token, message: str) -> None:
        self.issues.append(Issue(token.offset, f"Syntax error: {message}"))

    def _stop(self, token: Token, message: str) -> _Stop:
        self._syntax(token, message)
        return _Stop()

    def _enter(self, rule: str) -> None:
        self._depths[rule] += 1
        if self._depths[rule] > MAX_DEPTH:
            self.issues.append(Issue(-1, f"expression recursion limit exceeded: {MAX_DEPTH}"))
            raise _Stop

    # --- the grammar -------------------------------------------------------------------------

    def _expression(self, others: Sequence[str] = ()) -> Node:
        """`others` are tokens that might stand here as well, which a message names."""
        self._enter("expr")
        self._start_of_expression(others)
        tree = self._or()
        operator = self._take("?")
        if operator:
            self._start_of_expression()
            accepted = self._or()
            self._expect(":")
            tree = ast.Call(operator.offset, ast.CONDITIONAL, None, [tree, accepted, self._expression()])
        self._depths["expr"] -= 1
        return tree

    def _start_of_expression(self, others: Sequence[str] = ()) -> None:
        token = self._token
        if token.kind in STARTERS:
            return
        names = [name for name in _ALL_STARTERS if name in STARTERS or name in others]
        expected = ", ".join(name if name.isupper() else f"'{name}'" for name in names)
        if self._ahead(1).kind in STARTERS:
            self._syntax(token, f"extraneous input '{token.text}' expecting {{{expected}}}")
            self._next()
            return
        raise self._stop(token, f"mismatched input '{token.text}' expecting {{{expected}}}")

    def _or(self) -> Node:
        return self._logical("||", ast.OR, self._and)

    def _and(self) -> Node:
        return self._logical("&&", ast.AND, self._relation)

    def _logical(self, operator: str, function: str, below: Callable[[], Node]) -> Node:
        terms, offsets = [below()], []
        while self._token.kind == operator:
            offsets.append(self._next().offset)
            self._start_of_expression()
            terms.append(below())
        return _balanced(function, terms, offsets, 0, len(offsets) - 1) if offsets else terms[0]

    def _relation(self) -> Node:
        depth = self._depths["relation"]
        self._enter("relation")
        tree = self._calc(_SUMS)
        while self._token.kind in _RELATIONS:
            operator = self._next()
            self._enter("relation")
            self._start_of_expression()
            tree = ast.Call(operator.offset, _RELATIONS[operator.kind], None, [tree, self._calc(_SUMS)])
        self._depths["relation"] = depth
        return tree

    def _calc(self, operators: dict[str, str]) -> Node:
        depth = self._depths["calc"]
        if operators is _SUMS:  # both precedences are one rule of the grammar
            self._enter("calc")
        tree = self._calc(_PRODUCTS) if operators is _SUMS else self._unary()
        while self._token.kind in operators:
            operator = self._next()
            self._enter("calc")
            self._start_of_expression()
            right = self._calc(_PRODUCTS) if operators is _SUMS else self._unary()
            tree = ast.Call(operator.offset, operators[operator.kind], None, [tree, right])
        self._depths["calc"] = depth
        return tree

    def _unary(self) -> Node:
        token = self._token
        if token.kind == "-" and self._ahead(1).kind in (lexer.INT, lexer.FLOAT):
            return self._member()
        if token.kind not in ("-", "!"):
            return self._member()
        count = 0
        while self._take(token.kind):
            count += 1
        if self._token.kind not in STARTERS or self._token.kind == ("!" if token.kind == "-" else ""):
            self._syntax(self._token, f"no viable alternative at input '{token.kind}'")
            raise _Stop
        operand = self._member()
        if count % 2 == 0:
            return operand
        return ast.Call(token.offset, ast.NEGATE if token.kind == "-" else ast.NOT, None, [operand])

    def _member(self) -> Node:
        depth = self._depths["member"]
        self._enter("member")
        tree = self._primary()
        while self._token.kind in (".", "["):
            self._enter("member")
            token = self._next()
            tree = self._selection(tree, token) if token.kind == "." else self._index(tree, token)
        self._depths["member"] = depth
        return tree

    def _selection(self, operand: Node, dot: Token) -> Node:
        optional = self._take("?")
        name = self._token
        if name.kind not in (IDENTIFIER, ESCAPED):
            if name.kind in ("true", "false", "null"):
                raise self._stop(name, f"mismatched input '{name.text}' expecting IDENTIFIER")
            text = "" if name.kind == END else name.text
            raise self._stop(name, f"no viable alternative at input '.{text}'")
        self._next()
        text = name.text[1:-1] if name.kind == ESCAPED else name.text
        if optional:
            literal = ast.Literal(name.offset, text)
            return ast.Call(dot.offset, ast.OPTIONAL_SELECT, None, [operand, literal])
        if self._token.kind == "(" and name.kind == IDENTIFIER:
            opening = self._next()
            return self._call(opening.offset, text, operand, self._arguments())
        return ast.Select(dot.offset, operand, text)

    def _index(self, operand: Node, bracket: Token) -> Node:
        optional = self._take("?")
        index = self._expression(("?",))
        self._expect("]")
        return ast.Call(bracket.offset, ast.OPTIONAL_INDEX if optional else ast.INDEX, None, [operand, index])

    def _arguments(self) -> list[Node]:
        if self._take(")"):
            return []
        arguments = [self._expression((")",))]
        while self._take(","):
            arguments.append(self._expression())
        self._expect(")")
        return arguments

    def _call(self, offset: int, function: str, target: Node | None, arguments: list[Node]) -> Node:
        try:
            expanded = macros.expand(offset, function, target, arguments)
        except macros.MacroError as error:
            self.issues.append(Issue(error.offset, str(error)))
            return ast.Literal(offset, None)
        return ast.Call(offset, function, target, arguments) if expanded is None else expanded

    def _primary(self) -> Node:
        token = self._next()
        match token.kind:
            case "(":
                tree = self._expression()
                self._expect(")")
                return tree
            case "[":
                return self._list(token)
            case "{":
                return ast.MapLiteral(token.offset, self._entries(False))
            case "." | "IDENTIFIER":
                return self._name(token)
            case "-":
                if self._token.kind not in (
                    lexer.INT,
                    lexer.FLOAT,
                ):  # behind a "!", where only a number may have a sign
                    raise self._stop(self._token, "no viable alternative at input '-'")
                return self._number(self._next(), token.offset, True)
            case "NUM_INT" | "NUM_UINT" | "NUM_FLOAT":
                return self._number(token, token.offset, False)
            case "STRING":
                return self._literal(token.offset, lambda: literals.string(token.text))
            case "BYTES":
                return self._literal(token.offset, lambda: literals.octets(token.text))
            case "true" | "false":
                return ast.Literal(token.offset, token.kind == "true")
            case "null":
                return ast.Literal(token.offset, None)
        raise self._stop(token, f"no viable alternative at input '{token.text}'")

    def _number(self, token: Token, offset: int, negative: bool) -> Node:
        match token.kind:
            case lexer.INT:
                return self._literal(offset, lambda: literals.integer(token.text, negative))
            case lexer.UINT:
                return self._literal(offset, lambda: literals.unsigned(token.text))
        return self._literal(offset, lambda: literals.double(token.text, negative))

    def _literal(self, offset: int, read: Callable[[], Any]) -> Node:
        try:
            return ast.Literal(offset, read())
        except literals.LiteralError as error:
            self.issues.append(Issue(offset, str(error)))
            return ast.Literal(offset, None)

    def _name(self, token: Token) -> Node:
        """A variable, a call of a function, or an object's literal, maybe behind a dot."""
        dot = "." if token.kind == "." else ""
        name = self._expect(IDENTIFIER) if dot else token
        if self._is_object():
            names = [name.text]
            while self._take("."):
                names.append(self._next().text)
            brace = self._next()
            return ast.ObjectLiteral(brace.offset, dot + ".".join(names), self._entries(True))
        if name.text in RESERVED:
            self.issues.append(Issue(token.offset, f"reserved identifier: {name.text}"))
        opening = self._take("(")
        if opening:
            return self._call(opening.offset, dot + name.text, None, self._arguments())
        return ast.Ident(name.offset, dot + name.text)

    def _is_object(self) -> bool:
        ahead = 0
        while self._ahead(ahead).kind == "." and self._ahead(ahead + 1).kind == IDENTIFIER:
            ahead += 2
        return self._ahead(ahead).kind == "{"

    def _list(self, bracket: Token) -> Node:
        elements: list[Node] = []
        optional: set[int] = set()
        while self._token.kind != "]":
            if elements and self._token.kind == "]":
                break
            if self._token.kind == "," and not elements:
                self._next()
                break
            if self._take("?"):
                optional.add(len(elements))
            elements.append(self._expression(("]", ",", "?")))
            if not self._take(","):
                break
        self._expect("]")
        return ast.ListLiteral(bracket.offset, elements, frozenset(optional))

    def _entries(self, named: bool) -> list[Entry]:
        entries: list[Entry] = []
        if self._take(","):
            self._expect("}")
            return entries
        while self._token.kind != "}":
            optional = self._take("?") is not None
            key: Node | str = self._field() if named else self._expression(("}", ",", "?"))
            colon = self._expect(":")
            entries.append(Entry(colon.offset, key, self._expression(), optional))
            if not self._take(","):
                break
        self._expect("}")
        return entries

    def _field(self) -> str:
        token = self._token
        if token.kind not in (IDENTIFIER, ESCAPED):
            raise self._stop(
                token, f"mismatched input '{token.text}' expecting {{'}}', ',', '?', IDENTIFIER, ESC_IDENTIFIER}}"
            )
        self._next()
        return token.text[1:-1] if token.kind == ESCAPED else token.text


_ALL_STARTERS = (
    "[",
    "]",
    "{",
    "}",
    "(",
    ")",
    ".",
    ",",
    "-",
    "!",
    "?",
    *STARTERS[6:],
)  # in the order of the grammar's tokens


def _balanced(function: str, terms: list[Node], offsets: list[int], low: int, high: int) -> Node:
    """A tree as low as can be: a chain of a thousand terms is ten calls deep."""
    middle = (low + high + 1) // 2
    left = terms[middle] if middle == low else _balanced(function, terms, offsets, low, middle - 1)
    right = terms[middle + 1] if middle == high else _balanced(function, terms, offsets, middle + 1, high)
    return ast.Call(offsets[middle], function, None, [left, right])
