"""The command `silian demo`: options, life from start to end, exit codes (0 good, 1 check failed, 2 wrong use)."""

import asyncio
import contextlib
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from gateway.demo.banner import banner
from gateway.demo.family import Family
from gateway.demo.ports import free_ports, require_free
from gateway.demo.state import StateDir, default_dir
from gateway.demo.topology import BLOCK, Plan, counties, make_plan
from protocols.errors import ConfigError, SilianError


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for."""

    check: bool
    counties: int
    host: str
    port: int
    state_dir: Path
    json_file: Path | None


def demo(
    *,
    check: Annotated[bool, typer.Option("--check", help="自检：运行全部检查后退出 run all checks and exit")] = False,
    counties_: Annotated[int, typer.Option("--counties", min=1, max=len(counties()), help="县数 counties")] = 7,
    host: Annotated[str, typer.Option(help="控制台监听地址 address of the consoles")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help=f"端口起点，占用 {BLOCK} 个；0 为自动 base of the ports, 0 = free ones")
    ] = 8080,
    state_dir: Annotated[Path | None, typer.Option(help="数据目录 state directory")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="自检结果写入文件 write the figures")] = None,
) -> None:
    """四级联通演示：国家、省、市与七县真实进程 Run all four tiers on this machine."""
    options = Options(check, counties_, host, port, state_dir or default_dir(), json_file)
    try:
        code = asyncio.run(run(options))
    except KeyboardInterrupt:  # a second Ctrl-C while ending; the children die with us
        code = 1
    raise typer.Exit(code)


async def run(options: Options) -> int:
    """Run the demo until it is told to end; returns the exit code."""
    state = StateDir(options.state_dir)
    try:
        with state.locked():
            left = await asyncio.to_thread(state.end_leftovers)
            if left:
                _say(f"已结束上次遗留的进程 ended left-overs of a killed run: {', '.join(left)}")
            plan = _plan(options)
            return await _live(options, state, plan)
    except ConfigError as error:
        typer.echo(f"silian demo: {error}", err=True)
        return 2


def _plan(options: Options) -> Plan:
    ports = list(range(options.port, options.port + BLOCK)) if options.port else free_ports(BLOCK)
    plan = make_plan(options.host, options.counties, ports)
    if options.port:
        consoles = [gateway.http for gateway in plan.gateways]
        require_free(options.host, consoles, plan.udp_ports())
        require_free("127.0.0.1", [p for p in plan.tcp_ports() if p not in consoles], [])
    return plan


async def _live(options: Options, state: StateDir, plan: Plan) -> int:
    async with asyncio.TaskGroup() as group:
        family = Family(group, state, _say)
        body = group.create_task(_guarded(options, state, plan, family), name="demo")
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, body.cancel)
        try:
            await asyncio.wait({body})
        finally:
            _say("正在结束 ending ...")
            agents = [name for name in family.children if not name.startswith("gateway-")]
            await family.end(agents)
            await family.end(list(family.children))
            _say("已全部结束 all ended")
        # Ended by the person: that is how a demo ends, but a check that was broken off proves nothing.
        return int(options.check) if body.cancelled() else body.result()


async def _guarded(options: Options, state: StateDir, plan: Plan, family: Family) -> int:
    from gateway.demo.check import run_check
    from gateway.demo.stage import Stage

    stage = Stage(plan, state, family, _say, check=options.check)
    try:
        await stage.open()
        if options.check:
            try:
                return await run_check(stage, options.json_file, _say)
            finally:
                await stage.line.cut()
        typer.echo(banner(state.read_json("demo.json")))
        await asyncio.Event().wait()
    except (SilianError, OSError) as error:
        typer.echo(f"silian demo: {error}", err=True)
    return 1


def _say(words: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        typer.echo(words)
