"""Settings of an agent: one TOML file, typed and frozen; the environment overrides it.

Order: defaults < file < environment. `SILIAN_AGENT_GATEWAY__URL=...` sets `url` of `[gateway]`; lists are given as
JSON (`SILIAN_AGENT_CAMERAS='[...]'`). **An unknown key is an error that names the nearest key**, so a typing error
never leaves a default in force. Settings are passed as an argument; there is no global.
"""

import os
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import override

from edge_agent.nearest import nearest_key
from protocols.alarm import Severity
from protocols.errors import ConfigError
from protocols.ids import CameraName, NodeId
from protocols.sharing import Share

PREFIX = "SILIAN_AGENT_"


class CameraKind(StrEnum):
    """Where pictures come from."""

    RTSP = "rtsp"
    V4L2 = "v4l2"
    FILE = "file"
    TESTCARD = "testcard"


class Section(BaseModel):
    """One table of the file: frozen, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NodeSection(Section):
    """Who this agent is."""

    id: NodeId = Field(description="Name of this node: the centre's division code and a suffix, e.g. 320623-box.")

    @field_validator("id")
    @classmethod
    def _has_suffix(cls, value: str) -> str:
        if "-" not in value:
            raise ValueError("an agent needs a suffix, e.g. 320623-box; a bare code names a gateway")
        return value


class GatewaySection(Section):
    """The gateway that this agent links to."""

    url: str = Field(description="HTTP address of the gateway, e.g. https://10.32.6.1:8080.")
    enrolment_token: str = Field(
        default="", description="One-time token for the first start; better in a file, see enrolment_token_file."
    )
    enrolment_token_file: Path | None = Field(
        default=None, description="File that holds the one-time token; removed by nobody, useless after enrolment."
    )
    broker: str = Field(
        default="",
        pattern=r"^([^:/\s]+:[0-9]{1,5})?$",
        description="host:port of the broker where it is not the one told at enrolment, e.g. behind a port mapping.",
    )

    @field_validator("url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected http://host:port or https://host:port")
        return value.rstrip("/")


class StateSection(Section):
    """What this agent keeps on disk."""

    dir: Path = Field(default=Path("/var/lib/silian-agent"), description="Directory for identity, spool and control.")
    quota_mb: int = Field(default=512, ge=1, description="Largest size of the spool in MB; beyond it sensors are told.")
    ballast_mb: int = Field(default=16, ge=0, description="Reserve file given up when the disk is full, in MB.")
    history_h: int = Field(default=72, ge=1, description="How long receipted records are kept for replay, in hours.")


class CameraSettings(Section):
    """One camera. `kind` decides which of url, device and path is needed."""

    name: CameraName = Field(description="Name inside the centre: lower case letters, digits, - and _.")
    title: str = Field(default="", max_length=64, description="What operators read, e.g. 指挥大厅.")
    kind: CameraKind = Field(description="rtsp | v4l2 | file | testcard")
    url: str = Field(default="", description="rtsp: address, e.g. rtsp://user:password@10.1.1.9/stream1")
    thumb_url: str = Field(
        default="",
        description="rtsp: the camera's sub-stream (H.264, about 320x180, 150 kbit/s); without it walls get url's",
    )
    device: str = Field(default="/dev/video0", description="v4l2: device")
    path: Path | None = Field(default=None, description="file: video file, looped with real time stamps")
    label: str | None = Field(default=None, max_length=32, description="Shown on the name plate, e.g. 录像演示.")
    audio: Literal["none", "tone", "input"] = Field(
        default="none", description="none | tone (a steady tone per centre) | input (the sound of [audio] input)"
    )
    width: int = Field(default=640, ge=160, le=3840, description="Raw sources: width in pixels.")
    height: int = Field(default=360, ge=90, le=2160, description="Raw sources: height in pixels.")
    frame_rate: int = Field(default=15, ge=1, le=60, description="Raw sources: pictures per second.")
    bitrate_kbps: int = Field(default=800, ge=64, le=20000, description="Raw sources: bit rate of the encoder.")
    key_frame_s: float = Field(default=1.0, ge=0.2, le=4.0, description="Raw sources: seconds between key frames.")
    fault: Literal["", "frozen", "black"] = Field(
        default="", description="Rehearsal of a fault; can be switched at run time in <state>/faults.toml."
    )
    share: Share = Field(
        default=Share.NATION, description="Highest tier that may see it: county | city | province | nation"
    )
    foreign_ids: dict[str, str] = Field(default_factory=dict, description="Ids in other systems, e.g. {gb28181=...}.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind is CameraKind.RTSP and not self.url.startswith(("rtsp://", "rtsps://")):
            raise ValueError('kind rtsp needs url = "rtsp://..."')
        if self.thumb_url and (
            self.kind is not CameraKind.RTSP or not self.thumb_url.startswith(("rtsp://", "rtsps://"))
        ):
            raise ValueError('thumb_url belongs to kind rtsp and looks like "rtsp://..."; other kinds make their own')
        if self.kind is CameraKind.FILE and self.path is None:
            raise ValueError("kind file needs path")
        if self.kind is CameraKind.RTSP and self.fault:
            raise ValueError("a camera that is passed through cannot rehearse a fault; use kind testcard")
        if self.width % 2 or self.height % 2:
            raise ValueError("width and height must be even")
        return self


class LimitSettings(Section):
    """One limit: exactly one of `high` and `low`."""

    element: str = Field(min_length=1, max_length=32, description="HJ 212 factor (w01018) or SL 651 element (39).")
    name: str = Field(min_length=1, max_length=32, description="What people call it, e.g. 河道水位.")
    severity: Severity = Field(description="1 red to 4 blue")
    unit: str = Field(default="", max_length=16, description="Unit of the value, for people.")
    high: float | None = Field(default=None, description="Alarm at or above.")
    low: float | None = Field(default=None, description="Alarm at or below.")
    back: float = Field(default=0.0, ge=0, description="The value must come back so far before the alarm clears.")
    event_type: str = Field(default="dev.alarm", max_length=32, description="Kind of event of the alarm.")
    station: str | None = Field(default=None, description="Only for this station; default: for all.")

    @model_validator(mode="after")
    def _one_side(self) -> Self:
        if (self.high is None) == (self.low is None):
            raise ValueError("a limit has either high or low; give two limits for both")
        return self


class StationSettings(Section):
    """One station that may report."""

    id: str = Field(min_length=1, max_length=24, description="HJ 212 MN, or SL 651 address in 10 digits.")
    title: str = Field(default="", max_length=32, description="What people call it.")
    password: str = Field(default="", max_length=16, description="Password that its frames bear; empty = any.")


class PointSettings(Section):
    """One value of a Modbus device."""

    element: str = Field(min_length=1, max_length=32, description="Name that limits refer to, e.g. level.")
    station: str = Field(min_length=1, max_length=24, description="Station that it belongs to; list it in `stations`.")
    unit_id: int = Field(default=1, ge=0, le=255, description="Device (unit) id behind the address.")
    space: Literal["holding", "input", "coil", "discrete"] = Field(
        default="holding", description="holding | input | coil | discrete"
    )
    address: int = Field(ge=0, le=65535, description="Address as sent on the wire, counted from 0.")
    form: Literal["int16", "uint16", "int32", "uint32", "float32"] = Field(
        default="int16", description="int16 | uint16 | int32 | uint32 | float32; bits need none"
    )
    swapped: bool = Field(default=False, description="Whether the low word of two comes first.")
    scale: float = Field(default=1.0, description="The value is scale x raw + offset.")
    offset: float = Field(default=0.0, description="See scale.")


class SensorSettings(Section):
    """One source of alarms. The webhook has its own section, because it is one listener for all its senders."""

    kind: Literal["mqtt", "hj212", "sl651", "modbus", "folder", "simulator"] = Field(
        description="mqtt | hj212 | sl651 | modbus | folder | simulator"
    )
    name: str = Field(min_length=1, max_length=64, description="Name of this source in logs and metrics.")
    host: str = Field(default="127.0.0.1", description="mqtt, modbus: address of the other side; else to listen on")
    port: int = Field(default=1883, ge=0, le=65535, description="Its port; Modbus TCP usually has 502.")
    stations: tuple[StationSettings, ...] = Field(
        default=(), description="hj212, sl651, modbus, mqtt: stations, e.g. {id = '0012345678', title = '洋口港'}"
    )
    limits: tuple[LimitSettings, ...] = Field(
        default=(),
        description="hj212, sl651, modbus: e.g. {element = '39', name = '水位', high = 3.2, severity = 2, unit = 'm'}",
    )
    silent_after_s: float = Field(
        default=0.0,
        ge=0,
        description="hj212, sl651, modbus, mqtt: a station silent for so long raises an alarm; 0 = never",
    )
    points: tuple[PointSettings, ...] = Field(
        default=(), description="modbus: e.g. {element = 'level', station = 'tank-1', address = 0, scale = 0.01}"
    )
    every_s: float = Field(default=5.0, gt=0, description="modbus: seconds between two rounds")
    folder: Path | None = Field(
        default=None, description="folder: files *.json with reports are taken, then moved to done/ or refused/"
    )
    topic: str = Field(default="alarms/#", description="mqtt: topics that carry sensor reports in JSON")
    mapping: Path | None = Field(
        default=None, description="mqtt: TOML file that explains foreign payloads; without it they are our own reports"
    )
    username: str = Field(default="", description="mqtt: user, empty = none")
    password_file: Path | None = Field(default=None, description="mqtt: file with the password")
    rate_per_minute: float = Field(default=6.0, ge=0, description="simulator: raises per minute")
    seed: int = Field(default=1, description="simulator: same seed, same alarms")
    keys: int = Field(default=8, ge=1, le=1000, description="simulator: number of different alarm keys")
    severities: tuple[float, float, float, float] = Field(
        default=(1.0, 2.0, 4.0, 8.0), description="simulator: weights of severity 1 (red) to 4 (blue)"
    )
    clear_after_s: float = Field(default=20.0, gt=0, description="simulator: mean seconds from raise to clear")
    label: str | None = Field(
        default=None, max_length=32, description="Label on every alarm; the simulator's is 模拟 unless told otherwise."
    )

    @model_validator(mode="after")
    def _stations_named(self) -> Self:
        if self.kind in ("hj212", "sl651", "modbus") and not self.stations:
            raise ValueError(f"a sensor of kind {self.kind} needs its stations; what comes from others is refused")
        known = {station.id for station in self.stations}
        strange = [point.station for point in self.points if point.station not in known]
        if strange:
            raise ValueError(f"points of station {strange[0]}, which is not listed in stations")
        if self.kind == "modbus" and not self.points:
            raise ValueError("a sensor of kind modbus needs its points")
        if self.kind == "folder" and self.folder is None:
            raise ValueError("a sensor of kind folder needs its folder")
        return self


class IntakeSection(Section):
    """What all sources of alarms share."""

    per_sensor_per_minute: float = Field(
        default=1200.0,
        ge=0,
        description="What comes more often is refused and becomes an alarm; red alarms always pass; 0 = no cap.",
    )


class WebhookSection(Section):
    """Signed webhook: POST /ingest/alarms on this agent."""

    enabled: bool = Field(default=False, description="Whether the agent listens for sensors.")
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8090, ge=0, le=65535, description="Port; 0 takes a free one.")
    secret_file: Path | None = Field(
        default=None, description="File with the shared secret for HMAC-SHA256, at least 16 characters."
    )

    sensors: tuple[StationSettings, ...] = Field(
        default=(),
        description="Sensors that must be heard (reports, POST /ingest/heartbeat): {id = 'gas-1', title = '加气站'}",
    )
    silent_after_s: float = Field(
        default=0.0, ge=0, description="One of these sensors silent for so long raises an alarm; 0 = never."
    )

    @model_validator(mode="after")
    def _secret(self) -> Self:
        if self.enabled and self.secret_file is None:
            raise ValueError("the webhook needs secret_file; write one with: head -c 32 /dev/urandom | base64 > FILE")
        return self


class AnswerSection(Section):
    """How dispatch calls and roll calls are answered."""

    policy: Literal["auto", "ring", "reject"] = Field(
        default="auto",
        description="auto: the box answers by itself | ring: a person at the answer page does | reject: no calls",
    )
    answered_by: str = Field(
        default="自动应答", min_length=1, max_length=64, description="Name given as answerer with policy auto."
    )
    overlay: bool = Field(
        default=True,
        description="Whether a roll call's challenge number is shown in pictures that this box codes (v4l2, testcard).",
    )
    announce: Literal["voice", "tone", "none"] = Field(
        default="voice",
        description="What [audio] output plays at a ring: voice (tones and a prompt by espeak-ng) | tone | none",
    )


class AnswerPageSection(Section):
    """The page of the duty room: who calls, answer, challenge number. Whoever opens it needs the PIN."""

    enabled: bool = Field(default=False, description="Whether the page is served; policy ring needs it.")
    host: str = Field(default="127.0.0.1", description="Address to listen on; the screen usually stands at this box.")
    port: int = Field(default=8092, ge=0, le=65535, description="Port; 0 takes a free one.")
    pin_file: Path | None = Field(
        default=None,
        description="File with the PIN, 4 to 32 characters; without it one is made. See: silian-agent answer-page",
    )


class AudioSection(Section):
    """Sound of the command hall."""

    output: str = Field(default="null", description="Sound of a call goes to: null | alsa:NAME | file:/path.wav")
    input: str = Field(default="tone", description="Sound of cameras with audio=input: tone | alsa:NAME | file:/x.wav")

    @field_validator("output", "input")
    @classmethod
    def _kind(cls, value: str) -> str:
        if value in ("null", "tone") or value.partition(":")[0] in ("alsa", "file"):
            return value
        raise ValueError("expected null, tone, alsa:NAME or file:/path.wav")


class ManagementSection(Section):
    """Figures for Prometheus and /healthz. Loopback by default."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=9464, ge=0, le=65535, description="Port; 0 takes a free one.")


class LogSection(Section):
    """How this agent writes its log."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least grave line.")
    form: Literal["line", "json"] = Field(default="line", description="line (key=value) | json")


class Settings(BaseSettings):
    """All settings of one agent."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
    )

    node: NodeSection
    gateway: GatewaySection
    state: StateSection = StateSection()
    answer: AnswerSection = AnswerSection()
    answer_page: AnswerPageSection = AnswerPageSection()
    audio: AudioSection = AudioSection()
    intake: IntakeSection = IntakeSection()
    webhook: WebhookSection = WebhookSection()
    management: ManagementSection = ManagementSection()
    log: LogSection = LogSection()
    cameras: tuple[CameraSettings, ...] = ()
    sensors: tuple[SensorSettings, ...] = ()

    @model_validator(mode="after")
    def _unique(self) -> Self:
        for what, names in (("camera", [c.name for c in self.cameras]), ("sensor", [s.name for s in self.sensors])):
            twice = {name for name in names if names.count(name) > 1}
            if twice:
                raise ValueError(f"{what} name used twice: {', '.join(sorted(twice))}")
        return self

    @model_validator(mode="after")
    def _somebody_answers(self) -> Self:
        if self.answer.policy == "ring" and not self.answer_page.enabled:
            raise ValueError('answer.policy "ring" needs a page to answer at: set enabled = true in [answer_page]')
        return self

    @property
    def centre(self) -> str:
        """Division code of the agent's centre."""
        return self.node.id[:6]

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file, whose content comes as arguments."""
        return env_settings, init_settings


def load(path: Path) -> Settings:
    """Read settings from `path`; raises ConfigError with the key and the remedy."""
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; write one with: silian-agent config sample > {path}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    return parse(content, str(path))


def parse(content: dict[str, Any], where: str = "settings") -> Settings:
    """Check settings that were already read; raises ConfigError."""
    _check_environment()
    try:
        return Settings(**content)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_explain(error)}") from None
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None


def _check_environment() -> None:
    for name in sorted(os.environ):
        if not name.startswith(PREFIX):
            continue
        words = name[len(PREFIX) :].lower().split("__")
        known = sorted(Settings.model_fields)
        if words[0] not in Settings.model_fields:
            raise ConfigError(
                f"environment {name}: no such key; nearest is {PREFIX}{nearest_key(words[0], known).upper()}"
            )


def _explain(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in fault["loc"])
    if fault["type"] != "extra_forbidden":
        return f"{where or 'settings'}: {fault['msg'].removeprefix('Value error, ')}"
    known = _known_keys(tuple(str(part) for part in fault["loc"][:-1]))
    return f"{where}: no such key; nearest is {nearest_key(str(fault['loc'][-1]), known)}"


def _known_keys(section: tuple[str, ...]) -> list[str]:
    if not section:
        return sorted(Settings.model_fields)
    return sorted(SECTIONS[section[0]].model_fields)


SECTIONS: dict[str, type[Section]] = {
    "node": NodeSection,
    "gateway": GatewaySection,
    "state": StateSection,
    "answer": AnswerSection,
    "answer_page": AnswerPageSection,
    "audio": AudioSection,
    "intake": IntakeSection,
    "webhook": WebhookSection,
    "management": ManagementSection,
    "log": LogSection,
    "cameras": CameraSettings,
    "sensors": SensorSettings,
}
