"""Which challenge number each picture of this box must show. Pure."""

from edge_agent.rollcall.machine import TALKING, TurnKind, Turns
from protocols.challenge import DIGITS
from protocols.ids import stream_of


def numbers(turns: Turns) -> dict[str, str]:
    """Return the number by stream: that of the newest answered roll call that asks for one."""
    return {
        stream_of(turn.centre, turn.camera): turn.challenge
        for turn in turns.open(TurnKind.ROLL_CALL)
        if turn.stage in TALKING and turn.challenge is not None and _drawable(turn.challenge)
    }


def _drawable(number: str) -> bool:
    return len(number) == DIGITS and number.isascii() and number.isdigit()
