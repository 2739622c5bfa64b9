"""Settings of a gateway with replicas: several processes that share the work of one centre."""

from pathlib import Path

from pydantic import Field

from gateway.settings.base import Section


class ReplicaSection(Section):
    """Several processes of this gateway that share its work; needs store.url, broker.url and bus.url (多副本)."""

    name: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9][a-z0-9-]{0,31}$",
        description="Name of this replica, as the operations page shows it. Without one this process serves alone.",
    )
    url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s]+$",
        description="Where the other replicas reach this one's HTTP, e.g. https://gateway-a.example:8080.",
    )
    shared_dir: Path | None = Field(
        default=None,
        description="Directory that all replicas see (keys, certificates, evidence, recordings): the same on each, "
        "with working file locks.",
    )


class BusSection(Section):
    """The bus between the replicas: NATS with JetStream (副本间消息总线)."""

    url: str | None = Field(
        default=None,
        description="Servers, with commas between: tls://nats-a:4222,tls://nats-b:4222,tls://nats-c:4222 (nats:// on "
        "loopback only). Run them with sync_interval: always.",
    )
    credentials_file: Path | None = Field(
        default=None, description="File with user:password, or with a token, that the servers let in."
    )
    authority: Path | None = Field(
        default=None,
        description="PEM file of the authority behind the servers' certificates; default: this gateway's own, whose "
        "certificate is also shown to them.",
    )
    copies: int = Field(
        default=3, ge=1, le=5, description="Servers that keep each message; 3 outlive the death of one."
    )
