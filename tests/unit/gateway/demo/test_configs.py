"""The demo's settings files are read by the programs they are for, without a complaint."""

import json
import stat

import pytest

from edge_agent.settings import load as load_agent
from gateway.demo.banner import banner
from gateway.demo.configs import ConfigFiles, cameras
from gateway.demo.prometheus import MISSING, write_config
from gateway.demo.state import StateDir
from gateway.demo.topology import BLOCK, GATEWAYS, make_plan
from gateway.settings import load_settings


@pytest.fixture
def files(tmp_path):
    made = ConfigFiles(make_plan("127.0.0.1", 7, list(range(8080, 8080 + BLOCK))), StateDir(tmp_path))
    made.write_all(check=False)
    return made


def test_gateways_read_their_files(files):
    read = {code: load_settings(files.gateway_file(code), environment={}) for code in GATEWAYS}
    assert read["320600"].upstream.url == "http://127.0.0.1:8081"
    assert read["000000"].upstream.url is None
    assert {s.management.host for s in read.values()} == {"127.0.0.1"}


def test_agents_read_their_files(files):
    read = {agent.node: load_agent(files.agent_file(agent.node)) for agent in files.plan.agents}
    assert read["320623-box"].gateway.url == "http://127.0.0.1:8083"
    assert [c.kind.value for c in read["320612-box"].cameras] == ["testcard", "rtsp"]
    assert read["320613-box"].cameras[1].label == "录像演示"
    assert all(settings.cameras[0].name == "room" for settings in read.values())


def test_the_check_leads_one_county_over_the_line(files, tmp_path):
    files.write_all(check=True)
    line = f"127.0.0.1:{files.plan.cut_line}"
    over = [a.node for a in files.plan.agents if load_agent(files.agent_file(a.node)).gateway.broker == line]
    assert over == ["320685-box"]


def test_files_with_secrets_are_private(files):
    assert stat.S_IMODE(files.agent_file("320612-box").stat().st_mode) == 0o600


def test_every_county_has_a_card_and_two_have_another_camera(files):
    found = cameras(files.plan)
    assert sum(camera.kind == "testcard" for camera in found) == 7
    assert [camera.stream for camera in found if camera.kind != "testcard"] == ["320612/street", "320613/river"]


def test_prometheus_scrapes_every_management_listener(files, tmp_path):
    content = json.loads(write_config(files.plan, StateDir(tmp_path)).read_text())
    targets = [t for job in content["scrape_configs"] for group in job["static_configs"] for t in group["targets"]]
    due = [g.management for g in files.plan.gateways] + [a.management for a in files.plan.agents]
    assert sorted(targets) == sorted(f"127.0.0.1:{port}" for port in due)


def test_the_banner_names_consoles_accounts_and_what_is_missing():
    user = {"dispatcher": {"username": "dispatcher", "password": "abcd-efgh"}}
    place = {"tier": "city", "name": "南通市", "url": "http://127.0.0.1:8080", "users": user}
    text = banner(
        {"gateways": {"320600": place}, "state_dir": "/s", "prometheus": {"url": None, "missing": MISSING}},
    )
    for words in ("http://127.0.0.1:8080", "abcd-efgh", "apt-get install prometheus", "Ctrl-C"):
        assert words in text
