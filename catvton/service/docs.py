"""The page that explains the REST door: the OpenAPI document as plain HTML. No script, no other host."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from catvton.service.codes import CODES
from catvton.service.problems import status_of

STYLE = """
:root { color-scheme: light dark; --line: #8884; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
section { border-top: 1px solid var(--line); margin-top: 2rem; padding-top: .5rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
pre { overflow-x: auto; padding: .8rem; border: 1px solid var(--line); border-radius: 6px; }
"""


def page(schema: dict[str, Any]) -> str:
    """The whole page."""
    info, base = schema["info"], schema["servers"][0]["url"]
    operations = [_operation(base, path, method, operation)
                  for path, item in schema["paths"].items()
                  for method, operation in item.items() if method != "parameters"]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width, initial-scale=1"><title>{escape(info["title"])} API</title>'
        f"<style>{STYLE}</style></head><body><h1>{escape(info['title'])}: the REST door</h1>"
        f"<p>{escape(info['description'])}</p><p>{_key(schema)} The same as data: "
        f'<a href="{escape(base)}/openapi.json">{escape(base)}/openapi.json</a>.</p>'
        f"<pre>{escape(_curl(base, keys_needed={} not in schema['security']))}</pre>{''.join(operations)}"
        f"{_errors(schema)}</body></html>"
    )


def _key(schema: dict[str, Any]) -> str:
    who = "You need an API key" if {} not in schema["security"] else "An API key is optional"
    return f"{who}: send it as <code>Authorization: Bearer KEY</code>."


def _curl(base: str, *, keys_needed: bool) -> str:
    key = '  -H "Authorization: Bearer $KEY" \\\n' if keys_needed else ""
    return (f"curl --fail-with-body http://localhost:7860{base}/tryon \\\n{key}"
            "  -F person=@me.jpg -F garment=@shirt.jpg -F part=upper -o result.png")


def _operation(base: str, path: str, method: str, operation: dict[str, Any]) -> str:
    answers = "".join(f"<tr><td><code>{status}</code></td><td>{escape(answer['description'])} "
                      f"{_kinds(answer)}</td></tr>" for status, answer in operation["responses"].items())
    return (
        f'<section id="{escape(operation["operationId"])}"><h2><code>{method.upper()} {escape(base + path)}</code></h2>'
        f"<p>{escape(operation['summary'])}. {escape(operation.get('description', ''))}</p>{_fields(operation)}"
        f"<h3>Answers</h3><table>{answers}</table>{_example(operation)}</section>"
    )


def _kinds(answer: dict[str, Any]) -> str:
    return " ".join(f"<code>{escape(kind)}</code>" for kind in answer.get("content", {}))


def _fields(operation: dict[str, Any]) -> str:
    if "requestBody" not in operation:
        return ""
    form = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
    rows = "".join(f"<tr><td><code>{escape(name)}</code></td><td>{_accepted(field, name in form['required'])}</td>"
                   f"<td>{escape(field['description'])}</td></tr>" for name, field in form["properties"].items())
    return f"<h3>Form</h3><table><tr><th>field</th><th>accepted</th><th></th></tr>{rows}</table>"


def _accepted(field: dict[str, Any], required: bool) -> str:
    if field.get("format") == "binary":
        said = "file"
    elif "enum" in field:
        said = ", ".join(field["enum"])
    else:
        said = f"{field['type']} {field['minimum']} to {field['maximum']}"
    default = f"; default {field['default']}" if "default" in field else ""
    return escape(said + default + ("; required" if required else ""))


def _example(operation: dict[str, Any]) -> str:
    for answer in operation["responses"].values():
        example = answer.get("content", {}).get("application/json", {}).get("example")
        if example is not None:
            return f"<h3>Example</h3><pre>{escape(json.dumps(example, indent=2))}</pre>"
    return ""


def _errors(schema: dict[str, Any]) -> str:
    example = schema["components"]["schemas"]["Problem"]["example"]
    rows = "".join(f"<tr><td><code>{code}</code></td><td><code>{status_of(code)}</code></td><td>{escape(meaning)}</td>"
                   "</tr>" for code, meaning in CODES.items())
    return (
        '<section id="errors"><h2>Errors</h2><p>Every error is a problem document: <code>code</code> for programs, '
        f"<code>message</code> for people.</p><pre>{escape(json.dumps(example, indent=2))}</pre>"
        f"<table><tr><th>code</th><th>status</th><th></th></tr>{rows}</table></section>"
    )
