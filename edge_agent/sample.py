"""The commented sample file, generated from the settings themselves so that it cannot fall behind them."""

import json
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from edge_agent.settings import PREFIX, SECTIONS, Section

_HEAD = f"""# Settings of silian-agent. Every key is shown; a line that starts with "# key =" holds the default.
# The environment overrides this file: {PREFIX}GATEWAY__URL=... sets url of [gateway].
# Check with: silian-agent config check -c THIS_FILE
"""
_GIVEN: dict[str, dict[str, Any]] = {
    "node": {"id": "320623-box"},
    "gateway": {"url": "http://127.0.0.1:8080"},
    "cameras": {"name": "room", "title": "指挥大厅", "kind": "testcard", "audio": "tone"},
    "sensors": {"kind": "simulator", "name": "simulator"},
}
_LISTS = ("cameras", "sensors")


def sample() -> str:
    """Return a complete commented settings file that `parse` accepts as it stands."""
    return _HEAD + "".join(_section(name, model) for name, model in SECTIONS.items())


def _section(name: str, model: type[Section]) -> str:
    head = f"[[{name}]]" if name in _LISTS else f"[{name}]"
    again = "  # repeat this table for each one" if name in _LISTS else ""
    lines = [f"\n# {(model.__doc__ or '').splitlines()[0]}", head + again]
    for key, field in model.model_fields.items():
        lines.append(f"# {field.description}")
        lines.append(_line(key, field, _GIVEN.get(name, {})))
    return "\n".join(lines) + "\n"


def _line(key: str, field: FieldInfo, given: dict[str, Any]) -> str:
    if key in given:
        return f"{key} = {_toml(given[key])}"
    default = field.get_default(call_default_factory=True)
    if default is None or default is PydanticUndefined:
        return f"# {key} ="
    return f"# {key} = {_toml(default)}"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, Path):
        value = str(value)
    return json.dumps(value, ensure_ascii=False)
