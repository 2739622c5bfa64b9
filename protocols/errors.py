"""One error tree for every node.

::

    SilianError
    ├── BadInputError            the caller sent something wrong; retrying the same bytes is useless
    │   ├── BadIdentityError     a name that is not a centre, node, camera or event id
    │   ├── UnknownCentreError   a code that no row of the table of centres bears
    │   ├── BadSchemaError       JSON or fields that do not fit the type
    │   ├── WarningIncompleteError   a warning that lacks what the law demands of it
    │   ├── UnsignableError      a report that lacks what it must say before it is signed
    │   ├── OrderIncompleteError an order that lacks what it must say before it is signed
    │   ├── BadTopicError        a topic outside the grammar, or another node's branch
    │   ├── BadClockError        a time too far from ours to be true
    │   ├── TooLargeError        a payload over its limit
    │   ├── TooOftenError        a sensor that reports more often than it may
    │   └── BadMediaError        an SDP, candidate or codec that cannot be used
    │       ├── UnreadableMediaError   not SDP at all
    │       └── CodecError       a picture in a codec that the other end did not offer
    ├── NotAllowedError          known caller, missing right
    │   ├── NotAuthenticatedError
    │   ├── LockedError          too many failures; `retry_after_s` says when to come back
    │   ├── MustChangePasswordError
    │   ├── WeatherSignalError   a weather signal, which only meteorological stations issue
    │   └── NotIssuerError       a unit that may not issue this event or colour
    ├── NotFoundError            no such centre, camera, alarm, session
    ├── WrongMomentError         a request that does not fit the present state
    ├── ExpiredError             a command or token past its deadline
    ├── SpoolFullError           the disk quota is used up; the sensor must keep the alarm and retry
    ├── StoreAwayError           the database cannot be reached; what was asked may be asked again
    ├── LinkError                the other end cannot be reached or refused
    │   └── RefusedError         the other end answered no, with a code
    ├── NeedsError               a capability that this installation lacks ("needs X")
    │   └── NeedsFontError       no font with Chinese to print with
    └── ConfigError              settings that cannot work; names the key and the remedy

Each class has a stable `code` (API, log, receipt), an HTTP `status`, and `retry`: whether the same request may
succeed later without being changed.
"""

from typing import ClassVar


class SilianError(Exception):
    """Root of the tree. `str(error)` is one sentence that says what to do next."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    retry: ClassVar[bool] = False


class BadInputError(SilianError):
    """The caller's input is wrong."""

    code: ClassVar[str] = "bad_input"
    status: ClassVar[int] = 400


class BadIdentityError(BadInputError):
    """A name outside the grammar of `protocols.ids`."""

    code: ClassVar[str] = "bad_identity"


class UnknownCentreError(BadInputError):
    """A division code that no row of the table of centres bears; add it to the operator's table."""

    code: ClassVar[str] = "unknown_centre"
    status: ClassVar[int] = 422


class BadSchemaError(BadInputError):
    """JSON that does not parse or does not fit its type."""

    code: ClassVar[str] = "bad_schema"
    status: ClassVar[int] = 422


class UnsignableError(BadInputError):
    """A report that lacks what it must say, or why a number changed."""

    code: ClassVar[str] = "report_incomplete"
    status: ClassVar[int] = 422


class WarningIncompleteError(BadInputError):
    """A public warning that lacks what it must say."""

    code: ClassVar[str] = "warning_incomplete"
    status: ClassVar[int] = 422


class OrderIncompleteError(BadInputError):
    """An order that lacks what it must say before it is signed."""

    code: ClassVar[str] = "order_incomplete"
    status: ClassVar[int] = 422


class BadTopicError(BadInputError):
    """A topic outside the grammar, or a branch that belongs to another node."""

    code: ClassVar[str] = "bad_topic"


class BadClockError(BadInputError):
    """A time that lies too far from the receiver's clock to be true."""

    code: ClassVar[str] = "bad_clock"
    status: ClassVar[int] = 422


class TooLargeError(BadInputError):
    """A payload over its limit."""

    code: ClassVar[str] = "too_large"
    status: ClassVar[int] = 413


class TooOftenError(BadInputError):
    """A sensor that reports more often than it may; red alarms always pass."""

    code: ClassVar[str] = "too_often"
    status: ClassVar[int] = 429
    retry: ClassVar[bool] = True


class BadMediaError(BadInputError):
    """An SDP, candidate or codec that cannot be used."""

    code: ClassVar[str] = "bad_media"
    status: ClassVar[int] = 422


class UnreadableMediaError(BadMediaError):
    """A session description that is not one."""

    code: ClassVar[str] = "unreadable_media"
    status: ClassVar[int] = 400


class CodecError(BadMediaError):
    """A picture comes in a codec that this end did not offer; nothing is transcoded, so it would see nothing."""

    code: ClassVar[str] = "codec"


class NotAllowedError(SilianError):
    """The caller is known and lacks the right."""

    code: ClassVar[str] = "not_allowed"
    status: ClassVar[int] = 403


class NotAuthenticatedError(NotAllowedError):
    """The caller is not known, or the token has ended."""

    code: ClassVar[str] = "not_authenticated"
    status: ClassVar[int] = 401


class LockedError(NotAllowedError):
    """Too many failures in a row; the same request may succeed after `retry_after_s` seconds."""

    code: ClassVar[str] = "locked"
    status: ClassVar[int] = 429
    retry: ClassVar[bool] = True

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class MustChangePasswordError(NotAllowedError):
    """The first password of an account opens nothing but the change of the password."""

    code: ClassVar[str] = "must_change_password"


class WeatherSignalError(NotAllowedError):
    """A weather signal is never issued in our own name (气象灾害防御条例, article 30)."""

    code: ClassVar[str] = "weather_signal"


class NotIssuerError(NotAllowedError):
    """The unit is not authorised to issue this event class or colour."""

    code: ClassVar[str] = "not_issuer"


class NotFoundError(SilianError):
    """No such thing here."""

    code: ClassVar[str] = "not_found"
    status: ClassVar[int] = 404


class WrongMomentError(SilianError):
    """The request does not fit the present state."""

    code: ClassVar[str] = "wrong_moment"
    status: ClassVar[int] = 409


class ExpiredError(SilianError):
    """A command or token past its deadline; it was not carried out."""

    code: ClassVar[str] = "expired"
    status: ClassVar[int] = 410


class SpoolFullError(SilianError):
    """The disk quota is used up; nothing was stored, the sender must keep the record and retry."""

    code: ClassVar[str] = "spool_full"
    status: ClassVar[int] = 507
    retry: ClassVar[bool] = True


class StoreAwayError(SilianError):
    """The database cannot be reached; nothing is acknowledged, and the same request may be made again."""

    code: ClassVar[str] = "store_away"
    status: ClassVar[int] = 503
    retry: ClassVar[bool] = True


class LinkError(SilianError):
    """The other end cannot be reached."""

    code: ClassVar[str] = "link"
    status: ClassVar[int] = 502
    retry: ClassVar[bool] = True


class RefusedError(LinkError):
    """The other end answered no. `reason` is its code."""

    code: ClassVar[str] = "refused"
    retry: ClassVar[bool] = False

    def __init__(self, message: str, reason: str = "refused") -> None:
        super().__init__(message)
        self.reason = reason


class NeedsError(SilianError):
    """A capability that this installation lacks; the message says what to install or configure."""

    code: ClassVar[str] = "needs"
    status: ClassVar[int] = 501


class NeedsFontError(NeedsError):
    """No font with Chinese for a printed report."""

    code: ClassVar[str] = "needs_font"


class ConfigError(SilianError):
    """Settings that cannot work; the message names the key and the remedy."""

    code: ClassVar[str] = "config"
