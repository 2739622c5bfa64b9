"""Reading settings from file, environment and flags, with a sentence for each mistake."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from typing_extensions import override

from gateway.settings.base import ENVIRONMENT
from gateway.settings.whole import Settings
from protocols.errors import ConfigError


def load_settings(
    path: Path | None = None,
    *,
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Read file, environment and flags (`{"http": {"port": 1}}`); raises ConfigError naming the key and the remedy.

    Relative paths in a file count from the file's directory.
    """
    env = dict(os.environ if environment is None else environment)
    _refuse_unknown_environment(env)
    in_file = _read_file(path) if path is not None else {}
    try:
        return _merge(in_file, env, flags or {})
    except ValidationError as error:
        raise ConfigError("; ".join(_sentence(fault) for fault in error.errors())) from None


def _merge(in_file: Mapping[str, Any], env: Mapping[str, str], flags: Mapping[str, Any]) -> Settings:
    # pydantic-settings costs a quarter of a second to import: only who loads a file pays it.
    from pydantic_settings import BaseSettings, EnvSettingsSource, InitSettingsSource, PydanticBaseSettingsSource
    from pydantic_settings import SettingsConfigDict as Config

    class Environment(EnvSettingsSource):
        @override
        def _load_env_vars(self) -> Mapping[str, str | None]:
            return {key.lower(): value for key, value in env.items()}

    class Loaded(Settings, BaseSettings):
        model_config = Config(env_prefix=ENVIRONMENT, env_nested_delimiter="__", extra="forbid", frozen=True)

        @classmethod
        @override
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return (init_settings, Environment(settings_cls), InitSettingsSource(settings_cls, dict(in_file)))

    return Settings.model_validate(Loaded(**flags).model_dump())


def _read_file(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}; `silian config sample` prints a file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    base = path.resolve().parent
    for section, key in _paths():
        value = content.get(section, {}).get(key) if isinstance(content.get(section), dict) else None
        if isinstance(value, str):
            content[section][key] = str(base / value)
    return content


def _sections() -> dict[str, type[BaseModel]]:
    found: dict[str, type[BaseModel]] = {}
    for name, outer in Settings.model_fields.items():
        if isinstance(outer.annotation, type) and issubclass(outer.annotation, BaseModel):
            found[name] = outer.annotation
    return found


def _paths() -> list[tuple[str, str]]:
    kinds = (Path, Path | None)
    return [
        (s, key) for s, model in _sections().items() for key, f in model.model_fields.items() if f.annotation in kinds
    ]


def known_keys() -> dict[str, tuple[str, ...]]:
    """Return the sections with their keys, in the order of the sample."""
    return {section: tuple(model.model_fields) for section, model in _sections().items()}


def _refuse_unknown_environment(env: Mapping[str, str]) -> None:
    for name in env:
        if name.startswith(ENVIRONMENT) and "__" in name:
            section, _, key = name.removeprefix(ENVIRONMENT).lower().partition("__")
            if section not in known_keys():
                raise ConfigError(f"environment {name}: {_unknown(section, key)}")


def _sentence(fault: Mapping[str, Any]) -> str:
    where = [str(part) for part in fault["loc"]]
    if fault["type"] == "extra_forbidden":
        return _unknown(*[*where, ""][:2])
    if fault["type"] == "missing":
        return f"{'.'.join(where)} is missing; `silian config sample` shows it"
    if fault["type"] == "value_error" and not where:
        return str(fault["msg"]).removeprefix("Value error, ")
    found = "" if {"token", "ice_servers", "store"} & set(where) else f" (found {fault['input']!r})"
    return f"{'.'.join(where)}: {fault['msg']}{found}"


def _unknown(section: str, key: str) -> str:
    from difflib import get_close_matches

    keys = known_keys()
    name = f"{section}.{key}" if key else section
    if section in keys:
        near = [f"{section}.{found}" for found in get_close_matches(key, keys[section], 1, 0.5)]
    else:
        near = get_close_matches(section, keys, 1, 0.5)
        near = [f"{found}.{key}" if key in keys[found] else found for found in near]
    every = [f"{inner}.{leaf}" for inner, leaves in keys.items() for leaf in leaves]
    near = near or [found for found in every if key and found.endswith(f".{key}")][:1]
    near = near or get_close_matches(name, every, 1, 0.3)
    return f"unknown key {name}; did you mean {near[0]}?" if near else f"unknown key {name}"
