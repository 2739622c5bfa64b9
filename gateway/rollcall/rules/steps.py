"""What the rule of a session has its shell do, in order (`session.py`)."""

from dataclasses import dataclass

from protocols.rollcall import SessionState


@dataclass(frozen=True, slots=True)
class Moved:
    """The session is in another state: write it down."""

    state: SessionState


@dataclass(frozen=True, slots=True)
class Probe:
    """Probe all points and report each with `probed`; `silent`: no county may notice, and no picture is taken."""

    silent: bool


@dataclass(frozen=True, slots=True)
class Freeze:
    """Freeze the rosters of all points: the call begins."""


@dataclass(frozen=True, slots=True)
class Open:
    """Begin a round of a point and report its end with `ended`; `late`: it is the make-up."""

    centre: str
    late: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """End a point's round without a verdict."""

    centre: str


@dataclass(frozen=True, slots=True)
class Stage:
    """Name a centre (点名发言) and fetch the picture of the one that comes next."""

    centre: str | None
    upcoming: str | None


@dataclass(frozen=True, slots=True)
class Notice:
    """Tell people that a higher tier takes these points over in so many seconds."""

    seconds: float
    centres: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lent:
    """A higher tier asks a point itself, or that is `over`. Write it down.

    Its time stands still since the round began that was broken off for it: nobody has had anything of that one.
    """

    centre: str
    over: bool = False


@dataclass(frozen=True, slots=True)
class Close:
    """A point's time is up: give it its final state and report that with `closed`."""

    centre: str


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing more is asked."""


Effect = Moved | Probe | Freeze | Open | Stop | Stage | Notice | Lent | Close | Ended
