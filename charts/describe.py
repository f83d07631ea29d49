"""Generates values.schema.json and the table of values in README.md from the comments in values.yaml (`make chart`).

The comment above a value is its description; a line `@schema {…}` in it adds to the type derived from the default.
`resources` and objects with an empty default accept any keys; every other object accepts exactly the keys listed.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent
BEGIN, END = "<!-- values: made by `make chart` -->\n", "<!-- end of values -->\n"
FREE = ("resources",)
"""Objects defined by Kubernetes: keys other than those of their defaults are accepted too."""
TYPES = {
    "tag:yaml.org,2002:str": "string",
    "tag:yaml.org,2002:int": "integer",
    "tag:yaml.org,2002:float": "number",
    "tag:yaml.org,2002:bool": "boolean",
    "tag:yaml.org,2002:seq": "array",
    "tag:yaml.org,2002:map": "object",
}


class Undescribed(ValueError):
    """A value without a comment, or whose type can't be derived from its default."""


@dataclass(frozen=True)
class Value:
    """A key of values.yaml. `parts` are the keys below it, none for a leaf."""

    path: tuple[str, ...]
    kind: str
    default: Any
    description: str
    extra: dict[str, Any]
    parts: tuple[Value, ...]


def read(text: str) -> tuple[Value, ...]:
    """Return the values that `text` documents, in order. Raises Undescribed, which names the value."""
    return _parts(yaml.compose(text, yaml.SafeLoader), text.splitlines(), ())


def _parts(node: Any, lines: list[str], path: tuple[str, ...]) -> tuple[Value, ...]:
    found = []
    for key, value in node.value:
        here = (*path, key.value)
        description, extra = _comment(lines, key.start_mark.line)
        kind = extra.get("type") or TYPES.get(value.tag, "")
        if not kind:
            raise Undescribed(f"{'.'.join(here)}: give it a default with a type, or @schema {{type: …}}")
        leaf = kind != "object" or not value.value or key.value in FREE
        if leaf and not description:
            raise Undescribed(f"{'.'.join(here)}: a comment above it must describe it")
        default = yaml.SafeLoader("").construct_object(value, deep=True)
        found.append(Value(here, kind, default, description, extra, () if leaf else _parts(value, lines, here)))
    return tuple(found)


def _comment(lines: list[str], at: int) -> tuple[str, dict[str, Any]]:
    """Return the description and the schema in the comment that ends above line `at`."""
    words: list[str] = []
    extra: dict[str, Any] = {}
    while at > 0 and (line := re.fullmatch(r"\s*# ?(.*)", lines[at - 1])):
        if line[1].startswith("@schema "):
            extra = yaml.safe_load(line[1].removeprefix("@schema ")) | extra
        else:
            words.insert(0, line[1])
        at -= 1
    return " ".join(words), extra


def schema(values: tuple[Value, ...]) -> dict[str, Any]:
    """Return the JSON schema by which Helm validates a user's values."""
    # Helm adds `global` to every subchart.
    properties = {value.path[-1]: _property(value) for value in values} | {"global": {"type": "object"}}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }


def _property(value: Value) -> dict[str, Any]:
    described: dict[str, Any] = {"type": value.kind}
    if value.description:
        described["description"] = value.description
    if value.parts:
        described["additionalProperties"] = False
        described["properties"] = {part.path[-1]: _property(part) for part in value.parts}
    return described | value.extra


def leaves(values: tuple[Value, ...]) -> Iterator[Value]:
    for value in values:
        if value.parts:
            yield from leaves(value.parts)
        else:
            yield value


def table(values: tuple[Value, ...]) -> str:
    rows = ["| value | default | meaning |", "|---|---|---|"]
    for value in leaves(values):
        default = json.dumps(value.default).replace("|", r"\|")
        rows.append(f"| `{'.'.join(value.path)}` | `{default}` | {value.description} |")
    return "\n".join(rows) + "\n"


def generated(chart: Path = CHART) -> dict[Path, str]:
    """Return the generated text of each file."""
    values = read((chart / "values.yaml").read_text(encoding="utf-8"))
    readme = (chart / "README.md").read_text(encoding="utf-8")
    before, rest = readme.split(BEGIN)
    after = rest.split(END)[1]
    return {
        chart / "values.schema.json": json.dumps(schema(values), indent=2, ensure_ascii=False) + "\n",
        chart / "README.md": before + BEGIN + table(values) + END + after,
    }


if __name__ == "__main__":
    try:
        for path, text in generated().items():
            path.write_text(text, encoding="utf-8")
    except Undescribed as error:
        sys.exit(f"charts/values.yaml: {error}")
