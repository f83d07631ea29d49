"""Validates a custom resource like Kubernetes' API server: prune nulls, fill in defaults, then refuse unknown fields
(strict field validation, as kubectl asks for), what the schema refuses, and what a CEL rule refuses.

Patterns are matched by RE2, as in Go; the rules are evaluated by a CEL interpreter.
"""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import celpy
import jsonschema
import re2
from celpy import celtypes
from celpy.adapter import json_to_cel

Schema = dict[str, Any]


class CustomResource:
    """One version of a CustomResourceDefinition."""

    def __init__(self, definition: dict[str, Any], version: str) -> None:
        found = next(v for v in definition["spec"]["versions"] if v["name"] == version)
        self.schema: Schema = found["schema"]["openAPIV3Schema"]

    def problems(self, document: dict[str, Any], before: dict[str, Any] | None = None) -> list[str]:
        """Return one line per reason to refuse `document`, new or as a replacement of `before`; empty if it is
        accepted."""
        now = copy.deepcopy(document)
        unknown = [*_unknown(self.schema, now, "", root=True)]
        self.fill(now)
        refused = [
            f"{_path(error.absolute_path)}: {error.message}" for error in _Validator(self.schema).iter_errors(now)
        ]
        if unknown or refused:
            return unknown + refused
        earlier = copy.deepcopy(before)
        if earlier is not None:
            self.fill(earlier)
        return [*_broken_rules(self.schema, now, earlier, "")]

    def fill(self, document: dict[str, Any]) -> None:
        """Remove nulls and fill in defaults."""
        _fill(self.schema, document)


def _path(parts: Any) -> str:
    return ".".join(map(str, parts))


def _unknown(schema: Schema, value: Any, path: str, root: bool = False) -> Any:
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    if isinstance(value, dict):
        root = root or bool(schema.get("x-kubernetes-embedded-resource"))
        for name, inner in value.items():
            if name in schema.get("properties", {}):
                if root and name == "metadata":
                    continue  # the API server's own
                yield from _unknown(schema["properties"][name], inner, f"{path}.{name}")
            elif isinstance(schema.get("additionalProperties"), dict):
                yield from _unknown(schema["additionalProperties"], inner, f"{path}.{name}")
            elif not (root and name in ("apiVersion", "kind", "metadata")) and not schema.get("additionalProperties"):
                yield f"{path}.{name}: unknown field"
    if isinstance(value, list) and "items" in schema:
        for at, inner in enumerate(value):
            yield from _unknown(schema["items"], inner, f"{path}[{at}]")


def _fill(schema: Schema, value: Any) -> None:
    """Remove nulls and fill in defaults, as the API server does before it validates."""
    if isinstance(value, dict):
        for name, inner in schema.get("properties", {}).items():
            if value.get(name, ...) is None and not inner.get("nullable"):
                del value[name]
            if name not in value and "default" in inner:
                value[name] = copy.deepcopy(inner["default"])
            if name in value:
                _fill(inner, value[name])
    elif isinstance(value, list) and "items" in schema:
        for inner in value:
            _fill(schema["items"], inner)


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Schema) -> Any:
    if isinstance(instance, str) and not re2.search(pattern, instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern}")


def _type(validator: Any, kind: str, instance: Any, schema: Schema) -> Any:
    if not (instance is None and schema.get("nullable")) and not validator.is_type(instance, kind):
        yield jsonschema.ValidationError(f"{instance!r} is not of type {kind}")


def _list_type(_validator: Any, kind: str, instance: Any, schema: Schema) -> Any:
    if not isinstance(instance, list) or kind == "atomic":
        return
    keys = schema.get("x-kubernetes-list-map-keys")
    entries = [repr([entry.get(key) for key in keys] if keys else entry) for entry in instance]
    for twice in {entry for entry in entries if entries.count(entry) > 1}:
        yield jsonschema.ValidationError(f"{twice} stands more than once")


# Kubernetes' schemas have draft 4's boolean exclusiveMinimum.
_Validator = jsonschema.validators.extend(
    jsonschema.Draft4Validator, {"pattern": _pattern, "type": _type, "x-kubernetes-list-type": _list_type}
)


def _broken_rules(schema: Schema, value: Any, before: Any, path: str) -> Any:
    if schema.get("type") == "number" and isinstance(value, int):
        value = float(value)  # the API server treats it as a double in any notation
    for rule in schema.get("x-kubernetes-validations", []):
        if "oldSelf" in rule["rule"] and before is None:
            continue  # a rule on changes
        if not holds(rule["rule"], self=value, oldSelf=before):
            yield f"{path}: {rule.get('message', rule['rule'])}"
    if isinstance(value, dict):
        earlier = before if isinstance(before, dict) else {}
        for name, inner in value.items():
            properties, more = schema.get("properties", {}), schema.get("additionalProperties")
            at = properties.get(name, more if isinstance(more, dict) else {})
            yield from _broken_rules(at, inner, earlier.get(name), f"{path}.{name}")
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _broken_rules(schema.get("items", {}), inner, None, f"{path}[{at}]")


@cache
def _program(expression: str) -> Any:
    environment = celpy.Environment()
    return environment.program(environment.compile(expression), functions={"find": _find})


def _find(text: str, pattern: str) -> celtypes.StringType:
    """Return the first match or nothing, like the function of Kubernetes' CEL library."""
    match = re2.search(str(pattern), str(text))
    return celtypes.StringType(match.group(0) if match else "")


def holds(expression: str, **variables: Any) -> bool:
    """Evaluate a CEL rule. Raises celpy.CELEvalError, as the API server refuses, when it can't be evaluated."""
    return bool(_program(expression).evaluate({k: json_to_cel(v) for k, v in variables.items()}))
