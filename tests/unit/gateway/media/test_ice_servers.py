"""Link headers for STUN and TURN, and credentials as coturn computes them."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from gateway.media.ice_servers import link_headers
from gateway.settings import IceServerSection

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_servers_with_and_without_credentials() -> None:
    servers = [
        IceServerSection(url="stun:192.0.2.1:3478"),
        IceServerSection(url="turns:192.0.2.1:5349?transport=tcp", username="u", credential="p"),
    ]
    assert link_headers(servers, "s1", NOW) == [
        '<stun:192.0.2.1:3478>; rel="ice-server"',
        '<turns:192.0.2.1:5349?transport=tcp>; rel="ice-server"; username="u"; credential="p"; '
        'credential-type="password"',
    ]


def test_a_shared_secret_makes_credentials_that_end() -> None:
    (link,) = link_headers([IceServerSection(url="turn:192.0.2.1", secret="north", hours=1)], "s1", NOW)
    username = f"{int(NOW.timestamp()) + 3600}:s1"
    password = base64.b64encode(hmac.new(b"north", username.encode(), hashlib.sha1).digest()).decode()
    assert f'username="{username}"; credential="{password}"' in link
    assert "north" not in link


@pytest.mark.parametrize(
    "values",
    [
        {"url": "http://192.0.2.1"},
        {"url": 'turn:a>; rel="x', "secret": "s"},
        {"url": "turn:192.0.2.1"},
        {"url": "turn:192.0.2.1", "username": "u"},
        {"url": "turn:192.0.2.1", "username": "u", "credential": "p", "secret": "s"},
        {"url": "turn:192.0.2.1", "username": 'u"', "credential": "p"},
    ],
)
def test_what_cannot_be_a_server_is_refused(values: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        IceServerSection.model_validate(values)
