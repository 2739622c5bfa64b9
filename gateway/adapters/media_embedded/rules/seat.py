"""Where a leg sits: what it wishes to show, what it is let show, and how it gets from one picture to another.

Law: **the old picture goes on until the new one can begin.** Another layer of the same camera begins at a whole key
frame; another camera begins at once. Neither cuts the old one off in the middle of a frame.
"""

from gateway.adapters.media_embedded.rules.leg import Leg
from gateway.adapters.media_embedded.rules.strand import Out, Strand
from gateway.ports.media import Layer, Showing

FINISH_S = 0.05
"""A frame that has begun is waited for so long, then it is cut off."""
BARS = frozenset({Showing.SAVED, Showing.SHED})


class Seat:
    """One leg and its wishes; `leg.plan.name` names it in its session.

    `exact` takes no other layer than the one wished for (relays, which pass on what there is). `counts`: the source
    shall send what is wished for. `resting` wishes for nothing. `limit` is the best that it is let show: main, thumb,
    or why nothing. `vital`: shows what there is rather than nothing. `ready`: its session carries media. `inner`: what
    it sends stays inside the engine and is in no figure. `instead`: a relay's main picture that is sent where the thumb
    was asked for and there is none.
    """

    def __init__(self, leg: Leg, wish: Layer = Layer.MAIN, *, exact: bool = False, counts: bool = True) -> None:
        self.leg = leg
        self.wish, self.exact, self.counts = wish, exact, counts
        self.priority = 2
        self.vital = self.resting = self.inner = self.instead = False
        self.limit = Showing.MAIN
        self.ready = False
        self.stream: str | None = None
        self.strand: Strand | None = None
        self.goal: Strand | None = None
        self.told: tuple[str | None, Showing] = (None, Showing.EMPTY)
        self._since = 0.0
        self._base = (0, 0)

    @property
    def sound(self) -> bool:
        """Whether it is a seat for sound."""
        return self.leg.plan.kind == "audio"

    def wishes(self) -> tuple[str, ...]:
        """Return the strands that would do, the best one first; none while it is barred."""
        if self.resting or (self.limit in BARS and not self.sound):
            return ()
        if self.sound:
            return ("audio",)
        if self.exact:
            return (self.wish.value,)
        if self.wish is Layer.THUMB or self.limit is Showing.THUMB:
            return ("thumb", "main")
        return ("main", "thumb")

    def relieve(self, *, alone: bool) -> None:
        """Let the main picture go in the thumb's place while it arrives `alone`, and no longer."""
        if self.instead:
            self.resting = not alone

    def carries(self, strand: Strand) -> bool:
        """Tell whether the viewer offered the strand's codec."""
        return strand.codec is None or self.leg.payload_type(strand.codec) is not None

    def aim(self, goal: Strand | None, now: float) -> None:
        """Set out for another strand; `due` tells when the move can be made."""
        if goal is not self.goal:
            self.goal, self._since = goal, now
            if goal is not None and goal.video and not goal.gop.whole:
                goal.wish.ask()

    def due(self, now: float) -> bool:
        """Tell whether the move to `goal` can be made now."""
        old, new = self.strand, self.goal
        if new is old or not self.ready:
            return False
        if old is None or not old.video:
            return True
        if new is not None and new.stream == old.stream and old.live(now) and self.carries(old) and not new.gop.whole:
            if new.wish.overdue(now):
                new.wish.ask()
            return self.leg.starved
        return (old.whole and not self.leg.catching_up) or self.leg.starved or now - self._since > FINISH_S

    def move(self, now: float) -> Out:
        """Move to `goal`; returns the first packets of the new picture."""
        self.rise()
        self.strand = self.goal
        if self.strand is None:
            return []
        self._base = (self.leg.packets, self.leg.octets)
        return self.strand.add(self.leg, now)

    def rise(self) -> None:
        """Leave the strand."""
        if self.strand is not None:
            self.strand.remove(self.leg, *self.sent())
            self.leg.leave()
            self.strand = None

    def sent(self) -> tuple[int, int]:
        """Return packets and octets sent of the present strand."""
        if self.inner:
            return 0, 0
        return self.leg.packets - self._base[0], self.leg.octets - self._base[1]

    def showing(self, now: float) -> Showing:
        """Tell what is shown, or why nothing is."""
        if self.stream is None:
            return Showing.EMPTY
        if self.limit in BARS and not self.sound:
            return self.limit
        strand = self.strand
        if strand is None or strand.stream != self.stream or not strand.live(now):
            return Showing.WAITING
        if not self.carries(strand):
            return Showing.CODEC
        if self.leg.starved:
            return Showing.WAITING
        return Showing.SOUND if self.sound else Showing(strand.name)
