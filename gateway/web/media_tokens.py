"""Media tokens: short, signed, for one stream and one direction.

A token opens `POST /whip/{centre}/{camera}` (`publish`), `POST /whep/{centre}/{camera}` (`play`) or `POST /wall`
(`wall`, for one person and no stream in particular) of the gateway that minted it, and nothing else. The key is an
Ed25519 key of the gateway in its state directory.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from protocols.errors import NotAllowedError, NotAuthenticatedError
from protocols.ids import split_stream

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PLAY_FOR = timedelta(minutes=5)
"""Time within which a viewer must have opened its session; the session itself lives on."""
PUBLISH_FOR = timedelta(seconds=90)
"""Somewhat more than the lease of 60 s (design section 8: handed down in the command, renewed before expiry)."""


class MediaDirection(StrEnum):
    """What a token opens."""

    PUBLISH = "publish"
    PLAY = "play"
    WALL = "wall"


@dataclass(frozen=True, slots=True)
class MediaGrant:
    """What a valid token says. `holder` is a node or a user, for the log."""

    direction: MediaDirection
    stream: str
    holder: str
    expires_at: datetime


class MediaTokens:
    """Mints and verifies. Pure apart from the key that it was given: time is an argument."""

    def __init__(self, key: "Ed25519PrivateKey", issuer: str) -> None:
        self._key = key
        self._public = key.public_key()
        self._issuer = issuer

    @classmethod
    def load(cls, path: Path, issuer: str) -> "MediaTokens":
        """Read the key, making it (mode 0600) at the first start. `issuer` is the gateway's node id."""
        from gateway.web.keys import load_or_make_key

        return cls(load_or_make_key(path), issuer)

    def mint(
        self,
        direction: MediaDirection,
        stream: str,
        *,
        holder: str,
        now: datetime,
        life: timedelta | None = None,
    ) -> tuple[str, datetime]:
        """Return a token and its end; raises BadIdentityError where `stream` is not one."""
        import jwt

        if direction is not MediaDirection.WALL:
            split_stream(stream)
        expires_at = now + (life or (PUBLISH_FOR if direction is MediaDirection.PUBLISH else PLAY_FOR))
        claims = {"iss": self._issuer, "sub": holder, "dir": direction, "stream": stream, "exp": expires_at.timestamp()}
        return jwt.encode(claims, self._key, algorithm="EdDSA"), expires_at

    def verify(self, token: str | None, direction: MediaDirection, stream: str, *, now: datetime) -> MediaGrant:
        """Return the grant; raises NotAuthenticatedError (missing, forged, ended) or NotAllowedError (other stream)."""
        import jwt

        if not token:
            raise NotAuthenticatedError("send the media token: Authorization: Bearer ...")
        try:
            # The time is checked below against the given clock, so that a manual clock works.
            claims = jwt.decode(
                token, self._public, algorithms=["EdDSA"], issuer=self._issuer,
                options={"verify_exp": False, "require": ["iss", "sub", "dir", "stream", "exp"]},
            )  # fmt: skip
        except jwt.InvalidTokenError as error:
            raise NotAuthenticatedError(f"the media token is not valid here: {error}") from None
        expires_at = datetime.fromtimestamp(float(claims["exp"]), now.tzinfo)
        if now >= expires_at:
            raise NotAuthenticatedError("the media token has ended; ask for a new one")
        if claims["dir"] != direction or claims["stream"] != stream:
            raise NotAllowedError(f"the media token is for {claims['dir']} of {claims['stream']}")
        return MediaGrant(direction, stream, str(claims["sub"]), expires_at)
