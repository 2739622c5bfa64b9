"""What every section of the settings stands on."""

from ipaddress import ip_address

from pydantic import BaseModel, ConfigDict

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
