from datetime import UTC, datetime, timedelta

import pytest

from gateway.web.keys import load_or_make_key
from gateway.web.media_tokens import MediaDirection, MediaTokens
from protocols.errors import BadIdentityError, ConfigError, NotAllowedError, NotAuthenticatedError

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
PLAY, PUBLISH = MediaDirection.PLAY, MediaDirection.PUBLISH


@pytest.fixture
def tokens(tmp_path):
    return MediaTokens.load(tmp_path / "media.key", "320600")


def test_a_token_opens_its_stream_in_its_direction(tokens):
    token, expires_at = tokens.mint(PLAY, "320623/room", holder="duty", now=NOW)
    grant = tokens.verify(token, PLAY, "320623/room", now=NOW + timedelta(seconds=10))
    assert (grant.stream, grant.holder, grant.expires_at) == ("320623/room", "duty", expires_at)


def test_a_token_opens_nothing_else(tokens):
    token, expires_at = tokens.mint(PLAY, "320623/room", holder="duty", now=NOW)
    with pytest.raises(NotAllowedError):
        tokens.verify(token, PUBLISH, "320623/room", now=NOW)
    with pytest.raises(NotAllowedError):
        tokens.verify(token, PLAY, "320623/yard", now=NOW)
    with pytest.raises(NotAuthenticatedError, match="ended"):
        tokens.verify(token, PLAY, "320623/room", now=expires_at)


@pytest.mark.parametrize("token", [None, "", "x", "a.b.c"])
def test_rubbish_is_not_a_token(tokens, token):
    with pytest.raises(NotAuthenticatedError):
        tokens.verify(token, PLAY, "320623/room", now=NOW)


def test_a_token_of_another_gateway_or_without_signature_is_refused(tokens, tmp_path):
    import jwt

    other = MediaTokens.load(tmp_path / "other.key", "320600")
    with pytest.raises(NotAuthenticatedError):
        tokens.verify(other.mint(PLAY, "320623/room", holder="x", now=NOW)[0], PLAY, "320623/room", now=NOW)
    claims = {"iss": "320600", "sub": "x", "dir": "play", "stream": "320623/room", "exp": NOW.timestamp() + 60}
    with pytest.raises(NotAuthenticatedError):
        tokens.verify(jwt.encode(claims, None, algorithm="none"), PLAY, "320623/room", now=NOW)


def test_only_streams_get_tokens(tokens):
    with pytest.raises(BadIdentityError):
        tokens.mint(PLAY, "room", holder="x", now=NOW)


def test_the_key_is_kept_over_restarts_and_private(tmp_path):
    path = tmp_path / "keys" / "media.key"
    token, _ = MediaTokens.load(path, "320600").mint(PLAY, "320623/room", holder="x", now=NOW)
    MediaTokens.load(path, "320600").verify(token, PLAY, "320623/room", now=NOW)
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"not a key")
    with pytest.raises(ConfigError, match="not a key"):
        load_or_make_key(path)
