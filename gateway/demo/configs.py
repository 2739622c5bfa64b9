"""The settings files of the demo's gateways and agents: what an operator would write, written anew at each start."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.demo.state import StateDir
from gateway.demo.toml import dumps
from gateway.demo.topology import CUT_COUNTY, FILM_COUNTY, RTSP_COUNTY, AgentPlan, GatewayPlan, Plan
from gateway.settings import Settings

FILM_LABEL = "录像演示"
HALL = "room"
"""The camera of the command hall: the live test card that roll calls and calls use."""


ISSUER = {"sender": "41800000", "events": ["12", "11E"], "gravest": 1}
"""What the emergency bureau of each centre may issue in the demonstration: accidents and the sea, never the weather."""


@dataclass(frozen=True, slots=True)
class Camera:
    """One camera of the demo. `mark` tells whether its picture carries the test mark."""

    stream: str
    title: str
    kind: str
    label: str | None
    mark: bool


def cameras(plan: Plan) -> list[Camera]:
    """Return every camera of the demo."""
    found = []
    for agent in plan.agents:
        found.append(Camera(f"{agent.centre}/{HALL}", "指挥大厅", "testcard", None, mark=True))
        if agent.centre == RTSP_COUNTY:
            found.append(Camera(f"{agent.centre}/street", "路口监控", "rtsp", None, mark=True))
        if agent.centre == FILM_COUNTY:
            found.append(Camera(f"{agent.centre}/river", "河道监控", "file", FILM_LABEL, mark=False))
    return found


def base_url(plan: Plan, gateway: GatewayPlan) -> str:
    """Return the address of a gateway's console and API."""
    return Settings.model_validate(
        {"centre": {"code": gateway.code}, "http": {"host": plan.host, "port": gateway.http}}
    ).base_url


class ConfigFiles:
    """Paths and contents of all settings files under the demo's directory."""

    def __init__(self, plan: Plan, state: StateDir) -> None:
        self.plan = plan
        self.state = state

    def gateway_file(self, code: str) -> Path:
        """Return the settings file of a gateway."""
        return self.state.path / "config" / f"gateway-{code}.toml"

    def agent_file(self, node: str) -> Path:
        """Return the settings file of an agent."""
        return self.state.path / "config" / f"agent-{node}.toml"

    def node_dir(self, node: str) -> Path:
        """Return the state directory of a gateway or agent."""
        return self.state.path / "nodes" / node

    def token_file(self, node: str) -> Path:
        """Return the file for a node's one-time enrolment token."""
        return self.state.path / "tokens" / node

    def secret_file(self, node: str) -> Path:
        """Return the file with the secret of an agent's webhook."""
        return self.state.path / "tokens" / f"{node}.webhook"

    def pin_file(self, node: str) -> Path:
        """Return the file with the PIN of an agent's answer page."""
        return self.state.path / "tokens" / f"{node}.pin"

    def heard_file(self, node: str) -> Path:
        """Return the file that takes the sound of calls, in place of a loudspeaker."""
        return self.node_dir(node) / "heard.wav"

    def fault_file(self, node: str) -> Path:
        """Return the agent's switch of rehearsed faults."""
        return self.node_dir(node) / "faults.toml"

    @property
    def film(self) -> Path:
        """The video file of the film camera."""
        return self.state.path / "media" / "river.mp4"

    def write_all(self, *, check: bool) -> None:
        """Write all files; `check` leads one county's link over the line that the check cuts."""
        for folder in ("config", "nodes", "tokens", "media"):
            (self.state.path / folder).mkdir(exist_ok=True, mode=0o700)
        for gateway in self.plan.gateways:
            _write(self.gateway_file(gateway.code), self.gateway(gateway))
        for agent in self.plan.agents:
            self.node_dir(agent.node).mkdir(exist_ok=True, mode=0o700)
            self.fault_file(agent.node).unlink(missing_ok=True)  # a check that was broken off may have left one
            _write(self.agent_file(agent.node), self.agent(agent, check=check))

    def gateway(self, gateway: GatewayPlan) -> dict[str, Any]:
        """Return the settings of one gateway."""
        host = self.plan.host
        content: dict[str, Any] = {
            "centre": {"code": gateway.code},
            "state": {"dir": self.node_dir(gateway.code)},
            "http": {"host": host, "port": gateway.http, "public_url": base_url(self.plan, gateway)},
            "management": {"port": gateway.management},
            "broker": {"port": gateway.broker},
            "media": {"host": host, "port": gateway.media},
            "warning": {"issuers": [ISSUER | {"unit": f"{gateway.name}应急管理局"}]},
            "prometheus": {"url": f"http://127.0.0.1:{self.plan.prometheus}"},
            # A rehearsal at the desk does not wait ten minutes for a county that was switched off.
            "rollcall": {"presence_s": 20.0, "makeup_every_s": 5.0},
        }
        if gateway.parent is not None:
            content["upstream"] = {
                "url": base_url(self.plan, self.plan.gateway(gateway.parent)),
                "token_file": self.token_file(gateway.code),
                "broker": f"127.0.0.1:{self.plan.gateway(gateway.parent).broker}",
            }
        return content

    def agent(self, agent: AgentPlan, *, check: bool) -> dict[str, Any]:
        """Return the settings of one agent."""
        link: dict[str, Any] = {
            "url": base_url(self.plan, self.plan.gateway(agent.gateway)),
            "enrolment_token_file": self.token_file(agent.node),
        }
        # Ports may differ from those told at the enrolment, which stands in the identity for good.
        port = self.plan.gateway(agent.gateway).broker
        link["broker"] = f"127.0.0.1:{self.plan.cut_line if check and agent.centre == CUT_COUNTY else port}"
        return {
            "node": {"id": agent.node},
            "gateway": link,
            "state": {"dir": self.node_dir(agent.node), "quota_mb": 128, "ballast_mb": 1},
            "webhook": {"enabled": True, "port": agent.webhook, "secret_file": self.secret_file(agent.node)},
            "management": {"port": agent.management},
            "answer_page": {"enabled": True, "port": agent.answer_page, "pin_file": self.pin_file(agent.node)},
            "audio": {"output": f"file:{self.heard_file(agent.node)}"},
            "cameras": [
                self._camera(camera, agent) for camera in cameras(self.plan) if camera.stream[:6] == agent.centre
            ],
            "sensors": [
                {"kind": "simulator", "name": "simulator", "rate_per_minute": 2.0, "seed": agent.number + 1, "keys": 4}
            ],
        }

    def _camera(self, camera: Camera, agent: AgentPlan) -> dict[str, Any]:
        own: dict[str, Any] = {
            "name": camera.stream.partition("/")[2],
            "title": f"{agent.name}{camera.title}",
            "kind": camera.kind,
            "label": camera.label,
        }
        match camera.kind:
            case "rtsp":
                own["url"] = f"rtsp://127.0.0.1:{self.plan.rtsp}/street"
            case "file":
                own["path"] = self.film
            case _:
                own.update(audio="tone", frame_rate=15, key_frame_s=1.0)
        return own


def _write(path: Path, content: dict[str, Any]) -> None:
    path.touch(mode=0o600)
    path.write_text(dumps(content), encoding="utf-8")
