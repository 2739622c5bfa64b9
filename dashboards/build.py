"""`python -m dashboards.build`: writes the Grafana JSON (classic schema) of every dashboard into `dashboards/grafana/`.

The JSON is committed, because sites without Python load it too; a test builds it again and compares.
"""

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.links import links_dashboard
from dashboards.orders import orders_dashboard
from dashboards.rollcalls import rollcalls_dashboard

GRAFANA = Path(__file__).parent / "grafana"
BUILDERS = {"four_tier_links": links_dashboard, "roll_calls": rollcalls_dashboard, "orders": orders_dashboard}


def render(name: str) -> str:
    """Return the JSON text of one dashboard."""
    model = BUILDERS[name]().build()
    content = json.loads(JSONEncoder(sort_keys=True).encode(model))
    return json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def main() -> None:
    """Write all."""
    GRAFANA.mkdir(exist_ok=True)
    for name in BUILDERS:
        (GRAFANA / f"{name}.json").write_text(render(name), encoding="utf-8")


if __name__ == "__main__":
    main()
