"""Settings of a gateway: typed, frozen, passed as an argument, never a global.

Order of precedence: file < environment (`SILIAN_HTTP__PORT=8080`) < flags. An unknown key is a ConfigError that names
the nearest known one. `silian config sample` is generated from these models: every key is documented here and only
here.
"""

from gateway.settings.base import ENVIRONMENT, EVERYWHERE, is_loopback
from gateway.settings.loading import known_keys, load_settings
from gateway.settings.media import IceServerSection, MediaBackend, MediaEngineKind, MediaSection
from gateway.settings.orders import OrdersSection
from gateway.settings.replica import BusSection, ReplicaSection
from gateway.settings.sections import (
    AnswerPolicy,
    AnswerSection,
    BrokerKind,
    BrokerSection,
    CentreSection,
    EnrolmentSection,
    HttpSection,
    LogFormat,
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
from gateway.settings.warning import FeedSection, IssuerSection, WarningSection
from gateway.settings.whole import Settings

__all__ = [
    "ENVIRONMENT",
    "EVERYWHERE",
    "AnswerPolicy",
    "AnswerSection",
    "BrokerKind",
    "BrokerSection",
    "BusSection",
    "CentreSection",
    "EnrolmentSection",
    "FeedSection",
    "HttpSection",
    "IceServerSection",
    "IssuerSection",
    "LogFormat",
    "LogSection",
    "ManagementSection",
    "MediaBackend",
    "MediaEngineKind",
    "MediaSection",
    "NotifySection",
    "OrdersSection",
    "PrometheusSection",
    "ReplicaSection",
    "ReportsSection",
    "RollCallSection",
    "Settings",
    "StateSection",
    "StoreSection",
    "UpstreamSection",
    "UsersSection",
    "WarningSection",
    "is_loopback",
    "known_keys",
    "load_settings",
]
