"""Who runs in the demo and on which port: one block of ports from one base.

======  ==========================================================
offset  listener
======  ==========================================================
0       console and API of the city 320600 (default 8080)
1       the province 320000
2       the nation 000000
3       the county 如东 320623
10-13   management listeners (metrics) in the same order
20-23   media (UDP) in the same order, one worker each
30-33   brokers in the same order
40      Prometheus
41      the RTSP camera
42      the cut line of `--check`
50-56   webhooks of the agents, in the order of their counties
60-66   management listeners of the agents, in the same order
70-76   answer pages of the agents, in the same order
======  ==========================================================
"""

from dataclasses import dataclass
from datetime import date

from protocols.ids import NATION
from protocols.tiers import NANTONG, CentreTable, Tier

CITY = "320600"
PROVINCE = "320000"
STAFFED_COUNTY = "320623"
"""如东: the county with a gateway and a console of its own."""
BLOCK = 80
"""Ports in the block, taken or not."""
GATEWAYS = (CITY, PROVINCE, NATION, STAFFED_COUNTY)
PARENTS = {CITY: PROVINCE, PROVINCE: NATION, NATION: None, STAFFED_COUNTY: CITY}
RTSP_COUNTY = "320612"
FILM_COUNTY = "320613"
FROZEN_COUNTY = "320681"
CUT_COUNTY = "320685"


@dataclass(frozen=True, slots=True)
class GatewayPlan:
    """One gateway. `parent` is the code of the gateway above."""

    code: str
    name: str
    name_en: str
    tier: Tier
    parent: str | None
    http: int
    management: int
    media: int
    broker: int


@dataclass(frozen=True, slots=True)
class AgentPlan:
    """One agent. `gateway` is the code of the gateway that it is linked to; `number` counts from 0."""

    node: str
    centre: str
    name: str
    name_en: str
    gateway: str
    number: int
    webhook: int
    management: int
    answer_page: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole demo."""

    host: str
    gateways: tuple[GatewayPlan, ...]
    agents: tuple[AgentPlan, ...]
    prometheus: int
    rtsp: int
    cut_line: int

    def gateway(self, code: str) -> GatewayPlan:
        """Return a gateway by its code."""
        return next(gateway for gateway in self.gateways if gateway.code == code)

    def tcp_ports(self) -> tuple[int, ...]:
        """Return every TCP port that must be free."""
        own = [port for g in self.gateways for port in (g.http, g.management, g.broker)]
        return (
            *own,
            *(port for a in self.agents for port in (a.webhook, a.management, a.answer_page)),
            self.prometheus,
            self.rtsp,
            self.cut_line,
        )

    def udp_ports(self) -> tuple[int, ...]:
        """Return every UDP port that must be free."""
        return tuple(gateway.media for gateway in self.gateways)


def counties() -> tuple[str, ...]:
    """Return the counties of the demo, 如东 first, then the others in order of their codes."""
    below = [c.code for c in CentreTable(NANTONG).children(CITY, date(2026, 1, 1))]
    return (STAFFED_COUNTY, *(code for code in below if code != STAFFED_COUNTY))


def make_plan(host: str, count: int, ports: list[int]) -> Plan:
    """Lay `count` counties out over the `BLOCK` ports; raises ValueError for a count that the table cannot give."""
    chosen = counties()[:count]
    if not 1 <= count <= len(counties()):
        raise ValueError(f"--counties must be 1 to {len(counties())}")
    table = CentreTable(NANTONG)
    gateways = tuple(
        GatewayPlan(
            code=code,
            name=table[code].name,
            name_en=table[code].name_en,
            tier=table[code].tier,
            parent=PARENTS[code],
            http=ports[number],
            management=ports[10 + number],
            media=ports[20 + number],
            broker=ports[30 + number],
        )
        for number, code in enumerate(GATEWAYS)
    )
    agents = tuple(
        AgentPlan(
            node=f"{code}-box",
            centre=code,
            name=table[code].name,
            name_en=table[code].name_en,
            gateway=STAFFED_COUNTY if code == STAFFED_COUNTY else CITY,
            number=number,
            webhook=ports[50 + number],
            management=ports[60 + number],
            answer_page=ports[70 + number],
        )
        for number, code in enumerate(chosen)
    )
    return Plan(host, gateways, agents, prometheus=ports[40], rtsp=ports[41], cut_line=ports[42])
