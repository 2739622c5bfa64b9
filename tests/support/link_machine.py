"""Sender and receiver over a bad wire, with crashes anywhere: hypothesis looks for a history that loses or doubles.

The sender's memory is the real spool file, the receiver's a committed dictionary. A crash drops everything else.
"""

import json
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from protocols.aio.spool_file import Item, Limits, SpoolFile
from protocols.envelope import DURABLE_LANES, Lane
from protocols.ranges import Ranges
from protocols.receiver import Held, judge
from protocols.sender import Sender
from protocols.uplink import Receipt, pack, parse_frame
from tests.support.events import NODE, alarm

EPOCH = "01JGFJJZ000000000000000001"
STORE = "01JGFJJZ000000000000000002"
SESSIONS = [f"01JGFJJZ0000000000000001{n:02d}" for n in range(100)]
AT = "2026-01-02T00:00:00Z"
KEYS = 4


class LinkMachine(RuleBasedStateMachine):
    @initialize(prunes=st.sampled_from([False, False, False, True]))
    def start(self, prunes):
        self.prunes = prunes
        self.file = SpoolFile(Path(":memory:"), Limits(1 << 28, 1 << 28, 1e9), fresh_epoch=lambda: EPOCH)
        self.now = 0.0
        self.put: dict[int, tuple[str, bool]] = {}  # counter -> (alarm key, raised)
        self.refusing: set[int] = set()
        self.pruned = False
        self.up: list[bytes] = []
        self.down: list[bytes] = []
        self.held: dict[Lane, str] = {}
        self.stored: dict[int, int] = {}  # counter -> count of raises, committed
        self.counted: list[int] = []
        self.gaps: set[tuple[Lane, int]] = set()
        self.state: dict[str, tuple[int, bool]] = {}
        self.backup = None
        self.session, self.number = 0, 0
        self.restart_sender()

    # the sensor

    @rule(lane=st.sampled_from(DURABLE_LANES), count=st.integers(1, 12), key=st.integers(0, KEYS), raised=st.booleans())
    def put_records(self, lane, count, key, raised):
        items = []
        for _ in range(count):
            counter = len(self.put) + 1
            name = f"k{key}" if key < KEYS else f"single{counter}"
            self.put[counter] = (name, raised)
            event = alarm(counter, key=name, raised=raised).model_dump_json()
            items.append(Item(lane, event, "[]", f"{NODE} {name}", raised, int(raised)))
        self._in_file(lambda: self.file.put(items, self.now))

    @rule(counters=st.lists(st.integers(1, 60), max_size=3))
    def receiver_dislikes(self, counters):
        # Only what has not been stored: a record once taken is taken.
        self.refusing |= {one for one in counters if one in self.put and one not in self.stored}

    # the sender

    @rule(lane=st.sampled_from(DURABLE_LANES))
    def send(self, lane):
        room = self.sender.room(lane, self.now)
        parcels = self._in_file(lambda: self.file.pending(lane, self.sender.after(lane), min(room, 5)))
        fresh = [one for one in parcels if not self.sender.flying(lane, one.first)]
        self._put_on_wire(lane, fresh)
        self.sender.sent(lane, [one.first for one in fresh], self.now, last=parcels[-1].last if parcels else 0)

    @rule(lane=st.sampled_from(DURABLE_LANES))
    def ask(self, lane):
        self.up += [one.payload for one in pack(NODE, EPOCH, lane, (), ask=True)]

    @rule(seconds=st.sampled_from([0.1, 2.5, 70.0]))
    def time_passes(self, seconds):
        self.now += seconds
        self.resend()

    @rule()
    def resend(self):
        for lane, seqs in self.sender.due(self.now).items():
            parcels = self._in_file(lambda lane=lane: self.file.pending(lane, 0, 10_000))
            again = [one for one in parcels if one.first in set(seqs)]
            self.sender.gone(lane, set(seqs) - {one.first for one in again})
            self._put_on_wire(lane, again)
            self.sender.sent(lane, [one.first for one in again], self.now)

    @rule()
    def restart_sender(self):
        self.file.guard_sent()
        self.sender = Sender()
        self.sender.connected({lane: self.file.settled(lane) for lane in DURABLE_LANES})

    @rule(lane=st.sampled_from(DURABLE_LANES))
    def fold(self, lane):
        self._in_file(lambda: self.file._fold_lane(lane))

    @precondition(lambda self: self.prunes)
    @rule()
    def prune_history(self):
        self.pruned |= bool(self._in_file(lambda: self.file._drop_history(3)))

    # the wire

    @precondition(lambda self: self.up)
    @rule(at=st.integers(0, 1000), keep=st.booleans(), crash=st.sampled_from(["no", "no", "before", "after"]))
    def frame_arrives(self, at, keep, crash):
        raw = self.up[at % len(self.up)] if keep else self.up.pop(at % len(self.up))
        self._receive(raw, crash)

    @precondition(lambda self: self.down)
    @rule(at=st.integers(0, 1000), keep=st.booleans(), crash=st.sampled_from(["no", "no", "before", "after"]))
    def receipt_arrives(self, at, keep, crash):
        raw = self.down[at % len(self.down)] if keep else self.down.pop(at % len(self.down))
        if crash == "before":
            self.restart_sender()
            return
        self._settle(raw)
        if crash == "after":
            self.restart_sender()

    @precondition(lambda self: self.up or self.down)
    @rule(at=st.integers(0, 1000))
    def something_is_lost(self, at):
        wire = self.up + self.down
        lost = wire[at % len(wire)]
        (self.up if at % len(wire) < len(self.up) else self.down).remove(lost)

    @rule()
    def a_good_moment(self):
        for lane in DURABLE_LANES:
            self.ask(lane)
        self._exchange()
        for lane in DURABLE_LANES:
            self.send(lane)
        self._exchange()

    # the receiver falls back

    @rule()
    def back_up_receiver(self):
        state = (self.held, self.stored, self.gaps, self.state)
        self.backup = (*(one.copy() for one in state), list(self.counted))

    @precondition(lambda self: self.backup is not None)
    @rule()
    def restore_receiver(self):
        held, stored, gaps, state, counted = self.backup
        self.held, self.stored, self.gaps, self.state = held.copy(), stored.copy(), gaps.copy(), state.copy()
        self.counted = list(counted)
        self.session += 1

    # what must hold at any moment

    @invariant()
    def stored_once(self):
        assert len(self.counted) == len(set(self.counted)), "a record was stored twice"

    @invariant()
    def nothing_is_forgotten_before_its_receipt(self):
        """What was put is at the receiver, or in the sender's file in some form."""
        for lane in DURABLE_LANES:
            stored = Held.from_json(self.held.get(lane)).stored
            kept = Ranges()
            handed_out = self.file._lanes[lane].handed_out
            for one in self._in_file(lambda lane=lane: self.file.pending(lane, 0, 100_000)):
                kept.add(one.first, one.last)
            self.file._lanes[lane].handed_out = handed_out  # looking is not sending
            settled = self.file.settled(lane)
            every = (
                Ranges([(1, self.file._lanes[lane].next_seq - 1)]) if self.file._lanes[lane].next_seq > 1 else Ranges()
            )
            assert not every.minus(kept).minus(settled), "a number is in no state"
            if self.backup is None:
                assert not settled.minus(stored), "settled without being stored"

    def teardown(self):
        """With a good wire all comes to rest, and everything is accounted for."""
        if not hasattr(self, "sender"):
            return
        self.up.clear()
        self.down.clear()
        self.restart_sender()
        for _ in range(400):
            for lane in DURABLE_LANES:
                self.ask(lane)
            self._exchange()
            for lane in DURABLE_LANES:
                self.send(lane)
            self._exchange()
            self.time_passes(70.0)
            if not any(self._in_file(self.file.depth).values()) and not self._holes():
                break
        else:
            raise AssertionError(f"never came to rest: {self.file.depth()} {self._holes()}")
        self._account()
        self.file.close()

    def _exchange(self):
        while self.up or self.down:
            while self.up:
                self._receive(self.up.pop(0), "no")
            while self.down:
                self._settle(self.down.pop(0))

    def _holes(self):
        return [lane for lane in DURABLE_LANES if Held.from_json(self.held.get(lane)).holes()]

    def _account(self):
        refused = {json.loads(row[2])["origincounter"] for row in self.file.quarantine(10_000)}
        raises = sum(self.stored.values())
        if not self.pruned:
            assert not self.gaps, "a gap although the history holds everything"
            refused_raises = sum(
                json.loads(row[2])["data"]["count"] for row in self.file.quarantine(10_000) if self._raised(row)
            )
            assert raises + refused_raises == sum(raised for _, raised in self.put.values()), "raises miscounted"
            last = {}
            for counter, (key, raised) in self.put.items():
                if counter not in refused:
                    last[key] = (counter, raised)
            if not refused:
                assert self.state == last, "the state of an alarm is not that of its newest record"
        assert not refused & set(self.stored)
        for lane in DURABLE_LANES:
            held, high = Held.from_json(self.held.get(lane)), self.file._lanes[lane].next_seq - 1
            assert held.stored.to_list() == ([[1, high]] if high else [])
            assert not held.refused

    def _raised(self, row):
        return self.put[json.loads(row[2])["origincounter"]][1]

    # plumbing

    def _put_on_wire(self, lane, parcels):
        self.up += [one.payload for one in pack(NODE, EPOCH, lane, parcels)]

    def _receive(self, raw, crash):
        frame = parse_frame(raw)
        intake = judge(frame, Held.from_json(self.held.get(frame.lane)))
        taken = []
        for record in intake.fresh:
            counter = record.event.origincounter
            if counter in self.refusing:
                intake.refuse(record.seq, "bad_schema")
            else:
                taken.append(record.event)
        if crash == "before":
            self.session += 1
            return
        self.held[frame.lane] = intake.held.to_json()
        for event in taken:
            self._apply(event)
        self.gaps |= {(frame.lane, seq) for void in intake.gaps for seq in range(void.first, void.last + 1)}
        if crash == "after":
            self.session += 1
            return
        receipt = intake.receipt("320600", STORE, AT)
        self.number += 1
        stamp = {"session": SESSIONS[self.session % len(SESSIONS)], "number": self.number}
        self.down.append(receipt.model_copy(update=stamp).model_dump_json().encode())

    def _apply(self, event):
        counter = event.origincounter
        self.counted.append(counter)
        key, raised = self.put[counter]
        self.stored[counter] = event.data["count"] if raised else 0
        if counter > self.state.get(key, (0, False))[0]:
            self.state[key] = (counter, raised)

    def _settle(self, raw):
        receipt = Receipt.model_validate_json(raw)
        lost = self.sender.on_receipt(receipt, self.now)
        self._in_file(lambda: self.file.settle(receipt, self.now))
        for refusal in receipt.refused:
            self.sender.rewind(receipt.lane, refusal.seq)
        if lost:
            self._in_file(lambda: self.file.replay(receipt.lane, lost))
            self.sender.rewind(receipt.lane, next(iter(lost))[0])

    def _in_file(self, work):
        self.file.begin()
        result = work()
        self.file.commit()
        return result
