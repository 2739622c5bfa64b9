"""Writes settings as TOML: tables, lists of tables, inline tables, plain values, lists. Reading is `tomllib`'s."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def dumps(content: Mapping[str, Any]) -> str:
    """Return `content` as TOML; keys with the value None are left out. Raises TypeError for anything else."""
    lines: list[str] = []
    for name, value in content.items():
        if isinstance(value, Mapping):
            lines += [f"[{name}]", *_pairs(value), ""]
        elif _tables(value):
            for table in value:
                lines += [f"[[{name}]]", *_pairs(table), ""]
        else:
            lines.append(f"{name} = {_value(value)}")
    return "\n".join(lines).rstrip() + "\n"


def _tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _pairs(table: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {_value(value)}" for key, value in table.items() if value is not None]


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str() | Path():
            # A JSON string is a TOML basic string as long as nothing is written as a surrogate pair.
            return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
        case list() | tuple():
            return f"[{', '.join(_value(item) for item in value)}]"
        case Mapping():
            return f"{{{', '.join(_pairs(value))}}}"
        case _:
            raise TypeError(f"{type(value).__name__} has no place in our TOML")
