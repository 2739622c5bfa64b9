"""In which order a call asks its counties, and what that order rests on."""

from collections.abc import Sequence
from typing import Final

from gateway.ports.store import Store
from gateway.rollcall.ledger import Ledger
from gateway.rollcall.needs import Signals, Standing
from gateway.rollcall.records import RollCallRecord
from gateway.rollcall.rules.draw import order
from gateway.rollcall.rules.profiles import Profile
from gateway.rollcall.rules.rainfall import by_rain, fallen
from protocols.tiers import Centre

CALLS: Final = 10
"""So many former calls say who was worst."""


class Ordering:
    """One for all calls of a gateway; `signals` None: nothing is known of rain."""

    def __init__(self, store: Store, ledger: Ledger, signals: Signals | None) -> None:
        self._store = store
        self._ledger = ledger
        self._signals = signals

    async def put(self, chosen: list[Centre], record: RollCallRecord, profile: Profile) -> list[Centre]:
        """Return the centres in the profile's order, and note in the record what it rests on; a draw keeps its own."""
        if record.draw is not None or profile.order == "code":
            return chosen
        by_code = {centre.code: centre for centre in chosen}
        if profile.order == "random":
            return [by_code[code] for code in order(record.id, by_code)]
        if profile.order == "rainfall":
            return [by_code[code] for code in await self._by_rain(list(by_code), record)]
        scores = await self._last_scores(record)
        return sorted(chosen, key=lambda centre: scores.get(centre.code, 100.0))

    async def _by_rain(self, codes: list[str], record: RollCallRecord) -> list[str]:
        standing: Sequence[Standing] = ()
        if self._signals is not None:
            async with self._store.reading() as reader:
                standing = await self._signals.active(reader)
        # What is practised must not shape a real call, nor a real storm be left out of an exercise.
        rain = fallen(one for one in standing if record.drill or not one.drill)
        record.ordered = {"by": "rainfall", "mm": {code: rain[code].mm for code in codes if code in rain}}
        return by_rain(codes, rain)

    async def _last_scores(self, record: RollCallRecord) -> dict[str, float]:
        scores: dict[str, float] = {}
        for call in await self._ledger.page(record.id, CALLS):
            for point in call.points:
                if point.score is not None:
                    scores.setdefault(point.centre, point.score)
        return scores
