"""What the judge can be asked to do, one method each; every fault found is kept for the verdict."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.demo.judge import rolls, talks
from gateway.demo.judge.eye import Look, look
from gateway.demo.judge.ledger import Fate, Finding, Ledger, Seen, same_events
from gateway.demo.judge.sensors import Sensors, Webhook
from gateway.demo.judge.tier import Tier, until
from protocols.aio.testcard import CHINA
from protocols.alarm import CLEARED, RAISED
from protocols.errors import SilianError

ABOVE = (("320623", "320600"), ("320600", "320000"), ("320000", "000000"))
COUNTY = "320623"


class Bench:
    """The judge at work. `places` is the content of `demo.json`: addresses, accounts and sensor secrets."""

    def __init__(self, places: dict[str, Any], seed: int, stack: contextlib.AsyncExitStack) -> None:
        self.places = places
        self.seed = seed
        self.faults: list[str] = []
        self.figures: dict[str, Any] = {}
        self.ledger = Ledger()
        self.tiers: dict[str, Tier] = {}
        self._stack = stack
        self._cursors: dict[str, str | None] = {}
        self._logs: dict[str, list[Seen]] = {}
        self._joins: dict[str, list[float]] = {}
        self._stop = asyncio.Event()
        self._settled: dict[str, list[Seen]] = {}
        self._warnings: list[tuple[str, str]] = []
        self._posting: asyncio.Task[None] | None = None

    async def begin(self) -> dict[str, Any]:
        """Log in at every tier and remember where each log ends now."""
        import httpx

        for code, place in self.places["gateways"].items():
            user = place["users"]["dispatcher"]
            tier = await self._stack.enter_async_context(Tier(code, place["url"], user["username"], user["password"]))
            self.tiers[code] = tier
        # From the top down: what arrives meanwhile then stands in a tier's log and in those above, never below alone.
        for code in sorted(self.tiers, key=lambda code: len(_path(code))):
            _, self._cursors[code] = await self.tiers[code].log_since(None)
            self._logs[code] = []
            self._settled[code] = []
        self.http: httpx.AsyncClient = await self._stack.enter_async_context(
            httpx.AsyncClient(trust_env=False, timeout=10.0)
        )
        hooks = [Webhook(n, a["webhook"], a["secret"]) for n, a in self.places["agents"].items()]
        self._group = await self._stack.enter_async_context(asyncio.TaskGroup())
        self._sensors = Sensors(self.ledger, hooks, f"{time.time_ns() // 1_000_000:x}", self.seed)
        return {"tiers": sorted(self.tiers)}

    def fault(self, sentence: str) -> None:
        """Take down something lost, doubled or untrue."""
        self.faults.append(sentence)

    async def pictures(self, code: str, streams: list[str], joins: int, limit_s: float = 15.0) -> dict[str, Any]:
        """Join `streams` in turn at one gateway; each picture must show its own county, now."""
        tier, times = self.tiers[code], self._joins.setdefault(code, [])
        order = [streams[number % len(streams)] for number in range(joins)]
        random.Random(self.seed).shuffle(order)  # noqa: S311 - repeatable, not secret
        for stream in order:
            try:
                seen = await self.see(tier, stream, limit_s)
            except (TimeoutError, SilianError) as error:
                self.fault(f"{code}: no picture of {stream} within {limit_s:.0f} s ({type(error).__name__} {error})")
                continue
            times.append(seen.first_picture_s)
            wrong = seen.fault(stream[:6]) if self._has_mark(stream) else None
            if wrong:
                self.fault(f"{code}: {stream}: {wrong}")
        return {"joins": len(times), "max_s": max(times, default=None), "p95_s": percentile(times, 0.95)}

    async def picture_back(self, code: str, stream: str, limit_s: float) -> dict[str, Any]:
        """Join again and again until a fresh picture comes; say how long it took."""
        tier, started = self.tiers[code], time.monotonic()
        while time.monotonic() - started < limit_s:
            with contextlib.suppress(TimeoutError, SilianError, _http_error()):
                seen = await self.see(tier, stream, 4.0)
                if seen.fault(stream[:6]) is None:
                    return {"seconds": time.monotonic() - started}
            await asyncio.sleep(0.3)
        self.fault(f"{code}: the picture of {stream} did not come back within {limit_s:.0f} s")
        return {"seconds": None}

    async def watch(self, codes: list[str], stream: str, viewers: int, seconds: float) -> dict[str, Any]:
        """Have `viewers` look at one stream at each of these gateways for some seconds; say what each decoded."""

        async def one(code: str) -> int:
            try:
                return (await self.see(self.tiers[code], stream, 20.0, stay_s=seconds)).frames
            except (TimeoutError, SilianError) as error:
                self.fault(f"{code}: a viewer of {stream} lost it ({type(error).__name__} {error})")
                return 0

        frames = await asyncio.gather(*(one(code) for code in codes for _ in range(viewers)))
        return {"frames": frames}

    async def see(self, tier: Tier, stream: str, limit_s: float, stay_s: float = 0.0) -> Look:
        """Play one stream as a user does. Raises TimeoutError, LinkError."""
        centre, camera = stream.split("/")
        played = (await tier.call("POST", f"/api/v1/cameras/{centre}/{camera}/play")).json()
        return await look(absolute(tier, played["whep_url"]), played["token"], limit_s=limit_s, stay_s=stay_s)

    async def alarms(self, count: int, rate: float) -> dict[str, Any]:
        """Post a burst of reports over all agents."""
        await self._sensors.burst(self.http, count, rate)
        return self._posted()

    async def alarms_on(self, rate: float) -> dict[str, Any]:
        """Keep on posting in the background."""
        self._stop.clear()
        posting = self._sensors.keep_on(self.http, rate, self._stop)
        self._posting = self._group.create_task(posting, name="posting")
        return {}

    async def alarms_off(self) -> dict[str, Any]:
        """Stop posting and wait for the last answers."""
        self._stop.set()
        if self._posting is not None:
            await self._posting
            self._posting = None
        return self._posted()

    async def cap(self, code: str, path: str) -> dict[str, Any]:
        """Post a public warning (CAP 1.2; `{number}` and `{sent}` are filled in) and note its events."""
        tier = self.tiers[code]
        place = self.places["gateways"][code]["users"]
        text = await asyncio.to_thread(Path(path).read_text, "utf-8")
        sent = datetime.now(CHINA).isoformat(timespec="seconds")
        body = text.replace("{number}", str(time.time_ns())).replace("{sent}", sent).encode()
        async with Tier(
            code, tier.url, place["duty_officer"]["username"], place["duty_officer"]["password"]
        ) as officer:
            ids = (await officer.call("POST", "/api/v1/cap", body, kind="application/cap+xml")).json()["event_ids"]
        self._warnings.extend((code, event_id) for event_id in ids)
        return {"events": len(ids)}

    async def settle(self, limit_s: float) -> dict[str, Any]:
        """Wait until every tier shows what was acknowledged, then judge all logs and states."""
        _, seconds = await until(self._all_here, limit_s, 1.0)
        result: dict[str, Any] = {"seconds": seconds, **self._posted()}
        for code, log in self._logs.items():
            ledger = self._due(code)
            finding = ledger.compare(log)
            await self._states(ledger, code, finding.untrue)
            self._missing_warnings(code, finding)
            result[code] = {"events": len(log), **self._keep(code, finding)}
        self._note_climb()
        for below, above in ABOVE:
            # What came in since the last look has had no time to climb.
            where = f"{below}->{above}"
            result[where] = self._keep(where, same_events(self._settled[below], self._logs[above]))
        return result

    async def link(self, node: str, status: str, codes: list[str], limit_s: float) -> dict[str, Any]:
        """Wait until these tiers show the link of `node` in this state; a tier that never does tells an untruth."""
        found: dict[str, Any] = {}
        for code in codes:

            async def shown(tier: Tier = self.tiers[code]) -> dict[str, Any] | None:
                link = (await tier.links()).get(node)
                return link if link is not None and link["status"] == status else None

            link, seconds = await until(shown, limit_s)
            found[code] = {"seconds": seconds, "reason": link["reason"] if link else None}
            if link is None:
                self.fault(f"{code}: the link of {node} is not shown as {status}")
            elif status == "down" and not link["reason"]:
                self.fault(f"{code}: the link of {node} is down without a reason")
        return found

    async def roll_call(self, code: str, expect: dict[str, str]) -> dict[str, Any]:
        """Call the roll; `expect` names for each centre `present` or the reason of its absence."""
        return await rolls.roll_call(self, self.tiers[code], expect)

    async def spot_check(self, code: str, between: list[str], stream: str) -> dict[str, Any]:
        """Check a county unannounced from `code`; the tiers `between` must say so, its picture must be seen above."""
        return await rolls.spot_check(self, self.tiers[code], [self.tiers[one] for one in between], stream)

    async def call(self, code: str, centre: str) -> dict[str, Any]:
        """Call a county whose agent answers; mark and tone must come through."""
        return await talks.call_agent(self, self.tiers[code], centre)

    async def call_console(self, code: str, centre: str) -> dict[str, Any]:
        """Call a county with people; the judge answers at its console too."""
        return await talks.call_console(self, self.tiers[code], self.tiers[centre])

    async def verdict(self) -> dict[str, Any]:
        """Return faults and figures; the program's exit code follows from it."""
        for code, name in (("320600", "tier1"), ("000000", "tier4")):
            times = self._joins.get(code, [])
            if not times:
                continue
            key = f"first_picture_{name}"
            self.figures[f"samples_{key}_p95_s"] = len(times)
            self.figures[f"{key}_p95_s" if len(times) >= 50 else f"{key}_max_s"] = (
                percentile(times, 0.95) if len(times) >= 50 else max(times)
            )
            self.figures[f"{key}_median_s"] = percentile(times, 0.5)
        return {"faults": self.faults, "figures": {**self.figures, **self._posted()}, "good": not self.faults}

    def _has_mark(self, stream: str) -> bool:
        return bool(self.places["cameras"].get(stream, {}).get("mark", True))

    def _posted(self) -> dict[str, Any]:
        fates = Counter(report.fate for report in self.ledger.posted)
        return {f"alarms_{fate.value}": fates[fate] for fate in Fate}

    def _keep(self, where: str, finding: Finding) -> dict[str, Any]:
        summary = finding.summary()
        for kind in ("lost", "doubled", "out_of_order", "untrue"):
            name = f"alarms_{kind}"
            self.figures[name] = self.figures.get(name, 0) + summary[kind]
            if summary[kind]:
                self.fault(f"{where}: {summary[kind]} alarms {kind}: {'; '.join(summary['first'])}")
        return summary

    def _note_climb(self) -> None:
        """Note once, before anything was disturbed, how long alarms took from the county's disk to the nation's."""
        ours = {(report.source, report.alarm_key) for report in self.ledger.posted}
        times = [s.climbed_s * 1000 for s in self._logs["000000"] if (s.source, s.alarm_key) in ours]
        if "samples_alarm_four_tiers_p99_ms" not in self.figures and len(times) >= 50:
            self.figures["samples_alarm_four_tiers_p99_ms"] = len(times)
            self.figures["alarm_four_tiers_p50_ms"] = percentile(times, 0.5)
            self.figures["alarm_four_tiers_p99_ms"] = percentile(times, 0.99)

    def _due(self, code: str) -> Ledger:
        return self.ledger.of_centre(code) if code == COUNTY else self.ledger

    def _missing_warnings(self, code: str, finding: Finding) -> None:
        times = Counter(seen.event_id for seen in self._logs[code])
        for origin, event_id in self._warnings:
            if code in _path(origin) and not times[event_id]:
                finding.lost.append(f"public warning {event_id} of {origin}")

    async def _states(self, ledger: Ledger, code: str, untrue: list[str]) -> None:
        conditions = await self.tiers[code].conditions()
        word = {RAISED: "active", CLEARED: "cleared"}
        for (source, key), type_ in ledger.last_conditions().items():
            shown = conditions.get((source, key))
            if shown != word[type_]:
                untrue.append(f"{source} {key} is shown {shown}, the sensor said {word[type_]}")

    async def _read_logs(self) -> None:
        self._settled = {code: list(log) for code, log in self._logs.items()}
        for code, tier in self.tiers.items():
            fresh, self._cursors[code] = await tier.log_since(self._cursors[code])
            self._logs[code].extend(fresh)

    async def _all_here(self) -> bool:
        await self._read_logs()
        for code, log in self._logs.items():
            finding = self._due(code).compare(log)
            self._missing_warnings(code, finding)
            if finding.lost:
                return False
        return not any(same_events(self._settled[below], self._logs[above]).lost for below, above in ABOVE)


def _path(code: str) -> list[str]:
    upward = dict(ABOVE)
    path = [code]
    while path[-1] in upward:
        path.append(upward[path[-1]])
    return path


def percentile(values: list[float], part: float) -> float | None:
    """Return the nearest-rank percentile, None of nothing."""
    if not values:
        return None
    return sorted(values)[max(0, -(-int(part * 100) * len(values) // 100) - 1)]


def absolute(tier: Tier, url: str) -> str:
    """Return an address for a path or an address that the API gave."""
    return f"{tier.url}{url}" if url.startswith("/") else url


def _http_error() -> type[Exception]:
    import httpx

    return httpx.HTTPError
