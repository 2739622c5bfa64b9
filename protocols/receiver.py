"""The receiving half of a link: what is new, what was already here, what is refused, where a gap is.

**A number is held for ever**: it is in `Held` from the commit that stored its record, and a second arrival of it is a
duplicate whatever it carries. Only the gap watch knows time, and time is an argument.

How a receiver works, in one transaction::

    held = <load (node, epoch, lane)>            Held.from_json, or Held() for the first frame
    intake = judge(frame, held)
    for record in intake.fresh:                  store, apply, owe; or intake.refuse(seq, code, detail)
    <save intake.held.to_json()>, commit
    return intake.receipt(...)                   only now
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from protocols.envelope import Lane, Record
from protocols.ranges import Ranges
from protocols.uplink import Frame, Receipt, Refusal, VoidRange

GAP_PATIENCE_S = 5.0
"""A hole older than this is asked for (reference alarms.md section 10, item 5)."""
GAP_ASK_CAP_S = 60.0
RECEIPT_RANGES = 64
"""A receipt lists at most this many ranges, the newest; `floor` says where the list begins."""


@dataclass(slots=True)
class Held:
    """What a receiver holds of one (node, epoch, lane), as two sets of numbers.

    `stored` are committed records and void numbers, `refused` are those answered with a refusal: not held, judged anew
    when they come again, and no gap.
    """

    stored: Ranges = field(default_factory=Ranges)
    refused: Ranges = field(default_factory=Ranges)

    def to_json(self) -> str:
        """Return the text to be stored with the received data."""
        return json.dumps({"stored": self.stored.to_list(), "refused": self.refused.to_list()}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | None) -> "Held":
        """Read the stored text; None is a sender that was never heard."""
        if not text:
            return cls()
        body = json.loads(text)
        return cls(Ranges(body["stored"]), Ranges(body["refused"]))

    def holes(self) -> Ranges:
        """Return the numbers below the greatest one that never came."""
        return self.stored.missing().minus(self.refused)


@dataclass(slots=True)
class Intake:
    """One judged frame. Handle `fresh` in order, save `held`, commit, then send `receipt`.

    `gaps` are numbers that the sender no longer holds: report them by name. `voided` were withdrawn by coalescing.
    """

    frame: Frame
    held: Held
    fresh: Sequence[Record]
    duplicates: int
    voided: Sequence[VoidRange]
    gaps: Sequence[VoidRange]
    refusals: list[Refusal]

    def refuse(self, seq: int, code: str, detail: str = "") -> None:
        """Take a fresh record back out of `held` and name why; the caller must have stored nothing of it."""
        self.held.stored = self.held.stored.minus(Ranges([(seq, seq)]))
        self.held.refused.add(seq)
        self.refusals.append(Refusal(seq=seq, code=code, detail=detail[:1000]))

    def receipt(self, node: str, store_epoch: str, at: datetime) -> Receipt:
        """Return the receipt of this frame by receiver `node`; call it only after the commit."""
        return receipt_of(self.frame, self.held, self.refusals, node=node, store_epoch=store_epoch, at=at)


def judge(frame: Frame, held: Held) -> Intake:
    """Sort out one frame against what is `held`; changes `held` as if every fresh record will be stored."""
    fresh: list[Record] = []
    duplicates = 0
    for record in sorted(frame.records, key=lambda one: one.seq):
        if record.seq in held.stored:
            duplicates += 1
            continue
        held.stored.add(record.seq)
        fresh.append(record)
    voided: list[VoidRange] = []
    gaps: list[VoidRange] = []
    for void in frame.voids:
        if void.last < void.first:
            continue
        for first, last in Ranges([(void.first, void.last)]).minus(held.stored):
            held.stored.add(first, last)
            part = VoidRange(first=first, last=last, by=void.by)
            (gaps if void.by is None else voided).append(part)
    refusals = []
    for fault in frame.faults:
        if fault.seq not in held.stored:
            held.refused.add(fault.seq)
            refusals.append(fault)
    held.refused = held.refused.minus(held.stored)
    return Intake(frame, held, fresh, duplicates, voided, gaps, refusals)


def receipt_of(
    frame: Frame, held: Held, refusals: Sequence[Refusal], *, node: str, store_epoch: str, at: datetime
) -> Receipt:
    """Build the receipt that answers `frame` from the committed `held`."""
    pairs = list(held.stored)
    floor = 1
    if len(pairs) > RECEIPT_RANGES:
        pairs = pairs[-RECEIPT_RANGES:]
        floor = pairs[0][0]
        # What this very frame brought must be receipted even where the list of ranges had to be cut.
        brought = (record.seq for record in frame.records if record.seq < floor and record.seq in held.stored)
        pairs = [*Ranges((seq, seq) for seq in brought), *pairs]
    return Receipt(
        node=node,
        epoch=frame.epoch,
        lane=frame.lane,
        stored=tuple(pairs),
        refused=tuple(refusals),
        high=held.stored.high,
        store_epoch=store_epoch,
        at=at,
        floor=floor,
    )


class GapWatch:
    """Finds holes that stay. Feed every receipt sent; ask for what `due` returns; wake again at `deadline`.

    A hole waits 5 s, for frames may be on their way, and is then asked for with growing pauses up to a minute for as
    long as it stays, because the sender may come to life again.
    """

    def __init__(self) -> None:
        self._open: dict[tuple[str, str, Lane], tuple[list[list[int]], float, int]] = {}

    def saw(self, peer: str, receipt: Receipt, now: float) -> None:
        """Take note of a receipt that was sent to `peer` at monotonic time `now`."""
        key = (peer, receipt.epoch, receipt.lane)
        known = Ranges(receipt.stored)
        if receipt.floor > 1:
            known.add(1, receipt.floor)
        holes = known.missing().minus(Ranges((one.seq, one.seq) for one in receipt.refused)).to_list()
        if not holes:
            self._open.pop(key, None)
        elif key not in self._open or self._open[key][0][0][0] < holes[0][0]:
            self._open[key] = (holes, now + GAP_PATIENCE_S, 0)
        else:
            _, due, asked = self._open[key]
            self._open[key] = (holes, due, asked)

    def due(self, now: float) -> list[tuple[str, str, Lane, list[list[int]]]]:
        """Return (peer, epoch, lane, holes) to be asked for at `now`, and plan the next ask of each."""
        asks = []
        for key, (holes, at, asked) in self._open.items():
            if at <= now:
                pause = min(GAP_ASK_CAP_S, GAP_PATIENCE_S * float(2**asked))
                self._open[key] = (holes, now + pause, min(asked + 1, 16))
                asks.append((*key, holes))
        return asks

    def forget(self, peer: str) -> None:
        """Drop what is open towards `peer` (it left; its next frame opens the holes again)."""
        for key in [key for key in self._open if key[0] == peer]:
            del self._open[key]

    @property
    def deadline(self) -> float | None:
        """Monotonic time of the next ask, None while there is no hole."""
        return min((at for _, at, _ in self._open.values()), default=None)
