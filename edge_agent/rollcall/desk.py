"""The answer desk: turns on disk, the ring in the room, and those who wait for an answer.

**What rang before a restart rings after it**, and what was answered stays answered. Nothing here knows of HTTP.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError

from edge_agent.rollcall.machine import Details, Stage, Turn, TurnKind, Turns, details_of, turn_of
from edge_agent.rollcall.phrases import prompt
from edge_agent.rollcall.ringer import Ringer
from protocols.aio.clock import Clock
from protocols.aio.tasks import Supervisor
from protocols.command import CallRing, RollCallDetails, RollCallRing, RollCallStage
from protocols.errors import ExpiredError, RefusedError

logger = logging.getLogger(__name__)
FILE = "turns.json"
_KEPT: TypeAdapter[tuple[Turn, ...]] = TypeAdapter(tuple[Turn, ...])
_RING, _CHIME = "ring", "chime"
Tell = Callable[[RollCallDetails], Awaitable[None]]


async def _tell_nobody(_: RollCallDetails) -> None:
    """Stand in until the link is there."""


class AnswerDesk:
    """Everything that a page or a command asks of the turns; use it in the loop's thread alone."""

    def __init__(self, state_dir: Path, ringer: Ringer, clock: Clock, tasks: Supervisor) -> None:
        self.ringer = ringer
        self.tell: Tell = _tell_nobody
        """Sends details that came after the answer; set once the link is there."""
        self._file = state_dir / FILE
        self._clock = clock
        self._tasks = tasks
        self._changed = asyncio.Event()
        self._sounding: str | None = None
        self.version = 0
        self.turns = Turns(self._read())
        for turn in self.turns.open():
            if turn.stage is Stage.RINGING:
                self.turns.lapsed(turn.id, clock.now())

    def _read(self) -> tuple[Turn, ...]:
        try:
            return _KEPT.validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return ()
        except (OSError, ValidationError) as error:
            logger.warning("turns of before are lost", extra={"file": str(self._file), "detail": str(error)[:200]})
            return ()

    def _note(self) -> None:
        """Keep the turns, and ring or be silent."""
        self._keep()
        ringing = self.turns.ringing
        self._sounding = None if ringing is None else ringing.id
        if ringing is not None and self.ringer.audible and not self._tasks.running(_RING):
            self._tasks.start(_RING, self._ring)

    def _keep(self) -> None:
        """Write the turns down and wake who waits."""
        fresh = self._file.with_suffix(".new")
        try:
            fresh.write_bytes(_KEPT.dump_json(self.turns.all))
            fresh.replace(self._file)
        except OSError as error:  # a full disk must not keep a county from answering
            logger.warning("turns are not on disk", extra={"file": str(self._file), "detail": str(error)})
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Let time pass for the turns, until cancelled; begins to ring where a restart broke a ring off."""
        self._note()
        while True:
            changed, now, due = self._changed, self._clock.now(), self.turns.deadline
            await self._clock.wait(changed, None if due is None else max(0.0, (due - now).total_seconds()))
            for turn in self.turns.tick(self._clock.now()):
                logger.warning("nobody answered" if turn.stage is Stage.MISSED else "call is over", extra=_fields(turn))
                self._note()

    async def _ring(self) -> None:
        """Ring while anything rings; a turn that replaces another is announced by its own name."""
        while (turn := self.turns.ringing) is not None:
            await self.ringer.ring(prompt(turn), partial(self._sounds, turn.id))

    def _sounds(self, id_: str) -> bool:
        """Tell, in any thread, whether it is this turn that rings."""
        return self._sounding == id_

    async def hush(self) -> None:
        """Return once the loudspeaker is free for somebody else."""
        await self._tasks.cancel(_CHIME)
        if self.turns.ringing is None:
            await self._tasks.cancel(_RING)

    # what the link asks

    def rung(self, ring: RollCallRing | CallRing) -> Turn:
        """Take a ring; the turn says whether it is answered already."""
        attempt = ring.attempt if isinstance(ring, RollCallRing) else 0
        turn = self.turns.rung(turn_of(ring, self._clock.now()), self._clock.now(), attempt)
        logger.info("rung", extra={**_fields(turn), "attempts": turn.attempts, "caller": turn.caller_centre or ""})
        self._note()
        return turn

    async def answered_by_person(self, id_: str) -> Turn:
        """Wait until somebody answers. Raises RefusedError (`declined`), ExpiredError when it ended without an answer.

        Cancelling (the asker's deadline) leaves it ringing for the next attempt.
        """
        try:
            while (turn := self.turns.get(id_)).stage is Stage.RINGING:
                await self._changed.wait()
        except asyncio.CancelledError:
            self.turns.lapsed(id_, self._clock.now())
            self._keep()  # not more: at the agent's end nothing may begin
            raise
        if turn.stage is Stage.DECLINED:
            raise RefusedError("the duty room declined this call", "declined")
        if not turn.open:
            raise ExpiredError(f"the ring ended: {turn.ending}")
        return turn

    def answer_by_box(self, id_: str, name: str) -> Turn:
        """Answer by policy, and let the room hear that it is on the air."""
        turn = self.turns.get(id_)
        if turn.stage is not Stage.RINGING:
            return turn
        turn = self.turns.answered(id_, Details(answered_by=name), self._clock.now(), by_person=False)
        if turn.kind is TurnKind.ROLL_CALL and self.ringer.audible and not self._tasks.running(_CHIME):
            self._tasks.start(_CHIME, lambda: self.ringer.chime(prompt(turn)), restart=False)
        self._note()
        return turn

    def staged(self, told: RollCallStage) -> None:
        """Take where the centre says this county stands."""
        turn = self.turns.staged(told, self._clock.now())
        if turn is not None:
            logger.info("stage", extra={**_fields(turn), "muted": turn.muted})
            self._note()

    def over(self, id_: str, ending: str) -> None:
        """Take that a call ended."""
        if self.turns.over(id_, ending, self._clock.now()) is not None:
            self._note()

    # what people ask

    async def changed(self, after: int, within_s: float) -> None:
        """Return when anything changed since version `after`, or time is up."""
        if after == self.version:
            await self._clock.wait(self._changed, within_s)

    async def answer(self, id_: str, details: Details) -> Turn:
        """Answer, or better what was answered: then it goes up at once. Raises NotFoundError, WrongMomentError."""
        before = self.turns.get(id_)
        turn = self.turns.answered(id_, details, self._clock.now(), by_person=True)
        logger.info("answered", extra={**_fields(turn), "late": before.stage is not Stage.RINGING})
        self._note()
        if before.stage is not Stage.RINGING and turn.kind is TurnKind.ROLL_CALL:
            await self.tell(details_of(turn, self._clock.now()))
        return turn

    def decline(self, id_: str) -> Turn:
        """Refuse a dispatch call that rings. Raises NotFoundError, WrongMomentError."""
        turn = self.turns.declined(id_, self._clock.now())
        self._note()
        return turn


def _fields(turn: BaseModel) -> dict[str, object]:
    told = turn.model_dump(include={"id", "kind", "camera", "stage", "ending"}, mode="json")
    return {"call" if name == "id" else name: value for name, value in told.items()}
