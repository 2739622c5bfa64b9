"""Sensors in the judge's hand: signed reports to the agents' webhook, each answer taken down in the ledger."""

import asyncio
import hashlib
import hmac
import json
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gateway.demo.judge.ledger import Fate, Ledger
from protocols.alarm import CLEARED, RAISED

if TYPE_CHECKING:
    import httpx

_SENSORS = (("gas", "可燃气体", 2), ("level", "水位", 3), ("smoke", "烟雾", 1), ("flow", "流量", 4))


@dataclass(frozen=True, slots=True)
class Webhook:
    """One agent's intake."""

    node: str
    url: str
    secret: str


@dataclass(slots=True)
class _Key:
    alarm_key: str
    raised: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Sensors:
    """Posts raises and clears over all agents. The same seed posts the same reports in the same order."""

    def __init__(self, ledger: Ledger, webhooks: list[Webhook], run: str, seed: int) -> None:
        self._ledger = ledger
        self._webhooks = webhooks
        self._run = run
        # Not for secrets: a run is repeated with its seed.
        self._random = random.Random(seed)  # noqa: S311 - a seed that can be repeated, no secret
        self._keys: dict[tuple[str, int], _Key] = {}
        self._posts = 0

    async def burst(self, http: "httpx.AsyncClient", count: int, rate: float) -> None:
        """Post `count` reports at `rate` a second. An agent that does not answer delays only its own reports."""
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(self._post_next(http), name="post")
                await asyncio.sleep(1 / rate)

    async def keep_on(self, http: "httpx.AsyncClient", rate: float, stop: asyncio.Event) -> None:
        """Post at `rate` a second until told to stop."""
        while not stop.is_set():
            await self.burst(http, max(1, round(rate)), rate)

    async def _post_next(self, http: "httpx.AsyncClient") -> None:
        hook = self._random.choice(self._webhooks)
        number = self._random.randrange(8)
        key = self._keys.setdefault((hook.node, number), _Key(f"check-{self._run}/{number}"))
        # One sensor speaks in order; the number of a report is the order of its posts.
        async with key.lock:
            key.raised = not key.raised
            kind, name, severity = _SENSORS[number % len(_SENSORS)]
            self._posts += 1
            report = {
                "alarm_key": key.alarm_key,
                "sensor": f"{kind}-{number}",
                "severity": severity,
                "condition": "active" if key.raised else "cleared",
                "headline": f"{name}{'超限' if key.raised else '恢复'}（自检）",
                "label": "自检",
            }
            fate = await post(http, hook, report, f"{self._run}-{self._posts}")
            self._ledger.note(hook.node, key.alarm_key, RAISED if key.raised else CLEARED, fate)


async def post(http: "httpx.AsyncClient", hook: Webhook, report: dict[str, Any], key: str) -> Fate:
    """Post one signed report and return what the sensor was told."""
    import httpx

    body = json.dumps(report, ensure_ascii=False).encode()
    signature = hmac.new(hook.secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "content-type": "application/json",
        "x-silian-signature": f"sha256={signature}",
        "idempotency-key": key,
    }
    try:
        answer = await http.post(f"{hook.url}/ingest/alarms", content=body, headers=headers)
    except (httpx.ConnectError, httpx.ConnectTimeout):
        return Fate.REFUSED  # nothing was sent
    except httpx.HTTPError:
        return Fate.UNCERTAIN
    if answer.status_code == 202:
        return Fate.ACKNOWLEDGED
    return Fate.UNCERTAIN if answer.status_code >= 500 and answer.status_code != 507 else Fate.REFUSED
