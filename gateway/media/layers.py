"""Which layers of one stream are asked of the next hop: those that somebody looks at, and no others.

**More is asked for at once, less after a while.** A holder says what it wishes for; of holders that are legs of the
engine (viewers, wall slots) the engine knows better what they follow, because a thin line follows less: its word
counts from the moment it is heard. Times are monotonic seconds given as arguments.
"""

from gateway.ports.media import Layer

MAIN_ONLY = frozenset({Layer.MAIN})
MORE_S = 0.2
"""Two requests for more of one stream lie at least this far apart; the first goes at once."""
LESS_S = 3.0
"""A layer that nobody looks at is kept for this long: a wall that is rearranged asks for it again at once."""


class LayerWish:
    """The wishes for one stream. `due` says when the next hop must be told, None while it knows all."""

    def __init__(self) -> None:
        self.asked: frozenset[Layer] = frozenset()
        self.due: float | None = None
        self._wishes: dict[str, frozenset[Layer]] = {}
        self._legs: set[str] = set()
        self._unheard: set[str] = set()
        self._told: frozenset[Layer] = frozenset()
        self._asked_at = 0.0

    @property
    def wanted(self) -> frozenset[Layer]:
        """What is wanted now; what was asked last while nobody wants anything."""
        found = set(self._told)
        for holder, layers in self._wishes.items():
            if holder not in self._legs or holder in self._unheard or not self._told:
                found |= layers
        return frozenset(found) or self.asked or MAIN_ONLY

    def hold(self, holder: str, layers: frozenset[Layer], *, leg: bool, now: float) -> None:
        """Take what a holder wishes for; `leg` where the engine will say what it follows."""
        if self._wishes.get(holder) == layers:
            return
        self._wishes[holder] = layers
        if leg:
            self._legs.add(holder)
            self._unheard.add(holder)
        self._look(now)

    def drop(self, holder: str, now: float) -> None:
        """Forget a holder."""
        self._wishes.pop(holder, None)
        self._legs.discard(holder)
        self._unheard.discard(holder)
        if not self._legs:
            self._told = frozenset()
        self._look(now)

    def tell(self, layers: frozenset[Layer], now: float) -> None:
        """Take the engine's word on what its legs follow; an empty one says nothing."""
        self._told = layers if self._legs else frozenset()
        if layers:
            self._unheard.clear()
        self._look(now)

    def ask(self, now: float) -> frozenset[Layer]:
        """Return what is asked for now, and note it."""
        self.asked, self._asked_at, self.due = self.wanted, now, None
        return self.asked

    def _look(self, now: float) -> None:
        wanted = self.wanted
        if not self.asked or wanted == self.asked:
            self.due = None
        elif wanted - self.asked:
            self.due = max(now, self._asked_at + MORE_S)
        elif self.due is None or self.due < now + MORE_S:
            self.due = now + LESS_S
