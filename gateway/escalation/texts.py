"""What messages say, in Chinese. A drill is marked first, where nobody can overlook it."""

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from gateway.events import AlarmStanding

CHINA: Final = ZoneInfo("Asia/Shanghai")
COLOURS: Final = {1: "红色", 2: "橙色", 3: "黄色", 4: "蓝色"}
DRILL: Final = "【演练】"
SUBJECTS: Final = {
    "step": "{colour}告警未签收",
    "assigned": "{colour}告警已指派给您",
    "cleared": "{colour}告警已解除",
}
STEP: Final = "{place}（{centre}）{colour}告警：{headline}。发生于{at}，尚未签收，请立即处置。"
ASSIGNED: Final = "{by}将{place}（{centre}）{colour}告警指派给您：{headline}。发生于{at}，请立即处置。"
CLEARED: Final = "{place}（{centre}）{colour}告警已解除：{headline}。此前的通知就此结束。"
MORE: Final = "同类告警另有{n}条。"


def subject(purpose: str, alarm: AlarmStanding) -> str:
    """Return the subject of a message."""
    return _marked(alarm, SUBJECTS[purpose].format(colour=COLOURS[alarm.severity]))


def text(purpose: str, alarm: AlarmStanding, place: str, *, by: str = "", more: int = 0) -> str:
    """Return the text of a message about one alarm, and how many more of its kind there are."""
    form = {"step": STEP, "assigned": ASSIGNED, "cleared": CLEARED}[purpose]
    at = _time(alarm.received_at)
    known = {"place": place, "centre": alarm.centre, "colour": COLOURS[alarm.severity], "headline": alarm.headline}
    said = form.format(**known, at=at, by=by)
    return _marked(alarm, said + (MORE.format(n=more) if more else ""))


def _marked(alarm: AlarmStanding, said: str) -> str:
    return f"{DRILL}{said}{DRILL}" if alarm.drill else said


def _time(at: datetime) -> str:
    return at.astimezone(CHINA).strftime("%m月%d日%H:%M:%S")
