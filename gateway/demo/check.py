"""The check of `silian demo --check`: disturbs the running demo and has the judge look at what comes of it.

**The demo only breaks and mends; whether the result is good is said by the judge alone**, a process of its own that
sees the public API, the sensors' answers, the pixels and the sound.
"""

import asyncio
import json
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gateway.demo.configs import HALL
from gateway.demo.cutline import CutLine
from gateway.demo.family import die_with_parent
from gateway.demo.stage import Stage
from gateway.demo.topology import (
    CITY,
    CUT_COUNTY,
    FILM_COUNTY,
    FROZEN_COUNTY,
    GATEWAYS,
    PROVINCE,
    RTSP_COUNTY,
    STAFFED_COUNTY,
)
from protocols.ids import NATION

SEED = 20261120
JOINS = 56
"""Eight joins of each of seven counties: enough for a percentile (design section 7)."""
ALARMS = 400
FROZEN_SHOWS_S = 12.0
"""A frozen picture is called frozen after 8 s; the rest is the watch's own rhythm."""
CAP_FILE = Path(__file__).with_name("warning.xml")
Say = Callable[[str], None]


class Judge:
    """The judge's process; `ask` gives one order and returns its answer."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, places: Path, log: Path, seed: int, prefix: Sequence[str] = ()) -> "Judge":
        """Start the program on a `demo.json`; `prefix` is a command that leads to where the demo runs."""
        with log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *prefix,
                sys.executable,
                "-m",
                "gateway.demo.judge",
                "--demo",
                str(places),
                "--seed",
                str(seed),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                limit=1 << 24,
                preexec_fn=die_with_parent(),
            )
        return cls(process)

    async def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Give one order; an answer that does not come is a failed check."""
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError("the judge is started with pipes")
        self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        await self._process.stdin.drain()
        line = await self._process.stdout.readline()
        if not line:
            return {"error": f"the judge ended with {await self._process.wait()}"}
        answer: dict[str, Any] = json.loads(line)["result"]
        return answer

    async def finish(self) -> int:
        """Return the exit code, which is the verdict."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        return await self._process.wait()


class Check:
    """One run of all steps. `rows` is the printed table."""

    def __init__(self, stage: Stage, judge: Judge, line: CutLine | None, say: Say) -> None:
        self.stage = stage
        self.judge = judge
        self.line = line
        self.rows: list[tuple[str, str]] = []
        self.figures: dict[str, Any] = {}
        self.centres = [agent.centre for agent in stage.plan.agents]
        self._say = say

    async def run(self) -> None:
        """Do everything in order; a step that breaks off is a fault in the judge's book, and the next one follows."""
        await self.judge.ask("begin")
        await self._links_up()
        await self._pictures()
        await self._alarms()
        await self._spot_check()
        if self.line is not None:
            await self._disturbed_roll_call(self.line)
        await self._killed_city()
        await self._calls()

    async def _links_up(self) -> None:
        for agent in self.stage.plan.agents:
            await self.judge.ask("link", node=agent.node, status="up", codes=[CITY, PROVINCE, NATION], limit_s=60)
        self._row("链路 links", f"{len(self.centres)} 县在三级均显示连通 counties up at three tiers")

    async def _pictures(self) -> None:
        halls = [f"{centre}/{HALL}" for centre in self.centres]
        joins = max(JOINS, len(halls)) if len(halls) == 7 else 2 * len(halls)
        for code, number in ((CITY, joins), (PROVINCE, len(halls)), (NATION, joins)):
            found = await self.judge.ask("pictures", code=code, streams=halls, joins=number)
            self._row(
                f"首帧 first picture {code}", _seconds(found, "p95_s", "max_s") + f"（{found.get('joins')} 次 joins）"
            )
        others = [f"{RTSP_COUNTY}/street", f"{FILM_COUNTY}/river"]
        others = [stream for stream in others if stream[:6] in self.centres]
        if others:
            found = await self.judge.ask("pictures", code=NATION, streams=others, joins=2 * len(others))
            self._row("RTSP 与录像 RTSP and film 000000", _seconds(found, "max_s"))
        own = await self.judge.ask("pictures", code=STAFFED_COUNTY, streams=[f"{STAFFED_COUNTY}/{HALL}"], joins=3)
        self._row("如东本级首帧 first picture 320623", _seconds(own, "max_s"))

    async def _alarms(self) -> None:
        warned = await self.judge.ask("cap", code=CITY, path=str(CAP_FILE))
        self._row("预警 CAP", f"{warned.get('events')} 条 events")
        await self.judge.ask("alarms", count=ALARMS, rate=40)
        await self._settle("四级告警 alarms")

    async def _settle(self, what: str) -> None:
        found = await self.judge.ask("settle", limit_s=90)
        tiers = ", ".join(f"{code} {found[code]['events']}" for code in GATEWAYS if code in found)
        told = found.get("alarms_acknowledged")
        self._row(what, f"已确认 {told} acknowledged；{tiers}；{found.get('seconds', 0):.1f} s")

    async def _spot_check(self) -> None:
        county = next((one for one in self.centres if one not in {CUT_COUNTY, FROZEN_COUNTY}), self.centres[0])
        found = await self.judge.ask("spot_check", code=NATION, between=[PROVINCE, CITY], stream=f"{county}/{HALL}")
        self._row(f"部级抽查 spot check {county}", _seconds(found, "told_s", "answered_s", "seen_s", "result_s"))

    async def _disturbed_roll_call(self, line: CutLine) -> None:
        await self.judge.ask("alarms_on", rate=5)
        expect = dict.fromkeys(self.centres, "present")
        if FROZEN_COUNTY in self.centres:
            self._fault(FROZEN_COUNTY, "frozen")
            expect[FROZEN_COUNTY] = "frozen"
        await line.cut()
        expect[CUT_COUNTY] = "no_link"
        cut = f"{CUT_COUNTY}-box"
        upper = [CITY, PROVINCE, NATION]
        down = await self.judge.ask("link", node=cut, status="down", codes=upper, limit_s=60)
        self._row("断链发现 link down", _by_tier(down))
        await asyncio.sleep(FROZEN_SHOWS_S)
        roll = await self.judge.ask("roll_call", code=CITY, expect=expect)
        self._row("点名 roll call", f"{_seconds(roll, 'seconds')} {json.dumps(roll.get('points'), ensure_ascii=False)}")
        self._fault(FROZEN_COUNTY, "")
        await line.mend()
        up = await self.judge.ask("link", node=cut, status="up", codes=upper, limit_s=60)
        self._row("恢复链路 link restored", _by_tier(up))
        await self.judge.ask("alarms_off")
        await self._settle("断链后对账 after the cut")

    def _fault(self, centre: str, fault: str) -> None:
        file = self.stage.files.fault_file(f"{centre}-box")
        if centre in self.centres and fault:
            file.write_text(f'[cameras]\n{HALL} = "{fault}"\n', encoding="utf-8")
        else:
            file.unlink(missing_ok=True)

    async def _killed_city(self) -> None:
        await self.judge.ask("alarms_on", rate=5)
        await asyncio.sleep(2)
        self.stage.family.children[f"gateway-{CITY}"].signal(signal.SIGKILL)
        started = time.monotonic()
        seen = next(c for c in self.centres if c != STAFFED_COUNTY) if len(self.centres) > 1 else STAFFED_COUNTY
        back = await self.judge.ask("picture_back", code=CITY, stream=f"{seen}/{HALL}", limit_s=90)
        top = await self.judge.ask("picture_back", code=NATION, stream=f"{seen}/{HALL}", limit_s=60)
        self._row(
            "市级被杀后画面 picture after kill -9",
            f"{CITY} {_seconds(back, 'seconds')}，{NATION} {_seconds(top, 'seconds')}",
        )
        for agent in self.stage.plan.agents:
            await self.judge.ask("link", node=agent.node, status="up", codes=[CITY, PROVINCE, NATION], limit_s=60)
        self.figures["city_killed_links_back_s"] = time.monotonic() - started
        await self.judge.ask("alarms_off")
        await self._settle("市级重启后对账 after kill -9")

    async def _calls(self) -> None:
        others = [centre for centre in self.centres if centre != STAFFED_COUNTY]
        if others:
            call = await self.judge.ask("call", code=CITY, centre=others[0])
            self._row(f"调度呼叫 call {others[0]}", _seconds(call, "answered_s"))
        call = await self.judge.ask("call_console", code=CITY, centre=STAFFED_COUNTY)
        self._row(f"调度呼叫 call {STAFFED_COUNTY}（控制台 console）", _seconds(call, "answered_s"))

    def _row(self, what: str, words: str) -> None:
        self.rows.append((what, words))
        self._say(f"  {what}: {words}")


async def run_check(stage: Stage, json_file: Path | None, say: Say) -> int:
    """Run the check on a running demo; returns 0 only if the judge found nothing."""
    started = time.monotonic()
    judge = await Judge.start(stage.state.path / "demo.json", stage.state.logs / "judge.log", SEED)
    cut_here = any(agent.centre == CUT_COUNTY for agent in stage.plan.agents)
    check = Check(stage, judge, stage.line if cut_here else None, say)
    await check.run()
    verdict = await judge.ask("verdict")
    code = await judge.finish()
    figures = {
        **verdict.get("figures", {}),
        **check.figures,
        "commit": await asyncio.to_thread(_commit),
        "machine": f"{platform.machine()} {platform.system()} {platform.release()}",
        "seed": SEED,
        "duration_s": round(time.monotonic() - started, 3),
        "faults": len(verdict.get("faults", ["the judge broke off"])),
    }
    say(_table(check.rows, figures))
    for fault in verdict.get("faults", [verdict.get("error", "")]):
        say(f"  不符 fault: {fault}")
    say("自检通过 the check is good" if code == 0 else "自检未通过 the check FAILED")
    if json_file is not None:
        text = json.dumps(figures, ensure_ascii=False, indent=2, sort_keys=True)
        await asyncio.to_thread(json_file.write_text, text + "\n", "utf-8")
    return 0 if code == 0 else 1


def _table(rows: list[tuple[str, str]], figures: dict[str, Any]) -> str:
    lines = ["", "四联自检 Silian check", "-" * 72]
    lines += [f"{what}\t{words}" for what, words in rows]
    lines.append("-" * 72)
    lines += [f"{key}\t{round(v, 3) if isinstance(v, float) else v}" for key, v in sorted(figures.items())]
    return "\n".join(lines)


def _seconds(found: dict[str, Any], *names: str) -> str:
    if "error" in found:
        return str(found["error"])
    shown = [f"{name.removesuffix('_s')} {found[name]:.2f} s" for name in names if found.get(name) is not None]
    return " ".join(shown) or "未成功 none"


def _by_tier(found: dict[str, Any]) -> str:
    if "error" in found:
        return str(found["error"])
    return "，".join(
        f"{code} {f['seconds']:.1f} s" + (f" {f['reason']}" if f["reason"] else "") for code, f in found.items()
    )


def _commit() -> str:
    root = Path(__file__).resolve().parents[2]
    try:
        # A fixed command in our own checkout; an installed wheel has none and says so.
        done = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607 - found on PATH like any developer's tool
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
