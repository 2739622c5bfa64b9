"""Settings of the other parts, a section each."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from gateway.settings.base import Section
from protocols.ids import CentreCode


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
    presence_s: float = Field(
        default=600.0, ge=0, description="Seconds from a county's first ring to the end of its make-up (补点)."
    )
    makeup_every_s: float = Field(default=30.0, gt=0, description="Seconds between two rounds of the make-up.")
    parallel: int = Field(default=100, ge=1, description="Points rung at the same moment; the next follow as they end.")
    connecting: int = Field(
        default=12, ge=1, description="Points on their way to a first picture at the same moment: the pace of a call."
    )
    bulletin_prefix: str = Field(
        default="点名通报",
        min_length=1,
        max_length=24,
        description="Beginning of a bulletin's number (文号), e.g. 通应急点 for 通应急点〔2026〕1号.",
    )
    demand_proof: bool = Field(
        default=False,
        description="Whether a picture counts only with its own clock or the challenge number: no recording passes.",
    )
    carriers: tuple[Annotated[str, Field(pattern=r"^[0-9]{6}(-[a-z0-9-]+)?=.{1,32}$")], ...] = Field(
        default=(),
        description='Carrier of each line, by centre or node, e.g. ["320623=电信"]; neighbours on it tell a cut line.',
    )
    bureau_heads: tuple[Annotated[str, Field(pattern=r"^[0-9]{6}=.{1,64}$")], ...] = Field(
        default=(),
        description='Heads of the county bureaus, told of the second absence in 7 days: ["320623=张三 13900000000"].',
    )
    evidence_days: int = Field(
        default=180,
        ge=1,
        description="Days that evidence of roll calls is kept; then its files are deleted, and the deletion is logged.",
    )


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
