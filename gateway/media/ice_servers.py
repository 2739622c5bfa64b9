"""STUN and TURN servers that clients are told of, as `Link` headers of the 201 (RFC 9725 section 4.6).

With a shared secret each session gets credentials of its own that end by themselves, as coturn's `use-auth-secret`
checks them: the user is `unix-time:holder`, the password the HMAC-SHA1 of that.
"""

import base64
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol


class IceServer(Protocol):
    """One configured server; see the settings."""

    url: str
    username: str | None
    credential: str | None
    secret: str | None
    hours: float


def link_headers(servers: Sequence[IceServer], holder: str, now: datetime) -> list[str]:
    """Return one header value per server; `holder` becomes part of the user's name where a secret makes it."""
    return [_link(server, holder, now) for server in servers]


def _link(server: IceServer, holder: str, now: datetime) -> str:
    username, credential = server.username, server.credential
    if server.secret is not None:
        username = f"{int((now + timedelta(hours=server.hours)).timestamp())}:{holder}"
        credential = base64.b64encode(hmac.digest(server.secret.encode(), username.encode(), "sha1")).decode()
    link = f'<{server.url}>; rel="ice-server"'
    if username is not None and credential is not None:
        link += f'; username="{username}"; credential="{credential}"; credential-type="password"'
    return link
