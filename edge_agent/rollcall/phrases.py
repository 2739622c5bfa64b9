"""What the box says aloud: Chinese, in one place. The answer page has its words in `screen/words.js`."""

from typing import Final

from edge_agent.rollcall.machine import Stage, Turn, TurnKind

DRILL: Final = "演练。"
ROLL_CALL: Final = "视频点名，请接听。"
ROLL_CALL_AUTO: Final = "视频点名，画面已接通。"
CALL: Final = "视频调度，请接听。"


def prompt(turn: Turn) -> str:
    """Return what is said while a turn rings, or once when the box answered it by itself."""
    if turn.kind is TurnKind.CALL:
        words = CALL
    else:
        words = ROLL_CALL if turn.stage is Stage.RINGING else ROLL_CALL_AUTO
    return DRILL + words if turn.drill else words
