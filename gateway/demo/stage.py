"""The stage: starts everything in an order that gives the first picture early, and writes `demo.json`.

The city and the first county come first, because that is the screen a newcomer opens; the tiers above follow while
the picture already runs. Two cores start eleven programs: more at once would delay the first picture.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.demo import prometheus
from gateway.demo.accounts import load_secrets, provision
from gateway.demo.configs import ConfigFiles, base_url, cameras
from gateway.demo.cutline import CutLine
from gateway.demo.family import Family
from gateway.demo.film import make_film
from gateway.demo.state import StateDir
from gateway.demo.topology import CITY, FILM_COUNTY, GATEWAYS, PROVINCE, RTSP_COUNTY, STAFFED_COUNTY, Plan
from protocols.errors import ConfigError
from protocols.ids import NATION

if TYPE_CHECKING:
    import httpx

READY_LIMIT_S = 180.0
KEEP_LOGINS = timedelta(hours=4)
"""A login of an earlier run is used again if it is younger; a gateway ends it after 12 hours."""
Say = Callable[[str], None]


class Stage:
    """One running demo. `open` starts all; the family ends it."""

    def __init__(self, plan: Plan, state: StateDir, family: Family, say: Say, *, check: bool) -> None:
        self.plan = plan
        self.state = state
        self.family = family
        self.files = ConfigFiles(plan, state)
        self.secrets: dict[str, Any] = {}
        self.tokens: dict[str, dict[str, str | None]] = {}
        self.started_at = self.logged_in_at = datetime.now(UTC)
        self._last_places: dict[str, Any] | None = state.read_json("demo.json")
        self._say = say
        self._check = check
        self._began = time.monotonic()
        self._prometheus = prometheus.find_prometheus()
        self.line = CutLine(plan.cut_line, plan.gateway(CITY).broker)

    async def open(self) -> None:
        """Start everything; raises ConfigError where a part does not come up."""
        import httpx

        self.files.write_all(check=self._check)
        nodes = [agent.node for agent in self.plan.agents]
        self.secrets = load_secrets(self.state, GATEWAYS, nodes)
        for node, secret in self.secrets["webhooks"].items():
            _write_private(self.files.secret_file(node), secret)
            _write_private(self.files.pin_file(node), self.secrets["pins"][node])
        await self._provision()
        if self._check:
            await self.line.mend()
        self.family.on_change = self.write_places
        async with httpx.AsyncClient(trust_env=False, timeout=5.0, verify=False) as http:  # noqa: S501 - own demo
            await self._open_in_order(http)
            await self._log_in(http)
        self.write_places()

    async def _open_in_order(self, http: "httpx.AsyncClient") -> None:
        self._start_gateway(CITY)
        # Any county without the film, which is rendered below at the very first start.
        first = [a.node for a in self.plan.agents if a.gateway == CITY and a.centre != FILM_COUNTY]
        for node in first[:1]:
            self._start_agent(node)
        await self._ready(http, CITY)
        self._tell("city", f"市级控制台已就绪 {base_url(self.plan, self.plan.gateway(CITY))}")
        for pair in ((PROVINCE, NATION), (STAFFED_COUNTY,)):
            for code in pair:
                self._start_gateway(code)
            for code in pair:
                await self._ready(http, code)
        self.family.start("rtsp-camera", [sys.executable, "-m", "gateway.demo.rtsp_camera", *self._rtsp_arguments()])
        await asyncio.to_thread(make_film, self.files.film)
        for agent in self.plan.agents:
            if agent.node not in first[:1]:
                self._start_agent(agent.node)
        if self._prometheus is not None:
            self.family.start("prometheus", prometheus.command(self._prometheus, self.plan, self.state))
        for agent in self.plan.agents:
            await self._alive(http, agent.node, f"http://127.0.0.1:{agent.management}/healthz")
        self._tell("all", "四级节点全部启动")

    def _start_gateway(self, code: str) -> None:
        file = self.files.gateway_file(code)
        self.family.start(f"gateway-{code}", [sys.executable, "-m", "gateway", "serve", "-c", str(file)])

    def _start_agent(self, node: str) -> None:
        file = self.files.agent_file(node)
        self.family.start(f"agent-{node}", [sys.executable, "-m", "edge_agent", "run", "-c", str(file)])

    def _rtsp_arguments(self) -> list[str]:
        return ["--port", str(self.plan.rtsp), "--path", "street", "--centre", RTSP_COUNTY]

    async def _provision(self) -> None:
        done: list[str] = self.state.read_json("provisioned.json") or []
        wishes = {code: [n for n in self._below(code) if f"{code}>{n}" not in done] for code in GATEWAYS}
        due = {code: nodes for code, nodes in wishes.items() if nodes or code not in done}
        if due:
            self._tell("provision", f"首次启动：正在为 {' '.join(due)} 建库、签发证书与账号")
        # Two at a time: that is what the smallest machine has cores for.
        codes = list(due)
        for pair in (codes[:2], codes[2:]):
            made = await asyncio.gather(*(provision(self.files, c, self.secrets["users"][c], due[c]) for c in pair))
            for code, answer in zip(pair, made, strict=True):
                for node, token in answer["tokens"].items():
                    _write_private(self.files.token_file(node), token)
                done += [code, *(f"{code}>{node}" for node in due[code])]
        self.state.write_json("provisioned.json", sorted(set(done)))

    def _below(self, code: str) -> list[str]:
        agents = [agent.node for agent in self.plan.agents if agent.gateway == code]
        return [*agents, *(gateway.code for gateway in self.plan.gateways if gateway.parent == code)]

    async def _ready(self, http: "httpx.AsyncClient", code: str) -> None:
        url = f"{base_url(self.plan, self.plan.gateway(code))}/readyz"
        await self._alive(http, f"gateway-{code}", url)

    async def _alive(self, http: "httpx.AsyncClient", name: str, url: str) -> None:
        import httpx

        name = name if name.startswith("gateway-") else f"agent-{name}"
        deadline = time.monotonic() + READY_LIMIT_S
        while time.monotonic() < deadline:
            try:
                if (await http.get(url)).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            if self.family.children[name].quick_deaths >= 3:
                break
            await asyncio.sleep(0.1)
        child = self.family.children[name]
        raise ConfigError(f"{name} 未能启动（did not come up），日志 {child.log}：\n{child.tail()}")

    async def _log_in(self, http: "httpx.AsyncClient") -> None:
        known = self._fresh_tokens()
        for gateway in self.plan.gateways:
            url = f"{base_url(self.plan, gateway)}/api/v1/session"
            for role, password in self.secrets["users"][gateway.code].items():
                token = known.get(gateway.code, {}).get(role)
                # Passwords are checked slowly on purpose: a login of the last run that still stands spares that.
                if token is None or (await http.get(url, headers={"authorization": f"Bearer {token}"})).is_error:
                    token = await self._token(http, url, role, password)
                self.tokens.setdefault(gateway.code, {})[role] = token

    async def _token(self, http: "httpx.AsyncClient", url: str, role: str, password: str) -> str | None:
        answer = await http.post(url, json={"username": role, "password": password}, timeout=30.0)
        if answer.status_code != 200:
            self._say(f"{url}: {role} 登录失败 login failed: {answer.status_code} {answer.text[:200]}")
            return None
        return str(answer.json()["token"])

    def _fresh_tokens(self) -> dict[str, dict[str, str]]:
        """Return the logins of the last run where they will live on for hours."""
        last = self._last_places or {}
        began = last.get("logged_in_at")
        if began is None or datetime.now(UTC) - datetime.fromisoformat(began) > KEEP_LOGINS:
            return {}
        self.logged_in_at = datetime.fromisoformat(began)
        return {
            code: {role: user["token"] for role, user in place["users"].items()}
            for code, place in last["gateways"].items()
        }

    def write_places(self) -> None:
        """Write `demo.json`: every address, account, process id and log."""
        children = self.family.children
        self.state.write_json(
            "demo.json",
            {
                "started_at": self.started_at.isoformat(),
                "logged_in_at": self.logged_in_at.isoformat(),
                "pid": os.getpid(),
                "state_dir": str(self.state.path),
                "gateways": {g.code: self._gateway_place(g.code) for g in self.plan.gateways},
                "agents": {a.node: self._agent_place(a.node) for a in self.plan.agents},
                "cameras": {c.stream: {"kind": c.kind, "label": c.label, "mark": c.mark} for c in cameras(self.plan)},
                "prometheus": self._prometheus_place(),
                "processes": {
                    n: {"pid": c.pid, "restarts": c.restarts, "log": str(c.log)} for n, c in children.items()
                },
            },
        )

    def _gateway_place(self, code: str) -> dict[str, Any]:
        gateway, child = self.plan.gateway(code), self.family.children.get(f"gateway-{code}")
        tokens = self.tokens.get(code, {})
        return {
            "name": gateway.name,
            "tier": gateway.tier.value,
            "url": base_url(self.plan, gateway),
            "management": f"http://127.0.0.1:{gateway.management}",
            "broker_port": gateway.broker,
            "media_port": gateway.media,
            "pid": child.pid if child else None,
            "users": {
                role: {"username": role, "password": password, "token": tokens.get(role)}
                for role, password in self.secrets["users"][code].items()
            },
        }

    def _agent_place(self, node: str) -> dict[str, Any]:
        agent = next(a for a in self.plan.agents if a.node == node)
        child = self.family.children.get(f"agent-{node}")
        return {
            "centre": agent.centre,
            "gateway": agent.gateway,
            "webhook": f"http://127.0.0.1:{agent.webhook}",
            "secret": self.secrets["webhooks"][node],
            "management": f"http://127.0.0.1:{agent.management}",
            "answer_page": {"url": f"http://127.0.0.1:{agent.answer_page}", "pin": self.secrets["pins"][node]},
            "heard": str(self.files.heard_file(node)),
            "faults": str(self.files.fault_file(node)),
            "pid": child.pid if child else None,
        }

    def _prometheus_place(self) -> dict[str, Any]:
        if self._prometheus is None:
            return {"url": None, "missing": prometheus.MISSING}
        child = self.family.children.get("prometheus")
        return {"url": f"http://127.0.0.1:{self.plan.prometheus}", "pid": child.pid if child else None}

    def _tell(self, what: str, words: str) -> None:
        self._say(f"[{time.monotonic() - self._began:5.1f} s] {words} ({what})")


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
