"""Messages whose words another room gives: the same post, courier, receipts and retries as those of the chains."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from sqlalchemy import Row, insert, select, update

from gateway.escalation import timers
from gateway.escalation.post import NOTICE
from gateway.escalation.tables import letters, notices
from gateway.ports.notify import Channel, Letter, LetterStanding, Receipt
from gateway.ports.store import Reader, UnitOfWork
from protocols.aio.clock import Clock, new_ulid

LETTER: Final = "letter"
"""Purpose of such a message."""
Settled = Callable[[UnitOfWork, str], Awaitable[None]]
"""A room that is told, in the same transaction, that a message of a topic has its receipt."""


class Letters:
    """Writes, withdraws and reads letters."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._followers: list[Settled] = []

    def follow(self, follower: Settled) -> None:
        """Tell a room of each receipt, inside the unit of work that writes it."""
        self._followers.append(follower)

    async def write(self, uow: UnitOfWork, wanted: Sequence[Letter]) -> None:
        """Write letters, due at once; one without an address is kept as failed, for people to see."""
        rows, words = [], []
        for letter in wanted:
            id_, reachable = new_ulid(self._clock), letter.address is not None
            rows.append(_row(id_, letter, uow) | _state(uow, reachable=reachable))
            words.append(
                {"notice_id": id_, "topic": letter.topic, "ref": letter.ref}
                | {"subject": letter.subject[:256], "data": letter.data}
            )
            if reachable:
                await timers.arm(uow, NOTICE, id_, uow.now)
        if rows:
            await uow.execute(insert(notices), rows)
            await uow.execute(insert(letters), words)

    async def withdraw(self, uow: UnitOfWork, topic: str, refs: Sequence[str] | None = None) -> None:
        """Cancel what waits of a topic; of some of its references where they are named."""
        mine = select(letters.c.notice_id).where(letters.c.topic == topic)
        if refs is not None:
            mine = mine.where(letters.c.ref.in_(list(refs)))
        waiting = select(notices.c.id).where(notices.c.id.in_(mine), notices.c.state == Receipt.WAITING.value)
        ids = [row.id for row in await uow.execute(waiting)]
        if ids:
            settled = {"state": Receipt.CANCELLED.value, "settled_at": uow.now}
            await uow.execute(update(notices).where(notices.c.id.in_(ids)).values(**settled))
            await timers.disarm(uow, NOTICE, ids)

    async def of(self, reader: Reader, topic: str) -> list[LetterStanding]:
        """Return the letters of a topic, the oldest first."""
        joined = letters.join(notices, letters.c.notice_id == notices.c.id)
        wanted = select(notices, letters.c.ref).select_from(joined).where(letters.c.topic == topic)
        return [_standing(row) for row in await reader.execute(wanted.order_by(notices.c.id))]

    async def words(self, reader: Reader, notice_id: str) -> tuple[str, str, dict[str, Any]]:
        """Return topic, subject and data of a message of purpose LETTER."""
        row = (await reader.execute(select(letters).where(letters.c.notice_id == notice_id))).one()
        return row.topic, row.subject, dict(row.data)

    async def settled(self, uow: UnitOfWork, topic: str) -> None:
        """Tell the followers; called by the courier with each receipt."""
        for follower in self._followers:
            await follower(uow, topic)


def _row(id_: str, letter: Letter, uow: UnitOfWork) -> dict[str, Any]:
    return {
        "id": id_,
        "bundle": f"{LETTER}|{letter.topic}|{letter.ref}"[:256],
        "purpose": LETTER,
        "channel": letter.channel.value,
        "person": letter.person,
        "role": letter.role,
        "address": letter.address,
        "severity": letter.severity,
        "step": 0,
        "round": 0,
        "reference": "",
        "said_by": "",
        "text": letter.text,
        "attempts": 0,
        "created_at": uow.now,
        "sent_at": None,
    }


def _state(uow: UnitOfWork, *, reachable: bool) -> dict[str, Any]:
    if reachable:
        return {"state": Receipt.WAITING.value, "reason": "", "settled_at": None}
    return {"state": Receipt.FAILED.value, "reason": "no_address", "settled_at": uow.now}


def _standing(row: Row[Any]) -> LetterStanding:
    return LetterStanding(
        id=row.id,
        ref=row.ref,
        channel=Channel(row.channel),
        person=row.person,
        address=row.address,
        state=Receipt(row.state),
        reason=row.reason,
        attempts=row.attempts,
        created_at=row.created_at,
        settled_at=row.settled_at,
    )
