"""Settings of a gateway: typed, frozen, passed as an argument, never a global.

Order of precedence: file < environment (`SILIAN_HTTP__PORT=8080`) < flags. An unknown key is a ConfigError that names
the nearest known one. `silian config sample` is generated from these models: every key is documented here and only
here.
"""

import os
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from typing_extensions import override

from protocols.errors import ConfigError
from protocols.ids import CentreCode

if TYPE_CHECKING:
    from protocols.tiers import CentreTable

ENVIRONMENT = "SILIAN_"
LAST_PORT = 65535


EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound


def is_loopback(host: str) -> bool:
    """Tell whether `host` names this machine only: 127.0.0.0/8, ::1 or localhost."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Section(BaseModel):
    """Base of the sections: frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CentreSection(Section):
    """The command centre that this gateway serves (本指挥中心)."""

    code: CentreCode = Field(description="GB/T 2260 division code of this centre, for example 320600 for Nantong.")
    table: Path | None = Field(
        default=None,
        description="Own table of centres (CSV: code,name,name_en,tier,parent[,valid_from,valid_to]); "
        "without it the built-in table of Nantong's chain is used.",
    )


class StateSection(Section):
    """Where everything lives that must survive a restart (数据目录)."""

    dir: Path = Field(
        default=Path("/var/lib/silian"), description="Directory of database, keys, certificates and blobs."
    )


class HttpSection(Section):
    """Console, API, WHIP and WHEP (网页与接口)."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    tls_certificate: Path | None = Field(
        default=None,
        description="PEM file with the server certificate and its chain. Without one, an address beyond loopback is "
        "served with a certificate of this gateway's own authority.",
    )
    tls_key: Path | None = Field(default=None, description="PEM file with the key of tls_certificate.")
    behind_proxy: bool = Field(
        default=False,
        description="A reverse proxy in front ends TLS: serve plain HTTP even beyond loopback.",
    )
    proxies: tuple[str, ...] = Field(
        default=("127.0.0.1", "::1"),
        description="Addresses or networks of the reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are "
        "believed when behind_proxy is set.",
    )
    public_url: str | None = Field(
        default=None,
        description="How browsers, agents and the tier above reach this gateway, e.g. https://city.example:8080.",
    )
    body_limit_bytes: int = Field(default=4_194_304, ge=1024, description="Larger request bodies are refused with 413.")


class ManagementSection(Section):
    """Metrics and health for operations; keep it on loopback or the management network (运维端口)."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=9464, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")


class BrokerKind(StrEnum):
    """Which MQTT broker carries the links of this gateway."""

    AUTO = "auto"  # url if given, else mosquitto if installed, else embedded
    URL = "url"
    MOSQUITTO = "mosquitto"
    EMBEDDED = "embedded"


class BrokerSection(Section):
    """The MQTT broker to which the nodes below link (消息代理)."""

    kind: BrokerKind = Field(
        default=BrokerKind.AUTO,
        description='"url" uses a configured broker, "mosquitto" runs the installed program as a child, "embedded" '
        'needs nothing but is not for production; "auto" takes the first of these that is there.',
    )
    url: str | None = Field(
        default=None, description="Configured broker: mqtts://host:8883 (mqtt:// on loopback only)."
    )
    authority: Path | None = Field(
        default=None, description="PEM file of the authority behind broker.url; default: this gateway's own."
    )
    host: str = Field(
        default="127.0.0.1", description="Address the own broker listens on (always TLS with certificates)."
    )
    port: int = Field(default=8883, ge=0, le=65535, description="Port the own broker listens on; 0 takes a free one.")
    names: tuple[str, ...] = Field(
        default=(),
        description="Further host names and addresses under which nodes reach the broker (into its certificate).",
    )
    user: str | None = Field(
        default=None, description="Account mosquitto runs as when started by root; default: the account of the gateway."
    )


class MediaEngineKind(StrEnum):
    """Which engine publishers connect to."""

    EMBEDDED = "embedded"
    JANUS = "janus"


class MediaBackend(StrEnum):
    """How the media worker forwards packets."""

    BATCHED = "batched"
    REFERENCE = "reference"


class IceServerSection(Section):
    """One STUN or TURN server (中继服务器)."""

    url: str = Field(pattern=r'^(stuns?|turns?):[^\s"<>]+$', description="stun:, stuns:, turn: or turns: URI.")
    username: str | None = Field(default=None, pattern=r'^[^"\\\x00-\x1f]+$', description="User of a TURN server.")
    credential: str | None = Field(default=None, pattern=r'^[^"\\\x00-\x1f]+$', description="Its password.")
    secret: str | None = Field(
        default=None, min_length=1, description="Shared secret that makes credentials which end by themselves."
    )
    hours: float = Field(default=12.0, gt=0, description="Life of credentials made from the secret.")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.username is None) != (self.credential is None):
            raise ValueError("username and credential belong together; give both or none")
        if self.secret is not None and self.username is not None:
            raise ValueError("secret and username exclude each other")
        if self.url.startswith("turn") and self.secret is None and self.username is None:
            raise ValueError("a TURN server needs secret, or username and credential")
        return self


class MediaSection(Section):
    """Video: one port per worker carries all peer connections, by UDP, or by TCP where UDP does not pass (视频)."""

    host: str = Field(default="127.0.0.1", description="Address the media worker listens on.")
    port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="UDP port of the first media worker, each further one has the next number; 0 takes free ones.",
    )
    workers: int = Field(
        default=1,
        ge=0,
        le=64,
        description="Processes that forward packets, each on one core: 1 carries about 600 viewers of 1.5 Mbit/s, "
        "0 takes one per core.",
    )
    tcp: bool = Field(
        default=True,
        description="Take connections on the same port number by TCP too, for peers whose firewall lets no UDP pass.",
    )
    advertise: tuple[str, ...] = Field(
        default=(),
        description="Addresses told to browsers and agents; default: host. network=address is told to peers of that "
        'network alone, e.g. ["203.0.113.7", "10.1.0.0/16=10.1.0.5"].',
    )
    ice_servers: tuple[IceServerSection, ...] = Field(
        default=(),
        description="STUN and TURN servers told to browsers and agents, e.g. "
        '[{url = "turn:turn.example:3478", secret = "the static-auth-secret of coturn", hours = 12}]; instead of '
        "secret also username and credential.",
    )
    recording_gib: float = Field(
        default=20.0,
        ge=0,
        description="Room for recordings in GiB; where it is used up, new ones are refused and none is removed.",
    )
    backend: MediaBackend = Field(
        default=MediaBackend.BATCHED,
        description="How packets are forwarded: batched, or reference (slower, the same datagrams one by one).",
    )
    batch_window_ms: float = Field(
        default=1.0,
        ge=0,
        le=5,
        description="Packets that come within so many milliseconds are forwarded together, a whole frame at once.",
    )
    uplink_kbps: int = Field(
        default=0,
        ge=0,
        description="All pictures relayed to other gateways together take at most so many kbit/s; 0 is no limit.",
    )

    engine: MediaEngineKind = Field(
        default=MediaEngineKind.EMBEDDED,
        description="Where publishers connect: embedded, or janus (from 1.4.1 on; no walls, layers and recordings).",
    )
    janus_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$",
        description="HTTP interface of a Janus that runs elsewhere, e.g. http://10.1.0.6:8088/janus; without it the "
        "gateway runs the program janus itself.",
    )
    janus_secret_file: Path | None = Field(default=None, description="File that holds the api_secret of that Janus.")
    janus_interface: str = Field(
        default="",
        pattern=r"^[0-9A-Fa-f.:]*$",
        description="Address, or its beginning, at which publishers reach the own Janus, never loopback; default: all.",
    )
    janus_heard_at: str = Field(
        default="127.0.0.1",
        pattern=r"^[0-9.]+$",
        description="IPv4 address of this machine to which Janus sends the streams as plain RTP: for a Janus elsewhere "
        "one that it reaches, over a line that nobody else reads.",
    )

    @property
    def processes(self) -> int:
        """How many workers there shall be."""
        return self.workers or len(os.sched_getaffinity(0))

    @property
    def ports(self) -> tuple[int, ...]:
        """The port of each worker; 0 where any free one will do."""
        return tuple(self.port and self.port + number for number in range(self.processes))


class UpstreamSection(Section):
    """The gateway of the tier above; leave url away at the top (上级平台)."""

    url: str | None = Field(
        default=None, description="HTTP address of the gateway above, e.g. https://province.example:8080."
    )
    token: str | None = Field(default=None, description="One-time enrolment token; prefer token_file.")
    token_file: Path | None = Field(default=None, description="File that holds the one-time enrolment token.")
    broker: str | None = Field(
        default=None,
        pattern=r"^[^:/\s]+:[0-9]{1,5}$",
        description="host:port of the broker where it is not the one told at enrolment, e.g. behind a port mapping.",
    )


class RollCallSection(Section):
    """Video roll call (视频点名)."""

    answer_within_s: float = Field(default=10.0, gt=0, description="Seconds a point has to answer one ring.")
    attempts: int = Field(default=2, ge=1, le=10, description="Rings before a point counts as not answering.")
    picture_within_s: float = Field(
        default=15.0, gt=0, description="Seconds from the answer to the first decoded picture."
    )
    observe_s: float = Field(
        default=8.0,
        ge=2,
        description="Seconds a picture is watched before the verdict; the same for so long is frozen.",
    )
    frame_age_limit_ms: int = Field(
        default=2000, gt=0, description="An older picture is not fresh, hence not 'present'."
    )
    parallel: int = Field(default=100, ge=1, description="Points rung at the same moment.")


class ReportsSection(Section):
    """Incident reports (信息报送)."""

    profile: Literal["cn.493", "henan", "county.2018", "nantong"] = Field(
        default="nantong",
        description="Reporting rules whose clocks run: cn.493, henan, county.2018 or nantong (cn.493 and own targets).",
    )
    font: Path | None = Field(
        default=None,
        description="Font file with Chinese for printed reports; without it Noto CJK of the system is looked for.",
    )


class AnswerPolicy(StrEnum):
    """What happens when the tier above calls this centre."""

    CONSOLE = "console"  # ring the own console
    REFUSE = "refuse"


class AnswerSection(Section):
    """Dispatch calls from the tier above (上级调度呼叫)."""

    policy: AnswerPolicy = Field(
        default=AnswerPolicy.CONSOLE, description='"console" rings the own console, "refuse" declines.'
    )
    ring_s: float = Field(
        default=60.0, gt=0, description="Seconds a call rings, here or below, before it ends with no_answer."
    )


class NotifySection(Section):
    """Ways to the people whom an alarm calls; a channel without its address is not there (通知渠道)."""

    smtp: str | None = Field(
        default=None, pattern=r"^[^:/\s]+:[0-9]{1,5}$", description="host:port of the mail server."
    )
    smtp_tls: Literal["starttls", "direct", "none"] = Field(
        default="starttls", description='"starttls", "direct" (port 465) or "none" (loopback or a trusted network).'
    )
    smtp_user: str | None = Field(default=None, description="Account at the mail server.")
    smtp_password_file: Path | None = Field(default=None, description="File with the password of smtp_user.")
    mail_from: str = Field(default="silian@localhost", pattern=r"^[^@\s]+@[^@\s]+$", description="Sender of mails.")
    webhook_secret_file: Path | None = Field(
        default=None, description="File with the secret (16 characters or more) that signs webhooks."
    )
    sms_url: str | None = Field(
        default=None, pattern=r"^https?://\S+$", description="Where the SMS gateway takes messages by POST."
    )
    sms_body: str = Field(
        default='{"to": "{to}", "text": "{text}", "id": "{id}"}',
        description="Body of the request; {to}, {text} and {id} are filled in.",
    )
    sms_content_type: str = Field(default="application/json", description="Content type of that body.")
    sms_headers: tuple[str, ...] = Field(
        default=(), description='Further headers, such as ["Authorization: Bearer KEY"].'
    )
    sms_accepted: str = Field(
        default="", description="Regular expression that an answer matches where the message was taken."
    )
    per_minute: int = Field(default=60, ge=1, description="Messages a minute by one channel; red alarms never wait.")


class UsersSection(Section):
    """Accounts (账号)."""

    session_hours: float = Field(default=12.0, gt=0, description="A login ends after this time.")
    failures: int = Field(default=5, ge=1, description="Wrong passwords in a row that lock an account.")
    lock_s: int = Field(default=300, ge=1, description="Seconds an account stays locked.")
    first_login: str = Field(default="admin", description="Name of the account made at the first start.")


class EnrolmentSection(Section):
    """Certificates of the nodes below (节点入网)."""

    token_hours: float = Field(default=72.0, gt=0, description="A one-time enrolment token ends after this time.")
    certificate_days: int = Field(default=90, ge=1, description="Life of a node certificate; renewed after two thirds.")


class PrometheusSection(Section):
    """Where the console links to for figures (监控)."""

    url: str | None = Field(default=None, description="Address of Prometheus or Grafana, shown in the console.")


class LogFormat(StrEnum):
    """Shape of a log line."""

    TEXT = "text"
    JSON = "json"


class LogSection(Section):
    """Log on standard error (日志)."""

    level: str = Field(
        default="info", pattern="^(debug|info|warning|error)$", description="debug, info, warning or error."
    )
    format: LogFormat = Field(default=LogFormat.TEXT, description='"text" for people, "json" for machines.')


class Settings(Section):
    """All settings of one gateway. Load with `load_settings`; in tests, `Settings.model_validate({...})`."""

    centre: CentreSection
    state: StateSection = StateSection()
    http: HttpSection = HttpSection()
    management: ManagementSection = ManagementSection()
    broker: BrokerSection = BrokerSection()
    media: MediaSection = MediaSection()
    upstream: UpstreamSection = UpstreamSection()
    rollcall: RollCallSection = RollCallSection()
    reports: ReportsSection = ReportsSection()
    answer: AnswerSection = AnswerSection()
    notify: NotifySection = NotifySection()
    users: UsersSection = UsersSection()
    enrolment: EnrolmentSection = EnrolmentSection()
    prometheus: PrometheusSection = PrometheusSection()
    log: LogSection = LogSection()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.http.tls_certificate is None) != (self.http.tls_key is None):
            raise ValueError("http.tls_certificate and http.tls_key belong together; give both or none")
        if self.broker.kind is BrokerKind.URL and self.broker.url is None:
            raise ValueError('broker.url is missing; broker.kind = "url" needs it')
        for key, url in (("http.public_url", self.http.public_url), ("upstream.url", self.upstream.url)):
            if url is not None and not url.startswith(("http://", "https://")):
                raise ValueError(f"{key} must begin with https:// or http://")
        if self.http.host in EVERYWHERE and self.http.public_url is None:
            raise ValueError("http.public_url is missing; nodes below cannot reach this gateway at " + self.http.host)
        if self.media.host in EVERYWHERE and not self.media.advertise:
            raise ValueError("media.advertise is missing; peers cannot reach the media worker at " + self.media.host)
        if self.media.ports[-1] > LAST_PORT:
            raise ValueError(
                f"media.port leaves no room for media.workers; the last one would be {self.media.ports[-1]}"
            )
        if self.upstream.token is not None and self.upstream.token_file is not None:
            raise ValueError("upstream.token and upstream.token_file exclude each other")
        return self

    @property
    def tls(self) -> bool:
        """Tell whether this gateway's own HTTP listener speaks TLS."""
        if self.http.tls_certificate is not None:
            return True
        return not is_loopback(self.http.host) and not self.http.behind_proxy

    @property
    def base_url(self) -> str:
        """Where others reach this gateway, without a trailing slash; with port 0 ask the running server instead."""
        if self.http.public_url is not None:
            return self.http.public_url.rstrip("/")
        host = f"[{self.http.host}]" if ":" in self.http.host else self.http.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.http.port}"

    @property
    def database(self) -> Path:
        """The SQLite file of this gateway."""
        return self.state.dir / "gateway.db"

    @property
    def pki_dir(self) -> Path:
        """Where this gateway's own authority keeps keys and certificates."""
        return self.state.dir / "pki"

    @property
    def identity_dir(self) -> Path:
        """Where the identity towards the tier above is kept (`protocols.aio.enrol`)."""
        return self.state.dir / "identity"

    def centres(self) -> "CentreTable":
        """Read the table of centres; raises ConfigError where it is unreadable or lacks the own code."""
        from protocols.errors import BadSchemaError
        from protocols.tiers import NANTONG, CentreTable, load_centres

        if self.centre.table is None:
            table = CentreTable(NANTONG)
        else:
            try:
                table = load_centres(self.centre.table.read_text("utf-8"))
            except (OSError, UnicodeDecodeError, BadSchemaError) as error:
                raise ConfigError(f"centre.table: {error}") from None
        if self.centre.code not in table:
            raise ConfigError(f"centre.code: {self.centre.code} is not in the table of centres; see centre.table")
        return table


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
    found = "" if {"token", "ice_servers"} & set(where) else f" (found {fault['input']!r})"
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
