"""The sample configurations are what the commands print."""

from edge_agent.sample import sample as agent_sample
from gateway.sample import sample as gateway_sample
from tests.support.house import ROOT

SAMPLES = ROOT / "deploy" / "samples"


def test_the_agent_sample_is_current():
    assert (SAMPLES / "agent.toml").read_text("utf-8") == agent_sample(), "run: silian-agent config sample"


def test_the_gateway_sample_is_current():
    assert (SAMPLES / "gateway.toml").read_text("utf-8") == gateway_sample(), "run: silian config sample"
