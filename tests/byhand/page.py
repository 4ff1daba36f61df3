"""A page of Markdown as blocks to run, and how outputs are compared with those it shows. Pure.

A comment before a fenced block, which readers do not see, says where it runs: `<!-- on: master1 master2 -->`. A block of `sh` is a
script; one of `console` has commands after `# ` and, below each, what it shows. Options follow after semicolons: `until` tries a
command again until it shows what the page shows; `role: NAME` is what a later `again: NAME` runs first, on its own hosts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

FENCE = re.compile(
    r"^(?:<!-- on: (?P<where>[^>]*) -->\n)?```(?P<language>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)
HEADING = re.compile(r"^## (.*)$", re.MULTILINE)
RUNS = ("sh", "console")
ELLIPSIS = "..."
# What is another one each time, in the order in which it is looked for.
VARIABLE = (
    (r"\b\d{4}-\d\d-\d\dT[\d:.]+Z\b", "TIME"),
    (r"\b[A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d \d{4} GMT\b", "TIME"),
    (r"\bmaster\d_[0-9a-f]{8}-[-0-9a-f]{27}\b", "HOLDER"),
    (r"\bnode-csr-[-\w]{43}", "node-csr-HASH"),
    (r"\bcsr-[a-z0-9]{5}\b", "csr-ID"),
    (r"\bsystem:bootstrap:[a-z0-9]{6}\b", "system:bootstrap:ID"),
    (r"-[bcdfghjklmnpqrstvwxz2456789]{4,10}-[bcdfghjklmnpqrstvwxz2456789]{5}\b", "-HASH-ID"),
    (r"\b[0-9a-f]{16,64}\b", "HEX"),
    (r"\b10\.244\.\d+\.\d+\b", "POD-IP"),
    (r"\b10\.96\.(?!0\.10?\b)\d+\.\d+\b", "SERVICE-IP"),
    (r"\b\d+(\.\d+)?(µs|ms|s|m|h|d)(\d+(\.\d+)?(ms|s|m|h))*\b", "DURATION"),
    (r"\bv\d+\.\d+\.\d+[-+~\w.]*", "VERSION"),
)


@dataclass(frozen=True, slots=True)
class Block:
    """Of the section `heading`; its hosts run it at the same time."""

    heading: str
    line: int
    language: str
    body: str
    hosts: tuple[str, ...]
    options: tuple[str, ...] = ()

    def values(self, option: str) -> list[str]:
        """What stands behind `option:`."""
        return [text.partition(":")[2].strip() for text in self.options if text.startswith(f"{option}:")]


def blocks(text: str) -> Iterator[Block]:
    """Those that run, in their order. ValueError for one of RUNS that does not say where."""
    headings = [(found.start(), found[1]) for found in HEADING.finditer(text)]
    for found in FENCE.finditer(text):
        if found["language"] not in RUNS:
            continue
        line = text.count("\n", 0, found.start("language")) + 1
        if not found["where"]:
            raise ValueError(f"line {line}: a block of {found['language']} does not say on which host it runs")
        heading = next((name for start, name in reversed(headings) if start < found.start()), "")
        hosts, *options = (part.strip() for part in found["where"].split(";"))
        yield Block(heading, line, found["language"], found["body"], tuple(hosts.split()), tuple(options))


def steps(body: str) -> list[tuple[str, str]]:
    """(command, what it shows) of a console block; a command goes on in the next line after a backslash."""
    result: list[tuple[str, str]] = []
    goes_on = False
    for line in body.splitlines():
        if goes_on or line.startswith("# "):
            text = line if goes_on else line[2:]
            if goes_on:
                result[-1] = (f"{result[-1][0]}\n{text}", "")
            else:
                result.append((text, ""))
            goes_on = line.endswith("\\")
        else:
            command, shown = result[-1]
            result[-1] = (command, f"{shown}{line}\n")
    return result


def with_outputs(text: str, outputs: Mapping[Block, Sequence[str]]) -> str:
    """The page with what came instead of what it shows, step by step; where it shows three dots it stays as it is."""
    lines = text.splitlines(keepends=True)
    for block in sorted(outputs, key=lambda block: block.line, reverse=True):
        body = "".join(
            f"# {command}\n{shown if ELLIPSIS in shown.splitlines() else came}"
            for (command, shown), came in zip(steps(block.body), outputs[block], strict=True)
        )
        lines[block.line : block.line + block.body.count("\n")] = [body]
    return "".join(lines)


def shape(line: str) -> str:
    """Without what is another one each time, and without the width of columns."""
    for pattern, word in VARIABLE:
        line = re.sub(pattern, word, line)
    return " ".join(line.split())


def difference(shown: str, came: str) -> str:
    """ "" where the output has the shape that the page shows, in any order of lines; a line of three dots is any number of lines."""
    expected = Counter(shape(line) for line in shown.splitlines() if line.strip())
    output = Counter(shape(line) for line in came.splitlines() if line.strip())
    any_more = expected.pop(ELLIPSIS, 0)
    missing, more = expected - output, output - expected
    if not missing and (any_more or not more):
        return ""
    return _words("shown on the page, but not here", missing) + _words(
        "here, but not shown on the page", {} if any_more else more
    )


def _words(title: str, lines: Sequence[str] | Counter[str] | dict[str, int]) -> str:
    return f"{title}:\n" + "".join(f"  {line}\n" for line in lines) if lines else ""
