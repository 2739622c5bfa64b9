"""All settings of a gateway."""

from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from pydantic import model_validator

from gateway.settings.base import EVERYWHERE, LAST_PORT, Section, is_loopback
from gateway.settings.media import MediaSection
from gateway.settings.orders import OrdersSection
from gateway.settings.replica import BusSection, ReplicaSection
from gateway.settings.sections import (
    AnswerSection,
    BrokerKind,
    BrokerSection,
    CentreSection,
    EnrolmentSection,
    HttpSection,
    LogSection,
    ManagementSection,
    NotifySection,
    PrometheusSection,
    ReportsSection,
    RollCallSection,
    StateSection,
    UpstreamSection,
    UsersSection,
)
from gateway.settings.store import StoreSection
from gateway.settings.warning import WarningSection
from protocols.errors import ConfigError

if TYPE_CHECKING:
    from protocols.tiers import CentreTable


class Settings(Section):
    """All settings of one gateway. Load with `load_settings`; in tests, `Settings.model_validate({...})`."""

    centre: CentreSection
    state: StateSection = StateSection()
    store: StoreSection = StoreSection()
    replica: ReplicaSection = ReplicaSection()
    bus: BusSection = BusSection()
    http: HttpSection = HttpSection()
    management: ManagementSection = ManagementSection()
    broker: BrokerSection = BrokerSection()
    media: MediaSection = MediaSection()
    upstream: UpstreamSection = UpstreamSection()
    rollcall: RollCallSection = RollCallSection()
    reports: ReportsSection = ReportsSection()
    answer: AnswerSection = AnswerSection()
    notify: NotifySection = NotifySection()
    warning: WarningSection = WarningSection()
    orders: OrdersSection = OrdersSection()
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

    @model_validator(mode="after")
    def _replicas_have_all_they_need(self) -> Self:
        replica = self.replica
        if replica.name is None:
            if self.bus.url is not None or replica.url is not None or replica.shared_dir is not None:
                raise ValueError("replica.name is missing; replica.url, replica.shared_dir and bus.url serve replicas")
            return self
        if self.broker.kind not in (BrokerKind.AUTO, BrokerKind.URL):
            raise ValueError("replica.name needs a broker that all replicas reach: broker.url")
        needed = {
            "store.url": (self.store.url, "one PostgreSQL database for all replicas"),
            "broker.url": (self.broker.url, "a broker that all replicas reach"),
            "bus.url": (self.bus.url, "NATS between the replicas"),
            "replica.url": (replica.url, "where the other replicas reach this one"),
            "replica.shared_dir": (replica.shared_dir, "a directory that all replicas see"),
        }
        for key, (value, what) in needed.items():
            if value is None:
                raise ValueError(f"replica.name needs {key}: {what}")
        parts = urlsplit(replica.url or "")
        if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            raise ValueError("replica.url: requests with passwords pass between replicas; use https:// off loopback")
        return self

    @property
    def shared_dir(self) -> Path:
        """Where keys, certificates, evidence and recordings are: replicas have it in common."""
        return self.replica.shared_dir or self.state.dir

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
        """The SQLite file of this gateway, where no store.url is given."""
        return self.state.dir / "gateway.db"

    @property
    def pki_dir(self) -> Path:
        """Where this gateway's own authority keeps keys and certificates."""
        return self.shared_dir / "pki"

    @property
    def identity_dir(self) -> Path:
        """Where the identity towards the tier above is kept (`protocols.aio.enrol`)."""
        return self.shared_dir / "identity"

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
