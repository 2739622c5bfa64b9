import random
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.rollcall.rules import checks
from gateway.rollcall.rules.line import Second
from gateway.rollcall.rules.sound import Loudness
from protocols.command import RollCallAnswer
from protocols.defects import PictureWatch
from protocols.health import BoxHealth, CameraHealth, Verdict
from protocols.picture import PictureFigures, Sample
from protocols.rollcall import Check, CheckName, CheckResult, Defect

AT = datetime(2026, 5, 1, 8, tzinfo=UTC)
CLEAN = PictureFigures(exact="a", grain=b"", edges=20.0, span=60.0, cast=0.0, stripes=0.0)


@dataclass
class Point:
    first_frame_s: float | None


def watch(*, moves, grainy=False, **settings):
    made = PictureWatch("320623", **settings)
    for at in range(9):
        thumb = random.Random(at).randbytes(576) if moves else bytes([at % 2 if grainy else 0]) + bytes(range(23)) * 25
        made.look(Sample(at, 100.0, 40.0, thumb[:576]), CLEAN, 1_800_000_000_000 + at * 1000)
    return made


def answer(on_battery):
    health = CameraHealth(verdict=Verdict.LIVE)
    return RollCallAnswer(answered_by="甲", answered_at=AT, camera=health, box=BoxHealth(on_battery=on_battery))


def test_connecting_slowly_is_an_issue_and_not_at_all_is_bad():
    assert checks.link(Point(0.8), AT).result is CheckResult.GOOD
    slow = checks.link(Point(5.4), AT)
    assert (slow.result, slow.value) == (CheckResult.ISSUE, 5.4)
    assert "5.4" in slow.note
    other = Check(name=CheckName.SOUND, result=CheckResult.GOOD, at=AT)
    kept = checks.link(Point(0.8), AT).model_copy(update={"note": "证据未能保存：disk_full"})
    assert checks.by_profile([kept, other], Point(5.4), 8.0) == [kept.model_copy(update={"value": 5.4}), other]
    assert checks.by_profile([slow], Point(5.4), 8.0)[0].note == ""
    assert checks.by_profile([kept], Point(0.8), 0.5)[0].result is CheckResult.ISSUE
    assert checks.link(Point(None), AT).result is CheckResult.BAD


def test_a_moving_picture_is_good_and_its_scene_not_looked_at():
    picture, scene = checks.pictures(watch(moves=True), None, 8, AT)
    assert (picture.name, picture.result, picture.value) == (CheckName.PICTURE, CheckResult.GOOD, 9)
    assert (scene.name, scene.result, scene.defect) == (CheckName.SCENE, CheckResult.UNKNOWN, None)


def test_the_owners_word_proves_a_still_room_unless_not_even_the_grain_changes():
    assert checks.pictures(watch(moves=False, grainy=True), Verdict.LIVE, 8, AT)[0].result is CheckResult.GOOD
    assert checks.pictures(watch(moves=False, grainy=True), None, 8, AT)[0].result is CheckResult.UNPROVEN
    assert checks.pictures(watch(moves=False), Verdict.LIVE, 8, AT)[0].result is CheckResult.UNPROVEN


def test_what_is_demanded_is_not_proven_by_the_owners_word():
    demanding = watch(moves=False, grainy=True, demanded=True, challenge="1234")
    assert checks.pictures(demanding, Verdict.LIVE, 8, AT)[0].result is CheckResult.UNPROVEN


def test_no_picture_is_lost():
    picture, _ = checks.pictures(PictureWatch("320623"), None, 8, AT)
    assert (picture.result, picture.defect) == (CheckResult.BAD, Defect.LOST)


def test_sound_line_and_power_become_checks():
    silent = checks.sound_check([Loudness(n / 4, -90.0) for n in range(30)], AT)
    assert (silent.result, silent.defect, silent.value) == (CheckResult.BAD, Defect.SILENT, -90.0)
    line = checks.line_check([Second(n, 900, 0.03, None, 15.0) for n in range(5)], AT)
    assert (line.result, line.value) == (CheckResult.ISSUE, 3.0)
    assert "3.0" in line.note
    assert checks.line_check([], AT).note == ""
    assert checks.power(None, AT).result is CheckResult.UNKNOWN
    assert checks.power(answer(None), AT).result is CheckResult.UNKNOWN
    battery = checks.power(answer(True), AT)
    assert (battery.result, battery.value) == (CheckResult.GOOD, "battery")
    assert battery.note
    assert checks.power(answer(False), AT).value == "mains"
