"""Converts a pydantic model to a structural schema, the subset of OpenAPI 3 that CustomResourceDefinitions accept."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, get_args

from pydantic import BaseModel

Schema = dict[str, Any]

_DROPPED = ("title", "$defs", "additionalProperties")
"""Titles are redundant. The API server's strict field validation, which kubectl requests, refuses unknown fields;
`additionalProperties: false` beside `properties` is not structural."""


def structural_schema(model: type[BaseModel]) -> Schema:
    """Return the schema of `model` with references resolved. A field's description is the string below it, or else the
    docstring of its model."""
    document = model.model_json_schema()
    definitions = document.get("$defs", {}) | {model.__name__: document}
    for module in sorted({part.__module__ for part in _models(model)}):
        for name, fields in field_descriptions(sys.modules[module]).items():
            for field, text in fields.items():
                if name in definitions:
                    definitions[name]["properties"][field]["description"] = text
    return _structural(document, definitions)


def _models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield `model` and the models of its fields."""
    yield model
    for field in model.model_fields.values():
        pending = [field.annotation]
        while pending:
            annotation = pending.pop()
            pending += get_args(annotation)
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                yield from _models(annotation)


def field_descriptions(module: ModuleType) -> dict[str, dict[str, str]]:
    """Return the string below each field of each model in `module`, by model name and documented field name.

    pydantic could do this (`use_attribute_docstrings`), but it reads the source for every model when the module is
    imported, which takes a tenth of a second at each start of each program.
    """
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(module)).body:
        model = getattr(module, node.name, None) if isinstance(node, ast.ClassDef) else None
        if not (isinstance(node, ast.ClassDef) and isinstance(model, type) and issubclass(model, BaseModel)):
            continue
        found[node.name] = {}
        for before, text in zip(node.body, node.body[1:], strict=False):
            match before, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                    found[node.name][model.model_fields[name].alias or name] = " ".join(words.split())
    return found


def _structural(node: Schema, definitions: dict[str, Schema]) -> Schema:
    made: Schema = {}
    for key, value in node.items():
        match key, value:
            case _, _ if key in _DROPPED:
                pass
            case "$ref", str(reference):
                made = _structural(definitions[reference.rpartition("/")[2]], definitions) | made
            case "anyOf", [option, {"type": "null"}]:
                # Kubernetes treats null as a missing field.
                made = _structural(option, definitions) | made
            case "const", _:
                made["enum"] = [value]
            case "uniqueItems", True:
                made["x-kubernetes-list-type"] = "set"
            case "x-kubernetes-list-map-keys", _:
                made |= {"x-kubernetes-list-type": "map", key: value}
            case "default", None:
                pass
            case "default", dict():
                # Empty, since the inner fields have the defaults, which an incomplete object gets, too.
                made["default"] = {}
            case "properties", dict():
                made["properties"] = {name: _structural(field, definitions) for name, field in value.items()}
            case "items", dict():
                made["items"] = _structural(value, definitions)
            case "description", str():
                made["description"] = " ".join(value.split())
            case _:
                made[key] = value
    return made
