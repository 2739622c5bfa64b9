"""The command `silian-agent`: run, enrol, config sample|check, doctor. Exit 0 good, 1 a check failed, 2 wrong use."""

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from protocols.errors import ConfigError, SilianError

app = typer.Typer(
    name="silian-agent", no_args_is_help=True, add_completion=False, help="Silian 四联: the agent on county hardware."
)
config = typer.Typer(no_args_is_help=True, help="The settings file.")
app.add_typer(config, name="config")
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


if __name__ == "__main__":
    main()
