"""The production broker: `mosquitto` (2.x) as a supervised child with generated configuration.

TLS with client certificates even on loopback: the certificate's name is the identity, and the access list is built
on it. Nothing is persisted by the broker, because both ends keep what is not receipted; its queues are bounded.
"""

import os
import pwd
import shutil
from pathlib import Path

from typing_extensions import override

from gateway.adapters.broker_access import mosquitto_acl
from gateway.adapters.broker_child import ChildBroker
from protocols.aio.mqtt import TlsFiles
from protocols.errors import ConfigError

PLACES = ("/usr/sbin", "/usr/local/sbin")
"""Where packages put it and PATH often does not look."""
MESSAGE_LIMIT = 1_048_576
_CONF = """# written by the gateway at each start
{user}listener {port} {host}
cafile {server.ca}
certfile {server.certificate}
keyfile {server.key}
tls_version tlsv1.2
require_certificate true
use_identity_as_username true
use_username_as_clientid true
allow_anonymous false
acl_file {acl}
set_tcp_nodelay true
persistence false
persistent_client_expiration 1d
max_packet_size {limit}
max_inflight_messages 64
max_queued_messages 2000
max_queued_bytes 67108864
max_connections 5000
sys_interval 0
log_dest stderr
log_type error
log_type warning
"""


def find_mosquitto() -> Path | None:
    """Return the program: PATH first, then where packages put daemons."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path=os.pathsep.join(PLACES))
    return Path(found) if found else None


class MosquittoBroker(ChildBroker):
    """Contract: `gateway.ports.broker`."""

    kind = "mosquitto"
    production = True

    def __init__(
        self,
        program: Path,
        folder: Path,
        host: str,
        port: int,
        *,
        gateway: str,
        server: TlsFiles,
        client: TlsFiles,
        user: str | None = None,
    ) -> None:
        super().__init__(folder, host, port, gateway=gateway, server=server, client=client)
        self._program = program
        self._user = user

    @override
    def prepare(self) -> None:
        acl = self.folder / "mosquitto.acl"
        acl.write_text(mosquitto_acl(self.gateway), "ascii")
        acl.chmod(0o600)
        text = _CONF.format(
            user=self._user_line(), port=self.port, host=self.host, server=self.server, acl=acl, limit=MESSAGE_LIMIT
        )
        self.config_file.write_text(text, "utf-8")
        self.config_file.chmod(0o600)

    def _user_line(self) -> str:
        # Without this line a mosquitto started by root becomes its package's user, who cannot read the key.
        if os.geteuid() != 0:
            return ""
        user = self._user or pwd.getpwuid(0).pw_name
        try:
            account = pwd.getpwnam(user)
        except KeyError:
            raise ConfigError(f"broker.user: there is no account {user}") from None
        if account.pw_uid != 0:
            for file in (self.server.key, self.folder, self.folder / "mosquitto.acl"):
                if file is not None:
                    shutil.chown(file, account.pw_uid)
        return f"user {user}\n"

    @override
    def command(self) -> tuple[str, ...]:
        return (str(self._program), "-c", str(self.config_file))
