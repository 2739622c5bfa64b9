"""The command `silian bench`: options, exit codes (0 good, 1 a check failed, 2 wrong use)."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from gateway.bench import namespace
from protocols.errors import ConfigError, SilianError

if TYPE_CHECKING:
    from gateway.bench.run import Options

bench = typer.Typer(help="基准测试 Benchmarks against peers on this machine.", no_args_is_help=True)


def default_dir() -> Path:
    """Return the user's state home (XDG base directories) with the bench's name."""
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "silian-bench"


@bench.command("media")
def media(  # noqa: PLR0913 - each option of the command is a parameter
    *,
    json_file: Annotated[Path | None, typer.Option("--json", help="结果写入文件 write the figures")] = None,
    picture: Annotated[Path | None, typer.Option("--picture", help="柱状图 SVG bar chart as SVG")] = None,
    only: Annotated[str, typer.Option(help="只运行这些场景，逗号分隔 only these scenarios, by commas")] = "",
    without: Annotated[str, typer.Option(help="不测这些引擎 leave out: compiled,batched,reference,janus,relay")] = "",
    rounds: Annotated[int, typer.Option(min=1, help="轮数 rounds, interleaved")] = 3,
    window: Annotated[float, typer.Option(min=0.5, help="每轮秒数 seconds of one window")] = 5.0,
    quick: Annotated[bool, typer.Option("--quick", help="约一分钟，不作判定 a minute, judges nothing")] = False,
    scale: Annotated[float, typer.Option(min=0.01, max=1.0, help="会话数缩放 shrink the numbers of sessions")] = 1.0,
    small: Annotated[bool, typer.Option("--small", help="小画面 a small picture, for a look only")] = False,
    soak: Annotated[float, typer.Option(min=0.0, help="耐久分钟数 minutes of joins and blinks")] = 0.0,
    long_cuts: Annotated[bool, typer.Option("--long-cuts", help="含十分钟断网 cuts of 10 min too")] = False,
    state_dir: Annotated[Path | None, typer.Option(help="数据目录 state directory")] = None,
    here: Annotated[bool, typer.Option("--here", help="不建网络命名空间 no network namespace: loopback")] = False,
) -> None:
    """媒体转发基准 Measure the media engine against Janus and MediaRelay."""
    if not here and (refused := namespace.enter(sys.argv[sys.argv.index("media") :])):
        typer.echo(refused, err=True)
    from gateway.bench.run import Options

    options = Options(
        host=namespace.address(), folder=(state_dir or default_dir()).absolute(),
        rounds=min(rounds, 2) if quick else rounds,
        window_s=min(window, 3.0) if quick else window, only=_names(only), without=_names(without), quick=quick,
        scale=scale, soak_minutes=soak, long_cuts=long_cuts, small=small,
    )  # fmt: skip
    raise typer.Exit(_guarded(_run(options, json_file, picture)))


@bench.command("alarms")
def alarms(
    *,
    json_file: Annotated[Path | None, typer.Option("--json", help="结果写入文件 write the figures")] = None,
    only: Annotated[str, typer.Option(help="只运行这些场景，逗号分隔 only these scenarios, by commas")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="约一分钟，不作判定 a minute, judges nothing")] = False,
    state_dir: Annotated[Path | None, typer.Option(help="数据目录 state directory")] = None,
) -> None:
    """告警链路基准 Measure alarms from the edge to four tiers, an outage's backlog, and a storm."""
    from gateway.bench import alarms as work

    options = work.Options((state_dir or default_dir()).absolute(), _names(only), quick=quick)
    found = _guarded(work.measure(options, _say))
    if isinstance(found, int):
        raise typer.Exit(found)
    figures, failed = found
    typer.echo(work.table(figures))
    if json_file is not None:
        work.write_json(figures, json_file)
    raise typer.Exit(_tell_missed(failed))


@bench.command("chaos")
def chaos(
    *,
    seed: Annotated[int, typer.Option(help="随机种子 what happens is decided by this number")] = 4,
    seconds: Annotated[float, typer.Option(min=1.0, help="故障持续秒数 seconds of faults")] = 60.0,
    json_file: Annotated[Path | None, typer.Option("--json", help="结果写入文件 write the figures")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="数据目录 state directory")] = None,
    here: Annotated[
        bool, typer.Option("--here", help="不建命名空间 no namespace: links cut by relays, no full disks")
    ] = False,
    postgres: Annotated[
        bool,
        typer.Option("--postgres", help="市级用 PostgreSQL 并参与杀进程 the city's database is a server, killed too"),
    ] = False,
) -> None:
    """故障注入 Kill, pause, cut, fill and step at random; then prove that nothing was lost, doubled or forgotten."""
    if not here and (refused := namespace.enter(sys.argv[sys.argv.index("chaos") :], mounts=True)):
        typer.echo(refused, err=True)
    from gateway.bench.alarms import table, write_json
    from gateway.bench.chaos.run import Options, measure

    found = _guarded(measure(Options((state_dir or default_dir()).absolute(), seed, seconds, postgres=postgres), _say))
    if isinstance(found, int):
        raise typer.Exit(found)
    figures, wrong = found
    typer.echo(table(figures))
    if json_file is not None:
        write_json(figures, json_file)
    for sentence in wrong:
        typer.echo(f"WRONG {sentence}")
    raise typer.Exit(1 if wrong else 0)


@bench.command("rollcall")
def rollcall(
    *,
    seed: Annotated[int, typer.Option(help="随机种子 who tells which story is decided by this number")] = 4,
    counties: Annotated[int, typer.Option(min=12, max=900, help="县数 counties")] = 100,
    json_file: Annotated[Path | None, typer.Option("--json", help="结果写入文件 write the figures")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="数据目录 state directory")] = None,
    here: Annotated[bool, typer.Option("--here", help="不建命名空间 no namespace: no line is cut")] = False,
) -> None:
    """点名基准 Call a hundred counties whose truth is known: black, frozen, replayed, silent, cut off, late."""
    if not here and (refused := namespace.enter(sys.argv[sys.argv.index("rollcall") :])):
        typer.echo(refused, err=True)
    from gateway.bench.alarms import table, write_json
    from gateway.bench.rollcall.run import Options, measure

    options = Options((state_dir or default_dir()).absolute(), seed, counties)
    found = _guarded(measure(options, _say))
    if isinstance(found, int):
        raise typer.Exit(found)
    figures, wrong = found
    typer.echo(table(figures))
    if json_file is not None:
        write_json(figures, json_file)
    for sentence in wrong:
        typer.echo(f"WRONG {sentence}")
    raise typer.Exit(1 if wrong else 0)


@bench.command("stage")
def stage(
    *,
    counties: Annotated[int, typer.Option(min=2, max=200, help="县数 counties")] = 14,
    switches: Annotated[int, typer.Option(min=1, help="切换次数 switches")] = 55,
    json_file: Annotated[Path | None, typer.Option("--json", help="结果写入文件 write the figures")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="数据目录 state directory")] = None,
) -> None:
    """逐一点名切换基准 From the caller's key to the next county's picture on the stage, in Chromium."""
    from gateway.bench.alarms import table, write_json
    from gateway.bench.stage import Options, measure

    found = _guarded(measure(Options((state_dir or default_dir()).absolute(), counties, switches), _say))
    if isinstance(found, int):
        raise typer.Exit(found)
    figures, failed = found
    typer.echo(table(figures))
    if json_file is not None:
        write_json(figures, json_file)
    raise typer.Exit(_tell_missed(failed))


Found = TypeVar("Found")


def _guarded(work: Coroutine[Any, Any, Found]) -> Found | int:
    """Run a benchmark until it ends or is interrupted; an exit code where it gave no figures."""

    async def run() -> Found | int:
        _stop_on_signals()
        try:
            return await work
        except SilianError as error:
            typer.echo(f"silian bench: {error}", err=True)
            return 2 if isinstance(error, ConfigError) else 1
        except asyncio.CancelledError:
            return 1

    try:
        return asyncio.run(run())
    except KeyboardInterrupt:
        return 1


def _stop_on_signals() -> None:
    task = asyncio.current_task()
    if task is None:
        raise AssertionError("a coroutine of asyncio.run has a task")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)


def _tell_missed(failed: Sequence[str]) -> int:
    for sentence in failed:
        typer.echo(f"MISSED {sentence}")
    return 1 if failed else 0


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


async def _run(options: "Options", json_file: Path | None, picture: Path | None) -> int:
    from gateway.bench.media import measure, table, write_json, write_picture

    options.folder.mkdir(parents=True, exist_ok=True)
    run, failed = await measure(options, _say)
    typer.echo(table(run))
    if json_file is not None:
        write_json(run, json_file)
    if picture is not None:
        try:
            write_picture(run, picture)
        except ConfigError as error:
            failed.append(str(error))
    return _tell_missed(failed)


def _say(words: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        typer.echo(words, err=True)
