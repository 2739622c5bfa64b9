"""Looks at feeds of public warnings again and again (Atom with CAP), and tells when one fails or stands still.

**Only configured hosts are asked**: the feed's own, and those its setting names; redirects are not followed. A look
that brought nothing new costs one conditional request (ETag, If-Modified-Since; RFC 9110 section 13). An entry that
cannot be fetched is asked for again at the next look, one that is refused is not: its bytes will not change.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from urllib.parse import urlsplit

import httpx

from gateway.alarms.atom import Entry, Feed, read_feed
from gateway.alarms.cap import MAX_BYTES, parse
from gateway.metrics import Metrics
from gateway.settings import FeedSection
from protocols.aio.clock import Clock
from protocols.alarm import RAISED, AlarmData, Severity
from protocols.errors import BadInputError, LinkError, NotAllowedError, NotFoundError, SilianError, TooLargeError

logger = logging.getLogger(__name__)
FEED_BYTES = 4 * 1024 * 1024
TIMEOUT_S = 20.0
FAILS = 3
"""So many bad looks in a row are an alarm: one lost packet is none."""


class Taker(Protocol):
    """Takes messages (`Bulletins`)."""

    async def take(self, xml: bytes) -> list[str]:
        """Take one message."""
        ...


class Reporter(Protocol):
    """Raises and ends alarms of this gateway (`Alarms`)."""

    @property
    def centre(self) -> str:
        """This gateway's own centre."""
        ...

    async def report(self, type_: str, data: AlarmData) -> str:
        """Raise one."""
        ...

    async def end_own(self, alarm_key: str) -> bool:
        """End one that stands."""
        ...


@dataclass(slots=True)
class _Known:
    """What is remembered of a feed between two looks."""

    wanted: FeedSection
    etag: str | None = None
    modified: str | None = None
    seen: dict[str, str] = field(default_factory=dict)
    fails: int = 0
    good_at: datetime | None = None
    updated: datetime | None = None
    raised: dict[str, bool] = field(default_factory=dict)


class Feeds:
    """Run `run` as a supervised task."""

    def __init__(
        self,
        wanted: Sequence[FeedSection],
        bulletins: Taker,
        alarms: Reporter,
        clock: Clock,
        metrics: Metrics,
        *,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._bulletins = bulletins
        self._alarms = alarms
        self._clock = clock
        self._metrics = metrics
        self._trust: ssl.SSLContext | bool = trust or True
        self._known = [_Known(one) for one in wanted]
        metrics.live("warning_feed_last_success_timestamp_seconds", lambda: self._stamps(lambda one: one.good_at))
        metrics.live("warning_feed_updated_timestamp_seconds", lambda: self._stamps(lambda one: one.updated))

    def _stamps(self, of: Callable[[_Known], datetime | None]) -> list[tuple[tuple[str, ...], float]]:
        times = [(known.wanted.name, of(known)) for known in self._known]
        return [((name,), at.timestamp()) for name, at in times if at is not None]

    async def run(self) -> None:
        """Look at all feeds for ever, each at its own pace."""
        async with asyncio.TaskGroup() as group:
            for known in self._known:
                group.create_task(self._watch(known), name=f"feed[{known.wanted.name}]")

    async def _watch(self, known: _Known) -> None:
        while True:
            await self.look(known)
            await self._clock.sleep(known.wanted.every_s)

    async def look_at_all(self) -> None:
        """Look at each feed once."""
        for known in self._known:
            await self.look(known)

    async def look(self, known: _Known) -> None:
        """Look at one feed once; never raises for what the feed does."""
        name = known.wanted.name
        try:
            async with httpx.AsyncClient(verify=self._trust, timeout=TIMEOUT_S, follow_redirects=False) as client:
                outcome = await self._read(client, known)
        except SilianError as error:
            known.fails += 1
            outcome = "failed"
            logger.warning("feed failed", extra={"feed": name, "why": str(error), "times": known.fails})
            if known.fails >= FAILS:
                await self._tell(known, "failing", f"预警源 {name} 读取失败", str(error), stands=True)
        else:
            known.fails, known.good_at = 0, self._clock.now()
            await self._tell(known, "failing", "", "", stands=False)
            await self._judge_age(known)
        self._metrics.count("warning_feed_polls_total", feed=name, outcome=outcome)

    async def _judge_age(self, known: _Known) -> None:
        if known.updated is None:
            return
        age = (self._clock.now() - known.updated).total_seconds()
        why = f"The feed's own time is {known.updated.isoformat()}; ask its operator whether it still runs."
        still = age > known.wanted.stale_after_s
        await self._tell(known, "still", f"预警源 {known.wanted.name} 停止更新", why, stands=still)

    async def _tell(self, known: _Known, what: str, headline: str, why: str, *, stands: bool) -> None:
        """Raise or end an alarm where that changed; the first look also ends what an earlier process left standing."""
        if known.raised.get(what) is stands:
            return
        key = f"feed/{known.wanted.name}/{what}"
        if stands:
            data = AlarmData(
                alarm_key=key,
                centre=self._alarms.centre,
                sensor=f"feed-{known.wanted.name}",
                event_type="dev.feed",
                severity=Severity.YELLOW,
                headline=headline,
                detail=why[:4000],
                observed_at=self._clock.now(),
            )
            await self._alarms.report(RAISED, data)
        else:
            await self._alarms.end_own(key)
        known.raised[what] = stands

    async def _read(self, client: httpx.AsyncClient, known: _Known) -> str:
        wanted = {"If-None-Match": known.etag, "If-Modified-Since": known.modified}
        headers = {name: value for name, value in wanted.items() if value is not None}
        url = known.wanted.url
        body, answer = await self._get(client, url, FEED_BYTES, headers)
        if answer.status_code == httpx.codes.NOT_MODIFIED:
            return "unchanged"
        feed = await asyncio.to_thread(read_feed, body, url)
        if feed.cut:
            self._count(known, "left_out", feed.cut)
        whole = await self._take_new(client, known, feed)
        # With something still missing the next answer must not be "not modified".
        known.etag = answer.headers.get("etag") if whole else None
        known.modified = answer.headers.get("last-modified") if whole else None
        known.updated = feed.updated
        return "read"

    async def _take_new(self, client: httpx.AsyncClient, known: _Known, feed: Feed) -> bool:
        """Take the entries that are new; returns whether none is left for the next look."""
        whole = True
        for entry in feed.entries:
            if known.seen.get(entry.id) == entry.updated and entry.updated:
                continue
            outcome = await self._take(client, known, entry)
            self._count(known, outcome)
            if outcome == "unreachable":
                whole = False
            else:
                known.seen[entry.id] = entry.updated
        present = {entry.id for entry in feed.entries}
        known.seen = {id_: at for id_, at in known.seen.items() if id_ in present}
        return whole

    async def _take(self, client: httpx.AsyncClient, known: _Known, entry: Entry) -> str:
        where = {"feed": known.wanted.name, "entry": entry.id[:200]}
        try:
            document = entry.document if entry.document is not None else await self._fetch(client, known, entry)
            info = (await asyncio.to_thread(parse, document)).info
            if info is not None and info.expires is not None and info.expires <= self._clock.now():
                logger.info("feed entry expired before it was read", extra=where)
                return "expired"
            await self._bulletins.take(document)
        except LinkError as error:
            logger.warning("feed entry not reached", extra=where | {"why": str(error)})
            return "unreachable"
        except NotAllowedError as error:
            logger.warning("feed entry on a foreign host", extra=where | {"why": str(error)})
            return "foreign_host"
        except (BadInputError, NotFoundError) as error:
            logger.warning("feed entry refused", extra=where | {"why": str(error)})
            return "refused"
        except Exception:
            # Stored at the same moment by another replica, or a fault of ours: the other entries must not wait for it.
            logger.exception("feed entry not taken", extra=where)
            return "unreachable"
        return "taken"

    async def _fetch(self, client: httpx.AsyncClient, known: _Known, entry: Entry) -> bytes:
        if entry.link is None:
            raise BadInputError("the entry holds no message and names none")
        place, own = urlsplit(entry.link), urlsplit(known.wanted.url)
        allowed = place.netloc == own.netloc or place.hostname in known.wanted.hosts
        if place.scheme not in {"http", "https"} or not allowed:
            raise NotAllowedError(
                f"{place.netloc} is not among the hosts of feed {known.wanted.name}; see warning.feeds"
            )
        body, _ = await self._get(client, entry.link, MAX_BYTES, {})
        return body

    async def _get(
        self, client: httpx.AsyncClient, url: str, limit: int, headers: dict[str, str]
    ) -> tuple[bytes, httpx.Response]:
        """Read at most `limit` bytes; raises LinkError for no or a bad answer, TooLargeError."""
        body = bytearray()
        try:
            plain = headers | {"Accept-Encoding": "identity"}
            async with asyncio.timeout(TIMEOUT_S), client.stream("GET", url, headers=plain) as answer:
                if answer.status_code not in {httpx.codes.OK, httpx.codes.NOT_MODIFIED}:
                    raise LinkError(f"{url} answers HTTP {answer.status_code}")
                # Raw: a packed answer could unfold to a thousand times its size within one part.
                if "content-encoding" in answer.headers:
                    raise LinkError(f"{url} answers packed, though it was asked for plain bytes")
                async for part in answer.aiter_raw():
                    body += part
                    if len(body) > limit:
                        raise TooLargeError(f"{url} has more than {limit} bytes")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise LinkError(f"{url}: {type(error).__name__} {error}".strip()) from None
        return bytes(body), answer

    def _count(self, known: _Known, outcome: str, by: int = 1) -> None:
        self._metrics.count("warning_feed_entries_total", by, feed=known.wanted.name, outcome=outcome)
