"""Gathers the evidence of each point while it is verified; implements `needs.Gathering`.

::

    answered ──► looks (a key frame every 1.5 s), loudness, figures of the line
    seen     ──► first still, clip of 10 s      +4 s ──► second still
    end      ──► last still, clip, tracks and the record are kept ──► checks

**What was seen is on the disk at once; nothing here can make a missing county present.** A file that cannot be kept is
logged and counted, and the check says so.
"""

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from gateway.metrics import Metrics
from gateway.ports.media import Capability, EngineStats, RecordingEnded, Still
from gateway.rollcall import phrases
from gateway.rollcall.evidence import Evidence, Item
from gateway.rollcall.meter import Meter, Track
from gateway.rollcall.needs import Pictures
from gateway.rollcall.records import PointRecord
from gateway.rollcall.rules import checks, line
from gateway.rollcall.rules.chain import EvidenceKind
from protocols.aio.clock import Clock
from protocols.aio.tasks import Supervisor
from protocols.command import RollCallAnswer
from protocols.defects import PictureWatch
from protocols.errors import SilianError
from protocols.rollcall import Check, CheckName, PointState

logger = logging.getLogger(__name__)
WARM_AFTER_S = 3.0
LOOK_S = 1.5
RETRY_S = 0.3
STILL_WITHIN_S = 3.0
SECOND_STILL_S = 4.0
CLIP_S = 10.0
CLIP_GRACE_S = 3.0
UNDER_WAY = frozenset({PointState.CONNECTING, PointState.VERIFYING})
JPEG, JSON = "image/jpeg", "application/json"
TYPES = {".mp4": "video/mp4", ".mkv": "video/x-matroska"}


class Engine(Protocol):
    """The media engine, as far as evidence needs it."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this engine can do; without `record` there are no clips."""
        ...

    async def clip(self, stream: str, path: Path, seconds: float) -> RecordingEnded:
        """Record for so many seconds; cancelled, it closes what there is."""
        ...

    async def stats(self) -> EngineStats:
        """Return current figures."""
        ...


@dataclass(slots=True)
class Round:
    """One round of one point, from its ring to its end."""

    roll_call_id: str
    centre: str
    stream: str
    watch: PictureWatch
    drill: bool
    answer: RollCallAnswer | None = None
    track: Track | None = None
    began: float = 0.0
    looked_at: float = 0.0
    """When a picture was taken last, by whomever it was fetched."""
    first: Still | None = None
    last: Still | None = None
    second: bool = False
    kept: dict[EvidenceKind, list[str]] = field(default_factory=dict)
    unkept: list[str] = field(default_factory=list)
    number_seen: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def name(self) -> str:
        """Name of the round in tasks and files."""
        return f"{self.roll_call_id}-{self.centre}"


class Gatherer:
    """Use it with `async with`; cancelling any call is safe, what was kept stays kept."""

    def __init__(
        self,
        evidence: Evidence,
        pictures: Pictures,
        engine: Engine,
        clock: Clock,
        metrics: Metrics,
        folder: Path,
        *,
        demanding: bool = False,
    ) -> None:
        """`folder` holds clips until they are evidence; what a gateway that was killed left there is kept.

        `demanding`: no picture is good without its own clock or the challenge number (see `PictureWatch.demanded`).
        """
        self._demanding = demanding
        self._evidence = evidence
        self._pictures = pictures
        self._engine = engine
        self._clock = clock
        self._metrics = metrics
        self._folder = folder
        self._tasks = Supervisor("evidence", clock=clock)
        self._meter = Meter(engine, clock, self._tasks)
        self._rounds: dict[tuple[str, str], Round] = {}

    async def __aenter__(self) -> "Gatherer":
        for path in await asyncio.to_thread(_left, self._folder):
            await self._keep_left(path)
        self._tasks.start("warm", self._warm)
        self._tasks.start("retention", self._evidence.keep_tidy)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._tasks.stop()

    async def _warm(self) -> None:
        """Load what pictures are judged with: half a second that neither a start nor a first picture shall wait for."""
        await self._clock.sleep(WARM_AFTER_S)
        await asyncio.to_thread(import_module, "numpy")

    async def _keep_left(self, path: Path) -> None:
        """Keep the clip that a gateway was recording when it was killed: it ends there, and says so."""
        roll_call_id, _, centre = path.stem.partition("-")
        content, kind = await asyncio.to_thread(path.read_bytes), TYPES.get(path.suffix)
        if content and kind is not None and centre:
            cut = Item(EvidenceKind.CLIP, content, kind, self._clock.now(), phrases.CLIP_CUT)
            try:
                await self._evidence.keep(roll_call_id, centre, [cut])
            except (SilianError, OSError) as error:
                self._metrics.count("rollcall_evidence_lost_total", reason="restart")
                logger.error("clip of before the restart not kept", extra={"file": path.name, "detail": str(error)})
                return
        await asyncio.to_thread(path.unlink)

    # the seam

    async def begin(self, point: PointRecord, *, drill: bool) -> None:
        """Begin a round; one that was answered before a restart is looked at from now on."""
        await self._drop(point)
        found = self._opened(point, drill=drill)
        if found is not None and point.state in UNDER_WAY:
            self._watch(found)

    def _opened(self, point: PointRecord, *, drill: bool) -> Round | None:
        if point.stream is None:
            return None
        watch = PictureWatch(point.centre, point.challenge, demanded=self._demanding)
        found = Round(point.roll_call_id, point.centre, point.stream, watch, drill)
        self._rounds[_key(point)] = found
        return found

    async def answered(self, point: PointRecord, answer: RollCallAnswer) -> None:
        """Begin to look and to listen."""
        found = self._rounds.get(_key(point))
        if found is None or found.answer is not None:
            return
        found.answer = answer
        found.watch.clock_off_s = (answer.answered_at - self._clock.now()).total_seconds()
        self._watch(found)

    def _watch(self, found: Round) -> None:
        found.began = self._clock.monotonic()
        found.track = self._meter.follow(found.stream)
        self._tasks.start(f"looks {found.name}", lambda: self._look_on(found), restart=False)

    async def seen(self, point: PointRecord, still: Still) -> None:
        """Take a picture that the verdict rests on; the first is kept and begins the clip."""
        found = self._rounds.get(_key(point))
        if found is not None:
            found.looked_at = self._clock.monotonic()
            await self._take(found, still)

    async def read_back(self, point: PointRecord, number: str) -> bool:
        """Wait until a picture shows the number."""
        found = self._rounds.get(_key(point)) or self._looking_again(point)
        if found is None:
            return False
        found.watch.challenge = number
        await found.number_seen.wait()
        return True

    def _looking_again(self, point: PointRecord) -> Round | None:
        """Begin to look once more: the number is asked for because what was gathered proved nothing."""
        found = self._opened(point, drill=False)
        if found is not None:
            found.began = self._clock.monotonic()
            self._tasks.start(f"looks {found.name}", lambda: self._look_on(found), restart=False)
        return found

    async def end(self, point: PointRecord) -> Sequence[Check]:
        """Keep what was gathered and return the checks."""
        found = self._rounds.get(_key(point))
        if found is None:
            return ()
        try:
            await self._await_clip(found)
            await self._tasks.cancel(f"looks {found.name}")
            await self._close_clip(found)
            await self._keep_rest(found, point)
            return self._checks(found, point)
        finally:
            await self._drop(point)

    async def broken_off(self, point: PointRecord) -> None:
        """Look and record no more, and keep what there is."""
        found = self._rounds.get(_key(point))
        if found is None:
            return
        try:
            await self._tasks.cancel(f"looks {found.name}")
            await self._close_clip(found)
            if found.first is not None:
                await self._keep_rest(found, point)
        finally:
            await self._drop(point)

    # looking

    async def _look_on(self, found: Round) -> None:
        """Look where nobody else does: while the verdict is sought its pictures are handed on, and serve here too."""
        newer_than = found.looked_at = found.began
        while True:
            pause = found.looked_at + LOOK_S - self._clock.monotonic()
            if pause > 0:
                await self._clock.sleep(pause)
                continue
            try:
                still = await self._pictures.still(found.stream, newer_than=newer_than, timeout_s=STILL_WITHIN_S)
            except SilianError:
                await self._clock.sleep(RETRY_S)
                continue
            newer_than = still.arrived_at
            found.looked_at = self._clock.monotonic()
            await self._take(found, still)

    async def _take(self, found: Round, still: Still) -> None:
        if found.last is not None and still.arrived_at <= found.last.arrived_at:
            return
        found.last = still
        found.watch.look(still.sample, still.figures, round(self._taken(still).timestamp() * 1000))
        if found.watch.challenge_seen and not found.number_seen.is_set():
            await self._keep_still(found, still, phrases.STILL_NUMBER)
            found.number_seen.set()
        if found.first is None:
            found.first = still
            await self._keep_still(found, still, phrases.STILL_FIRST)
            if Capability.RECORD in self._engine.capabilities:
                self._tasks.start(f"clip {found.name}", lambda: self._clip(found), restart=False)
        elif not found.second and still.arrived_at - found.first.arrived_at >= SECOND_STILL_S:
            found.second = True
            await self._keep_still(found, still, phrases.STILL_SECOND)

    def _taken(self, still: Still) -> datetime:
        return self._clock.now() - timedelta(milliseconds=still.frame_age_ms)

    async def _keep_still(self, found: Round, still: Still, note: str) -> None:
        await self._keep(found, [Item(EvidenceKind.STILL, still.jpeg, JPEG, self._taken(still), note)])

    async def _keep(self, found: Round, items: list[Item]) -> None:
        try:
            names = await self._evidence.keep(found.roll_call_id, found.centre, items)
        except SilianError as error:
            self._lost(found, error.code, str(error))
            return
        except OSError as error:
            self._lost(found, "disk", str(error))
            return
        for item, name in zip(items, names, strict=True):
            kept = found.kept.setdefault(item.kind, [])
            if name not in kept:
                kept.append(name)

    def _lost(self, found: Round, code: str, detail: str) -> None:
        found.unkept.append(code)
        self._metrics.count("rollcall_evidence_lost_total", reason=code)
        fields = {"roll_call": found.roll_call_id, "centre": found.centre, "code": code, "detail": detail}
        logger.error("evidence not kept", extra=fields)

    # the clip

    async def _clip(self, found: Round) -> None:
        try:
            await self._engine.clip(found.stream, self._folder / f"{found.name}.mp4", CLIP_S)
        except SilianError as error:
            self._lost(found, error.code, str(error))

    async def _close_clip(self, found: Round) -> None:
        """End the clip and keep what there is of it."""
        await self._tasks.cancel(f"clip {found.name}")
        for path in sorted(self._folder.glob(f"{found.name}.*")):
            content = await asyncio.to_thread(path.read_bytes)
            kind = TYPES.get(path.suffix, "application/octet-stream")
            await self._keep(found, [Item(EvidenceKind.CLIP, content, kind, self._clock.now())])
            await asyncio.to_thread(path.unlink)

    async def _await_clip(self, found: Round) -> None:
        """Wait for the clip's end, at most as long as it takes."""
        if found.first is None:
            return
        until = found.first.arrived_at + CLIP_S + CLIP_GRACE_S
        while self._tasks.running(f"clip {found.name}") and self._clock.monotonic() < until:
            await self._clock.sleep(0.1)

    # the end

    async def _keep_rest(self, found: Round, point: PointRecord) -> None:
        now, items = self._clock.now(), []
        if found.last is not None and found.last is not found.first:
            last = found.last
            items.append(Item(EvidenceKind.STILL, last.jpeg, JPEG, self._taken(last), phrases.STILL_LAST))
        if found.track is not None and found.track.sound:
            track = [[round(one.at - found.began, 2), one.db] for one in found.track.sound]
            items.append(Item(EvidenceKind.SOUND, _json({"unit": "dBFS", "track": track}), JSON, now))
        if found.track is not None and found.track.line:
            seconds = [asdict(one) | {"at": round(one.at - found.began, 1)} for one in line.seconds(found.track.line)]
            items.append(Item(EvidenceKind.SERIES, _json({"seconds": seconds}), JSON, now))
        items.append(Item(EvidenceKind.RECORD, _json(_record(found, point)), JSON, now))
        await self._keep(found, items)

    def _checks(self, found: Round, point: PointRecord) -> Sequence[Check]:
        now, at = self._clock.monotonic(), self._clock.now()
        track = found.track or Track()
        evidence = {
            CheckName.PICTURE: (*found.kept.get(EvidenceKind.STILL, ()), *found.kept.get(EvidenceKind.CLIP, ())),
            CheckName.SOUND: (*found.kept.get(EvidenceKind.SOUND, ()), *found.kept.get(EvidenceKind.CLIP, ())),
            CheckName.LINE: tuple(found.kept.get(EvidenceKind.SERIES, ())),
            CheckName.POWER: tuple(found.kept.get(EvidenceKind.RECORD, ())),
        }
        made = [
            checks.link(point, at),
            *checks.pictures(found.watch, point.told, now, at),
            checks.sound_check(tuple(track.sound), at),
            checks.line_check(line.seconds(track.line), at),
            checks.power(found.answer, at),
        ]
        note = phrases.UNKEPT.format(why="、".join(sorted(set(found.unkept)))) if found.unkept else ""
        return [
            one.model_copy(update={"evidence": evidence.get(one.name, ())[:20], "note": one.note or note})
            for one in made
        ]

    async def _drop(self, point: PointRecord) -> None:
        found = self._rounds.pop(_key(point), None)
        if found is None:
            return
        if found.track is not None:
            self._meter.leave(found.stream, found.track)
        await self._tasks.cancel(f"looks {found.name}")
        await self._close_clip(found)


def _key(point: PointRecord) -> tuple[str, str]:
    return point.roll_call_id, point.centre


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _record(found: Round, point: PointRecord) -> dict[str, Any]:
    """Return what was asked and answered, as it is known at the end of the round."""
    answer = None if found.answer is None else found.answer.model_dump(mode="json")
    times = {"rung_at": point.rung_at, "answered_at": point.answered_at}
    return {
        "stream": found.stream,
        "drill": found.drill,
        "attempts": point.attempts,
        "first_frame_s": point.first_frame_s,
        "frame_age_ms": point.frame_age_ms,
        "link": point.link,
        "looks": found.watch.looks,
        "challenge_seen": found.watch.challenge_seen,
        "clock_age_s": found.watch.clock_age_s(),
        "clock_off_s": round(found.watch.clock_off_s, 3),
        "answer": answer,
        **{name: None if at is None else at.isoformat() for name, at in times.items()},
    }


def _left(folder: Path) -> list[Path]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return sorted(folder.iterdir())
