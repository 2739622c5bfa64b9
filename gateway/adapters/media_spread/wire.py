"""What replicas say to each other about media: the values of the port as JSON, its errors by their codes."""

import base64
import json
from dataclasses import fields, is_dataclass, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from gateway.ports.media import (
    Capability,
    EngineRestarted,
    EngineStats,
    Layer,
    LayersWanted,
    MediaEvent,
    RecordingEnded,
    SessionAnswer,
    SessionEnded,
    Slot,
    SlotChanged,
    Still,
    StreamChanged,
    TrickleAnswer,
)
from protocols.errors import (
    BadIdentityError,
    BadMediaError,
    BadSchemaError,
    CodecError,
    ConfigError,
    LinkError,
    NeedsError,
    NotFoundError,
    RefusedError,
    SilianError,
    UnreadableMediaError,
    WrongMomentError,
)

PREFIX = "/replica/media"
CONTROLLER = "x-silian-controller"
"""Header of a command: who gives it. Only the replica that holds the line of events is obeyed."""
REPLICA = "x-silian-replica"
"""Header of a line of events: which replica is meant. One that was started anew has its address, and is another."""
BEAT_S = 2.0
"""A line of events says something at least this often."""
SILENT_S = 6.0
"""A line that is silent for so long is dead."""
_OCTETS = "base64"
_ERRORS: dict[str, type[SilianError]] = {
    kind.code: kind
    for kind in (
        BadIdentityError, BadMediaError, CodecError, ConfigError, LinkError, NeedsError, NotFoundError,
        UnreadableMediaError, WrongMomentError,
    )
}  # fmt: skip
_RESULTS: dict[str, TypeAdapter[Any]] = {
    "publish": TypeAdapter(SessionAnswer),
    "play": TypeAdapter(SessionAnswer),
    "wall": TypeAdapter(SessionAnswer),
    "trickle": TypeAdapter(TrickleAnswer),
    "assign": TypeAdapter(None),
    "carry": TypeAdapter(None),
    "end": TypeAdapter(None),
    "relay": TypeAdapter(str),
    "pull": TypeAdapter(str),
    "still": TypeAdapter(Still),
    "stats": TypeAdapter(EngineStats),
}
CALLS = frozenset(_RESULTS)
"""Calls of the port that pass between replicas. Recordings are made where their files belong."""
MAKES_SESSION = frozenset({"publish", "play", "wall", "relay", "pull"})
_ARGUMENTS: dict[str, TypeAdapter[Any]] = {
    "slots": TypeAdapter(tuple[Slot, ...]),
    "layers": TypeAdapter(frozenset[Layer]),
}
_EVENTS: dict[str, TypeAdapter[Any]] = {
    kind.__name__: TypeAdapter(kind)
    for kind in (StreamChanged, SessionEnded, EngineRestarted, LayersWanted, SlotChanged, RecordingEnded)
}
_HELLO = TypeAdapter(frozenset[Capability])


def pack(value: object) -> bytes:
    """Write a value of the port, or a dictionary of such, as JSON on one line."""
    return json.dumps(value, default=_plain, ensure_ascii=False, separators=(",", ":")).encode()


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, bytes):
        return {_OCTETS: base64.b64encode(value).decode("ascii")}
    if isinstance(value, frozenset):
        return sorted(value)
    raise AssertionError(f"{type(value).__name__} is no value of the media port")


def _read(data: bytes) -> Any:
    """Return JSON with its octets; raises BadSchemaError."""
    try:
        return json.loads(data, object_hook=_octets)
    except ValueError as error:
        raise BadSchemaError(f"not JSON: {error}") from error


def _octets(found: dict[str, Any]) -> Any:
    return base64.b64decode(found[_OCTETS], validate=True) if found.keys() == {_OCTETS} else found


def _fit(adapter: TypeAdapter[Any], value: object) -> Any:
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise BadSchemaError(f"another version of this program says it otherwise: {error}") from error


def read_arguments(data: bytes) -> dict[str, Any]:
    """Return the arguments of a call by name; raises BadSchemaError."""
    found = _read(data)
    if not isinstance(found, dict):
        raise BadSchemaError("arguments have names")
    return {name: _fit(_ARGUMENTS[name], value) if name in _ARGUMENTS else value for name, value in found.items()}


def read_result(call: str, data: bytes) -> Any:
    """Return what a call answered; raises BadSchemaError."""
    return _fit(_RESULTS[call], _read(data))


def pack_event(event: MediaEvent) -> bytes:
    """Write an event as one line without its end."""
    return pack({"event": type(event).__name__, "value": event})


def pack_hello(capabilities: frozenset[Capability]) -> bytes:
    """Write the first line: what the engine can do."""
    return pack({"capabilities": capabilities})


def read_hello(line: str) -> frozenset[Capability]:
    """Return what the other engine can do; raises BadSchemaError."""
    found: frozenset[Capability] = _fit(_HELLO, _read(line.encode()).get("capabilities"))
    return found


def read_event(line: str) -> MediaEvent | None:
    """Return an event; None for one that this version does not know. Raises BadSchemaError."""
    found = _read(line.encode())
    adapter = _EVENTS.get(found["event"])
    if adapter is None:
        return None
    event: MediaEvent = _fit(adapter, found["value"])
    return event


def pack_error(error: SilianError) -> bytes:
    """Write an error of the port."""
    return pack({"code": error.code, "message": str(error)})


def read_error(data: bytes) -> SilianError:
    """Return the error of the port that the other end raised."""
    found = _read(data)
    code, message = str(found.get("code", LinkError.code)), str(found.get("message", ""))
    kind = _ERRORS.get(code)
    return RefusedError(message, code) if kind is None else kind(message)


def aged(still: Still, now: float) -> Still:
    """Return a picture whose times are ages at monotonic time `now`: so it may pass to another host, or back."""
    there = None if still.there_at is None else now - still.there_at
    return replace(still, arrived_at=now - still.arrived_at, there_at=there)
