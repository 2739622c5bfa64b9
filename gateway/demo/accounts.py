"""Accounts, sensor secrets and enrolment tokens: made at the first start, kept over restarts."""

import asyncio
import json
import secrets
import sys
from collections.abc import Iterable
from typing import Any

from gateway.demo.configs import ConfigFiles
from gateway.demo.state import StateDir
from protocols.errors import ConfigError

ROLES = {
    "dispatcher": "调度员",
    "duty_officer": "值班员",
    "caller": "点名员",
    "operations": "运维员",
    "auditor": "审计员",
}
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


def make_password() -> str:
    """Return a password of 60 bits that can be read out over the telephone."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(3))


def load_secrets(state: StateDir, gateways: Iterable[str], agents: Iterable[str]) -> dict[str, Any]:
    """Return the demo's secrets, making those that are not there yet."""
    kept = state.read_json("secrets.json") or {}
    users = kept.setdefault("users", {})
    for code in gateways:
        for role in ROLES:
            users.setdefault(code, {}).setdefault(role, make_password())
    for node in agents:
        kept.setdefault("webhooks", {}).setdefault(node, secrets.token_urlsafe(32))
        kept.setdefault("pins", {}).setdefault(node, f"{secrets.randbelow(10**6):06d}")
    state.write_json("secrets.json", kept)
    return dict(kept)


async def provision(files: ConfigFiles, code: str, passwords: dict[str, str], nodes: list[str]) -> dict[str, Any]:
    """Prepare one gateway (database, authority, accounts, tokens); raises ConfigError with its words when it fails."""
    wish = {
        "users": [
            {"name": role, "display_name": ROLES[role], "roles": [role], "password": password}
            for role, password in passwords.items()
        ],
        "nodes": nodes,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway",
        "provision",
        "-c",
        str(files.gateway_file(code)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate(json.dumps(wish).encode())
    if process.returncode:
        raise ConfigError(f"provision {code}: {errors.decode(errors='replace').strip()[-800:]}")
    made: dict[str, Any] = json.loads(out)
    return made
