"""The demo's plan: every listener has its own port, 如东 always takes part."""

import pytest

from gateway.demo.topology import BLOCK, CITY, STAFFED_COUNTY, counties, make_plan

PORTS = list(range(8080, 8080 + BLOCK))


def test_documented_ports_of_the_consoles():
    plan = make_plan("127.0.0.1", 7, PORTS)
    assert [gateway.http for gateway in plan.gateways] == [8080, 8081, 8082, 8083]
    assert plan.gateway(CITY).http == 8080


def test_no_two_listeners_share_a_port():
    plan = make_plan("127.0.0.1", 7, PORTS)
    everything = [*plan.tcp_ports(), *plan.udp_ports()]
    assert len(set(everything)) == len(everything)
    assert set(everything) <= set(PORTS)


def test_agents_link_to_the_city_except_the_staffed_county():
    plan = make_plan("127.0.0.1", 7, PORTS)
    assert {a.node: a.gateway for a in plan.agents}["320623-box"] == STAFFED_COUNTY
    assert sum(a.gateway == CITY for a in plan.agents) == 6


def test_one_county_is_the_staffed_one():
    assert [a.centre for a in make_plan("127.0.0.1", 1, PORTS).agents] == [STAFFED_COUNTY]


@pytest.mark.parametrize("count", [0, 8])
def test_a_count_outside_the_table_is_an_error(count):
    with pytest.raises(ValueError, match="1 to 7"):
        make_plan("127.0.0.1", count, PORTS)


def test_the_seven_counties():
    assert set(counties()) == {"320612", "320613", "320614", "320623", "320681", "320682", "320685"}
