"""The command `silian-agent`: run, enrol, config sample|check, doctor, answer-page, quarantine list|resend.

Exit 0 good, 1 a check failed, 2 wrong use.
"""

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from protocols.errors import ConfigError, LinkError, SilianError

if TYPE_CHECKING:
    from edge_agent.settings import Settings

app = typer.Typer(
    name="silian-agent", no_args_is_help=True, add_completion=False, help="Silian 四联: the agent on county hardware."
)
config = typer.Typer(no_args_is_help=True, help="The settings file.")
quarantine = typer.Typer(no_args_is_help=True, help="Records that the gateway refused; asks the running agent.")
app.add_typer(config, name="config")
app.add_typer(quarantine, name="quarantine")
File = Annotated[Path, typer.Option("-c", "--config", help="Settings file (TOML).")]
DEFAULT = Path("/etc/silian/agent.toml")


def main() -> None:
    """Run the command; errors of our own tree are one line on stderr."""
    try:
        app()
    except ConfigError as error:
        _complain(error, 2)
    except SilianError as error:
        _complain(error, 1)


def _complain(error: SilianError, code: int) -> None:
    sys.stderr.write(f"silian-agent: {error}\n")
    sys.exit(code)


@app.command("version")
def show_version() -> None:
    """Print the version."""
    try:
        typer.echo(version("silian"))
    except PackageNotFoundError:
        typer.echo("not installed")


@config.command("sample")
def config_sample() -> None:
    """Print a commented settings file."""
    from edge_agent.sample import sample

    typer.echo(sample(), nl=False)


@config.command("check")
def config_check(file: File = DEFAULT) -> None:
    """Check a settings file; exit 2 names the wrong key."""
    from edge_agent.settings import load

    settings = load(file)
    typer.echo(f"good: {settings.node.id}, {len(settings.cameras)} cameras, {len(settings.sensors)} sensors")


@app.command()
def run(file: File = DEFAULT) -> None:
    """Run the agent until SIGTERM or Ctrl-C; both drain."""
    import asyncio

    from edge_agent.logs import start_logging
    from edge_agent.settings import load

    settings = load(file)
    start_logging(settings.log.level, as_json=settings.log.form == "json")
    _refuse_strangers()
    asyncio.run(_run(settings))


async def _run(settings: "Settings") -> None:
    import asyncio
    import signal

    from edge_agent.app import Agent

    agent = Agent(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, agent.stop)
    await agent.run()


def _refuse_strangers() -> None:
    from edge_agent.doctor import owner

    found = owner()
    if not found.good:
        raise ConfigError(f"{found.detail}: {found.advice}")


@app.command()
def enrol(file: File = DEFAULT) -> None:
    """Enrol with the token of the settings, once; `run` does it by itself too."""
    import asyncio

    from edge_agent.identity import obtain_identity
    from edge_agent.settings import load
    from protocols.aio.clock import SystemClock

    settings = load(file)
    found = asyncio.run(obtain_identity(settings, SystemClock()))
    typer.echo(f"enrolled: {found.node} at {found.gateway}, broker {found.broker_host}:{found.broker_port}")


@app.command()
def doctor(file: File = DEFAULT) -> None:
    """Say what is missing on this box and what to type; exit 1 if anything is."""
    import asyncio

    from edge_agent.doctor import examine, lines
    from edge_agent.settings import load

    found = asyncio.run(examine(load(file)))
    for line in lines(found):
        typer.echo(line)
    if not all(finding.good for finding in found):
        raise typer.Exit(1)


@app.command("answer-page")
def answer_page(file: File = DEFAULT) -> None:
    """Print address and PIN of the duty room's answer page."""
    from edge_agent.app import prepare_state
    from edge_agent.rollcall.pin import made_pin, read_pin
    from edge_agent.settings import load

    settings = load(file)
    chosen = settings.answer_page
    if not chosen.enabled:
        raise ConfigError("the answer page is off: set enabled = true in [answer_page]")
    prepare_state(settings.state.dir)
    pin = read_pin(chosen.pin_file) if chosen.pin_file is not None else made_pin(settings.state.dir)
    typer.echo(f"http://{chosen.host}:{chosen.port}/  PIN {pin.decode('utf-8', 'replace')}")


@quarantine.command("list")
def quarantine_list(file: File = DEFAULT) -> None:
    """Show the newest refused records and why they were refused."""
    items = _ask(file, "GET", "/quarantine")["items"]
    for item in items:
        what = item["alarm_key"] or item["type"]
        typer.echo(f"{item['id']}  {item['refused_at']}  {item['code']}  {what}  {item['detail']}")
    typer.echo(f"{len(items)} records", err=True)


@quarantine.command("resend")
def quarantine_resend(
    number: Annotated[int, typer.Argument(help="The id that `list` shows.")], file: File = DEFAULT
) -> None:
    """Send a refused record again, once what was wrong is healed."""
    _ask(file, "POST", f"/quarantine/{number}/resend")
    typer.echo(f"record {number} is sent again")


def _ask(file: Path, method: str, path: str) -> dict[str, Any]:
    import httpx

    from edge_agent.settings import load

    place = load(file).management
    url = f"http://{place.host}:{place.port}{path}"
    try:
        answer = httpx.request(method, url, timeout=10, trust_env=False)
    except httpx.HTTPError as error:
        raise LinkError(f"{url}: {error}; is the agent running?") from None
    body: dict[str, Any] = answer.json()
    if answer.is_error:
        raise LinkError(str(body.get("detail", answer.status_code)))
    return body


if __name__ == "__main__":
    main()
