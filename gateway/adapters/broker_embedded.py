"""The zero-install broker: amqtt in a process of its own. Good for a demo and a first look, **not for production**.

It speaks MQTT 3.1.1 alone, answers a refused publish like an accepted one, and bounds no queue; the links' own receipts
make up for that. `production` is False, and health, API and console say so.
"""

import json
import os
import sys
from pathlib import Path

from typing_extensions import override

from gateway.adapters.broker_child import ChildBroker


class EmbeddedBroker(ChildBroker):
    """Contract: `gateway.ports.broker`."""

    kind = "embedded"
    production = False

    @override
    def prepare(self) -> None:
        config = {
            "gateway": self.gateway,
            "host": self.host,
            "port": self.port,
            "ca": str(self.server.ca),
            "certificate": str(self.server.certificate),
            "key": str(self.server.key),
        }
        self.config_file.write_text(json.dumps(config), "utf-8")

    @override
    def environment(self) -> dict[str, str]:
        # The child must find the package that this process runs, installed or not.
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH", "")) if part)
        return {**os.environ, "PYTHONPATH": path}

    @override
    def command(self) -> tuple[str, ...]:
        return (sys.executable, "-m", "gateway.adapters.embedded_process", str(self.config_file))
