"""The real demo as a fixture's subject: started on free ports with an own state directory, ended with its children."""

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT_S = 240.0
END_LIMIT_S = 40.0


@dataclass(frozen=True)
class Stage:
    """A running demo. `places` is what its `demo.json` said once everything was up."""

    places: dict[str, Any]

    def process(self, name: str) -> int:
        """Return the present process id of a child, for instance `gateway-320600`."""
        file = Path(self.places["state_dir"]) / "demo.json"
        return int(json.loads(file.read_text("utf-8"))["processes"][name]["pid"])

    def url(self, code: str) -> str:
        """Return the console's address of one gateway."""
        return str(self.places["gateways"][code]["url"])

    def account(self, code: str, role: str) -> tuple[str, str]:
        """Return user name and password of one role at one gateway."""
        user = self.places["gateways"][code]["users"][role]
        return user["username"], user["password"]

    def ask(self, code: str, role: str, path: str) -> Any:
        """GET from a gateway's API with the token of a role."""
        token = self.places["gateways"][code]["users"][role]["token"]
        answer = httpx.get(f"{self.url(code)}/api/v1{path}", headers={"Authorization": f"Bearer {token}"}, timeout=20)
        answer.raise_for_status()
        return answer.json()

    def tell(self, code: str, role: str, path: str, body: Any) -> Any:
        """POST to a gateway's API with the token of a role."""
        token = self.places["gateways"][code]["users"][role]["token"]
        headers = {"Authorization": f"Bearer {token}"}
        answer = httpx.post(f"{self.url(code)}/api/v1{path}", json=body, headers=headers, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def raise_alarm(self, node: str, **report: Any) -> str:
        """Post one sensor report to an agent's signed webhook; return its alarm key."""
        agent = self.places["agents"][node]
        key = f"browser-{secrets.token_hex(4)}/high"
        body = json.dumps(
            {"alarm_key": key, "sensor": "gas-1", "severity": 1, "headline": "可燃气体超限", **report}
        ).encode()
        signature = hmac.new(str(agent["secret"]).encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-Silian-Signature": f"sha256={signature}",
            "Idempotency-Key": secrets.token_hex(8),
        }
        httpx.post(f"{agent['webhook']}/ingest/alarms", content=body, headers=headers, timeout=20).raise_for_status()
        return key


@contextlib.contextmanager
def running_stage(folder: Path, counties: int = 7) -> Iterator[Stage]:
    """Run `silian demo` and end it with SIGINT, as the person at the terminal does."""
    output = (folder / "demo.log").open("w+")
    command = [sys.executable, "-m", "gateway.demo", "--port", "0", "--state-dir", str(folder / "state")]
    command += ["--counties", str(counties)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=folder)
    try:
        yield Stage(_places(process, folder / "state" / "demo.json", output))
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(END_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        output.close()


def _places(process: "subprocess.Popen[bytes]", file: Path, output: Any) -> dict[str, Any]:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, ValueError):
            places = json.loads(file.read_text("utf-8"))
            users = [user for gateway in places["gateways"].values() for user in gateway["users"].values()]
            if places["pid"] == process.pid and users and all(user["token"] for user in users):
                return dict(places)
        time.sleep(0.2)
    output.seek(0)
    raise RuntimeError(f"the demo did not come up (exit {process.poll()}):\n{output.read()[-4000:]}")
