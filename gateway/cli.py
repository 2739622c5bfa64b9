"""The command `silian`: gateway and tools. Exit 0 good, 1 a check failed or the far end said no, 2 wrong use.

Every command imports what it needs when it runs, so that `silian --help` is quick and a small command stays small.
"""

import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from protocols.errors import ConfigError, SilianError

if TYPE_CHECKING:
    from gateway.settings import Settings

Answer = TypeVar("Answer")
app = typer.Typer(
    name="silian",
    no_args_is_help=True,
    add_completion=False,
    help="Silian 四联：国家、省、市、县四级应急指挥联通网关 the gateway of one command centre, and its tools.",
)
config = typer.Typer(no_args_is_help=True, help="配置文件 the settings file.")
user = typer.Typer(no_args_is_help=True, help="账号 accounts.")
app.add_typer(config, name="config")
app.add_typer(user, name="user")
DEFAULT = Path("/etc/silian/gateway.toml")
File = Annotated[Path, typer.Option("-c", "--config", help="配置文件 settings file (TOML).")]
As = Annotated[str | None, typer.Option("--as", help="登录账号（网关运行时） account at the running gateway.")]
Node = Annotated[str, typer.Argument(help="节点 node, e.g. 320623-box, or 320623 for a gateway.")]


def main() -> None:
    """Run the command; errors of our own tree are one line on standard error."""
    try:
        app()
    except ConfigError as error:
        _complain(error, 2)
    except SilianError as error:
        _complain(error, 1)


def _complain(error: SilianError, code: int) -> None:
    sys.stderr.write(f"silian: {error}\n")
    sys.exit(code)


def _load(file: Path, **flags: Any) -> "Settings":
    from gateway.settings import load_settings

    return load_settings(file, flags=flags)


def _run(work: Coroutine[Any, Any, Answer]) -> Answer:
    import asyncio

    return asyncio.run(work)


@app.command("version")
def show_version() -> None:
    """版本 Print the version."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        typer.echo(version("silian"))
    except PackageNotFoundError:
        typer.echo("not installed")


@app.command()
def serve(file: File = DEFAULT) -> None:
    """运行网关 Run the gateway until SIGTERM or Ctrl-C; both drain."""
    from gateway.logs import start_logging
    from gateway.run import serve as run
    from gateway.settings import LogFormat
    from gateway.strangers import refuse_strangers

    settings = _load(file)
    settings.centres()
    start_logging(settings.log.level, as_json=settings.log.format is LogFormat.JSON)
    refuse_strangers()
    _run(run(settings))


@config.command("sample")
def config_sample() -> None:
    """打印带注释的配置样例 Print a commented settings file."""
    from gateway.sample import sample

    typer.echo(sample(), nl=False)


@config.command("check")
def config_check(file: File = DEFAULT) -> None:
    """检查配置文件 Check a settings file; exit 2 names the wrong key."""
    settings = _load(file)
    centre = settings.centres()[settings.centre.code]
    typer.echo(f"good: {centre.code} {centre.name} ({centre.tier}), {settings.base_url}")


@app.command()
def doctor(file: File = DEFAULT) -> None:
    """体检：缺什么、该输入什么 Tell what is missing and what to type; exit 1 where something is not good."""
    from gateway.doctor import examine

    good = True
    for finding in _run(examine(_load(file))):
        good = good and finding.good
        typer.echo(f"{'  ok ' if finding.good else '  !! '} {finding.name:<14} {finding.detail}")
        if finding.advice:
            typer.echo(f"{'':20}-> {finding.advice}")
    raise typer.Exit(0 if good else 1)


@app.command()
def provision(
    file: File = DEFAULT,
    nodes: Annotated[str, typer.Option(help="节点，逗号分隔 nodes that get a token, with commas.")] = "",
    json_file: Annotated[Path | None, typer.Option("--json", help="结果写入文件 write the answer here (0600).")] = None,
    *,
    one_per_role: Annotated[bool, typer.Option(help="每种角色建一个账号 make one account per role.")] = False,
) -> None:
    """首次准备 Prepare a gateway that does not run: database, authority, accounts and enrolment tokens.

    Reads {"users": [{"name", "display_name", "roles", "password"?}], "nodes": [...]} from standard input unless options
    say it; answers {"centre", "ca_sha256", "users", "tokens"} in JSON. May be repeated: what is there is kept.
    """
    from gateway import provision as work
    from gateway.web.keys import write_secret

    settings = _load(file)
    wish = _wish(nodes, one_per_role=one_per_role)
    made = _run(work.provision(settings, wish)).model_dump_json(indent=1)
    if json_file is None:
        typer.echo(made)
    else:
        write_secret(json_file, made.encode())


def _wish(nodes: str, *, one_per_role: bool) -> Any:
    from pydantic import ValidationError

    from gateway.provision import WantedUser, Wish
    from gateway.web.auth import Role
    from protocols.envelope import first_fault

    try:
        if not nodes and not one_per_role:
            return Wish.model_validate_json(sys.stdin.read())
        users = [WantedUser(name=role.value, display_name=role.value, roles=(role,)) for role in Role]
        wanted = [node.strip() for node in nodes.split(",") if node.strip()]
        return Wish(users=tuple(users) if one_per_role else (), nodes=tuple(wanted))
    except ValidationError as error:
        raise ConfigError(f"provision: {first_fault(error)}") from None


@user.command("add")
def user_add(
    name: Annotated[str, typer.Argument(help="登录名 login name.")],
    roles: Annotated[str, typer.Option(help="角色，逗号分隔 roles with commas: caller,dispatcher,...")],
    display_name: Annotated[str, typer.Option("--name", help="姓名 name shown to others.")] = "",
    file: File = DEFAULT,
    by: As = None,
) -> None:
    """新建账号并打印初始密码 Make an account and print its first password."""
    from gateway import provision as work

    settings = _load(file)
    body = {"name": name, "display_name": display_name or name, "roles": [r.strip() for r in roles.split(",")]}
    if _running(settings):
        made = _run(_remote(settings, by, "POST", "/api/v1/users", body))
        typer.echo(f"{name}: {made['password']}")
        return
    found = _run(work.add_user(settings, _wanted(body)))
    if found.password is None:
        raise ConfigError(f"the user {name} exists already")
    typer.echo(f"{name}: {found.password}")


def _wanted(body: dict[str, Any]) -> Any:
    from pydantic import ValidationError

    from gateway.provision import WantedUser
    from protocols.envelope import first_fault

    try:
        return WantedUser.model_validate(body)
    except ValidationError as error:
        raise ConfigError(f"user: {first_fault(error)}") from None


@user.command("list")
def user_list(file: File = DEFAULT, by: As = None) -> None:
    """列出账号 List the accounts."""
    from gateway import provision as work

    settings = _load(file)
    if _running(settings):
        rows = _run(_remote(settings, by, "GET", "/api/v1/users"))["items"]
        for row in rows:
            typer.echo(f"{row['name']:<20} {row['display_name']:<12} {','.join(row['roles'])}")
        return
    for found in _run(work.list_users(settings)):
        typer.echo(f"{found.name:<20} {found.display_name:<12} {','.join(found.roles)}")


@app.command("enrol-token")
def enrol_token(node: Node, file: File = DEFAULT, by: As = None) -> None:
    """签发一次性入网令牌 Make a one-time enrolment token for a node below."""
    from gateway import provision as work

    settings = _load(file)
    if _running(settings):
        typer.echo(_run(_remote(settings, by, "POST", "/api/v1/enrolments", {"node": node}))["token"])
    else:
        typer.echo(str(_run(work.enrol_token(settings, node)).token))


@app.command()
def enrol(file: File = DEFAULT) -> None:
    """向上级平台入网 Enrol at the gateway of the tier above, as [upstream] says."""
    from protocols.aio.enrol import ensure_identity

    settings = _load(file)
    wanted = settings.upstream
    if wanted.url is None:
        raise ConfigError("upstream.url is missing: this gateway stands at the top")
    token = wanted.token
    if wanted.token_file is not None and wanted.token_file.is_file():
        token = wanted.token_file.read_text("utf-8").strip()
    identity = _run(ensure_identity(settings.identity_dir, wanted.url, token))
    typer.echo(f"good: {identity.node} at {identity.gateway}, broker {identity.broker_host}:{identity.broker_port}")


def _running(settings: "Settings") -> bool:
    from gateway.state_lock import StateLock

    if not settings.state.dir.is_dir():
        return False
    try:
        with StateLock(settings.state.dir.resolve() / "gateway.lock"):
            return False
    except ConfigError:
        return True


async def _remote(settings: "Settings", by: str | None, method: str, path: str, body: Any = None) -> Any:
    import os

    from gateway.remote import call, session

    if by is None:
        raise ConfigError("the gateway runs: say --as ACCOUNT (role operations); the password is asked for")
    password = os.environ.get("SILIAN_PASSWORD") or typer.prompt("密码 password", hide_input=True, err=True)
    async with session(settings, by, password) as client:
        return await call(client, method, path, body)


def _delegate() -> None:
    """Hang in the commands of other packages; their modules are light until they run."""
    from gateway.bench.command import bench
    from gateway.demo.command import demo

    app.add_typer(bench, name="bench")
    app.command("demo")(demo)


_delegate()
