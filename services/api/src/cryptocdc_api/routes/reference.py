"""`/docs`: the endpoints as a page, generated from the OpenAPI document. It loads nothing from other hosts."""

from __future__ import annotations

from html import escape
from typing import Any


def page(document: dict[str, Any], source: str) -> str:
    """Return the HTML of an OpenAPI document."""
    info = document["info"]
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{escape(info['title'])}</title><link rel=stylesheet href=static/docs.css>"
        f"<h1>{escape(info['title'])}</h1>"
        f"<p class=source>source of the data: <strong>{escape(source)}</strong></p>"
        f"<p>{escape(info['description'])} <a href=openapi.json>openapi.json</a></p>"
    ]
    for path, methods in document["paths"].items():
        operation = methods["get"]
        parts.append(f"<h2><code>GET {escape(path)}</code></h2><p>{escape(operation.get('summary', ''))}</p>")
        if "description" in operation:
            parts.append(f"<p>{escape(operation['description'])}</p>")
        rows = "".join(_parameter(parameter) for parameter in operation.get("parameters", ()))
        if rows:
            parts.append(f"<table><tr><th>parameter<th>accepted<th>{rows}</table>")
    return "".join(parts)


def _parameter(parameter: dict[str, Any]) -> str:
    schema = parameter["schema"]
    options = [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]
    accepted = ", ".join(_accepted(option) for option in options)
    if "default" in schema and schema["default"] is not None:
        accepted += f"; default {escape(str(schema['default']).lower())}"
    if parameter.get("required"):
        accepted += "; required"
    return f"<tr><td><code>{escape(parameter['name'])}</code><td>{accepted}<td>{escape(schema.get('description', ''))}"


def _accepted(option: dict[str, Any]) -> str:
    if "enum" in option:
        return escape(", ".join(map(str, option["enum"])))
    bounds = [f"{word} {option[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in option]
    words = [option.get("type", ""), *bounds]
    if "examples" in option:
        words.append("e.g. " + " or ".join(map(str, option["examples"])))
    return escape(" ".join(filter(None, words)))
