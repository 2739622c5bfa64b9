"""Prometheus beside the demo, where it is installed: all management listeners, with the product's own rules."""

import json
import shutil
from pathlib import Path
from typing import Any

from gateway.demo.state import StateDir
from gateway.demo.topology import Plan

MISSING = "未安装 Prometheus：apt-get install prometheus 后重新运行可看曲线与告警规则。 Prometheus is not installed."


def find_prometheus() -> str | None:
    """Return the installed program, None where there is none."""
    return shutil.which("prometheus")


def rules_dir() -> Path | None:
    """Return the rules: in a checkout beside the packages, in an installed wheel among the gateway's assets."""
    gateway = Path(__file__).resolve().parents[1]
    for place in (gateway.parent / "dashboards" / "rules", gateway / "_assets" / "rules"):
        if place.is_dir():
            return place
    return None


def write_config(plan: Plan, state: StateDir, *, interval: str = "5s") -> Path:
    """Write the configuration (JSON, which is YAML) and return its path."""
    rules = rules_dir()
    content: dict[str, Any] = {
        "global": {"scrape_interval": interval, "evaluation_interval": interval},
        "rule_files": [str(rules / "*.yml")] if rules is not None else [],
        "scrape_configs": [
            {
                "job_name": "silian-gateway",
                "static_configs": [
                    {"targets": [f"127.0.0.1:{g.management}"], "labels": {"gateway": g.code, "tier": g.tier.value}}
                    for g in plan.gateways
                ],
            },
            {
                "job_name": "silian-agent",
                "static_configs": [
                    {"targets": [f"127.0.0.1:{a.management}"], "labels": {"agent": a.node}} for a in plan.agents
                ],
            },
        ],
    }
    path = state.path / "config" / "prometheus.yml"
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2), encoding="utf-8")
    return path


def command(program: str, plan: Plan, state: StateDir) -> list[str]:
    """Return the command line; data of two days is kept in the demo's directory."""
    return [
        program,
        f"--config.file={write_config(plan, state)}",
        f"--storage.tsdb.path={state.path / 'prometheus'}",
        "--storage.tsdb.retention.time=2d",
        f"--web.listen-address=127.0.0.1:{plan.prometheus}",
        "--log.level=warn",
    ]
