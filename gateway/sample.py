"""The commented sample file, generated from the settings themselves so that it cannot fall behind them."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gateway.settings import ENVIRONMENT, Settings

_HEAD: Final = f"""# Settings of a silian gateway. Every key is shown; "# key =" holds the default.
# 四联网关配置：每一项均列出，注释行为默认值。
# The environment overrides this file: {ENVIRONMENT}HTTP__PORT=8081 sets port of [http].
# Check with: silian config check -c THIS_FILE
"""
_GIVEN: Final[dict[str, dict[str, Any]]] = {"centre": {"code": "320600"}}


def sample() -> str:
    """Return a complete commented settings file that `load_settings` accepts as it stands."""
    sections = []
    for name, outer in Settings.model_fields.items():
        model = outer.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            sections.append(_section(name, model))
    return _HEAD + "".join(sections)


def _section(name: str, model: type[BaseModel]) -> str:
    lines = [f"\n# {(model.__doc__ or '').splitlines()[0]}", f"[{name}]"]
    for key, field in model.model_fields.items():
        lines.append(f"# {field.description}")
        lines.append(_line(key, field, _GIVEN.get(name, {})))
    return "\n".join(lines) + "\n"


def _line(key: str, field: FieldInfo, given: dict[str, Any]) -> str:
    if key in given:
        return f"{key} = {_toml(given[key])}"
    default = field.get_default(call_default_factory=False)
    return f"# {key} =" if default is None else f"# {key} = {_toml(default)}"


def _toml(value: Any) -> str:
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, Path):
        return json.dumps(str(value))
    return json.dumps(str(value) if isinstance(value, StrEnum) else value, ensure_ascii=False)
