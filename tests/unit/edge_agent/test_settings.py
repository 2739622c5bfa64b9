import re
import tomllib

import pytest

from edge_agent.sample import sample
from edge_agent.settings import SECTIONS, CameraKind, load, parse
from protocols.errors import ConfigError

GOOD = {"node": {"id": "320623-box"}, "gateway": {"url": "http://127.0.0.1:8080/"}}


def test_the_generated_sample_is_accepted_and_shows_every_key(tmp_path):
    file = tmp_path / "agent.toml"
    file.write_text(sample(), "utf-8")
    settings = load(file)
    assert settings.centre == "320623"
    assert settings.cameras[0].kind is CameraKind.TESTCARD
    lines = [
        line.removeprefix("# ") for line in sample().splitlines() if re.match(r"# [a-z_0-9]+ = |[a-z_0-9]+ = |\[", line)
    ]
    shown = tomllib.loads("\n".join(lines))
    assert parse({**shown, "webhook": {}}).state == settings.state
    for name, model in SECTIONS.items():
        assert all(f"\n{key} =" in sample() or f"\n# {key} =" in sample() for key in model.model_fields), name


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"gatway": {}}, ["gatway", "gateway"]),
        ({"state": {"quotamb": 3}}, ["state.quotamb", "quota_mb"]),
        ({"cameras": [{"name": "a", "kind": "testcard", "titel": "x"}]}, ["cameras.0.titel", "title"]),
        ({"node": {"id": "320623"}}, ["node.id", "suffix"]),
        ({"cameras": [{"name": "a", "kind": "rtsp"}]}, ["cameras.0", "rtsp://"]),
        ({"cameras": [{"name": "a", "kind": "testcard"}] * 2}, ["twice: a"]),
        ({"webhook": {"enabled": True}}, ["secret_file"]),
        ({"audio": {"output": "loud"}}, ["audio.output", "alsa:NAME"]),
    ],
)
def test_what_cannot_work_is_named(wrong, words):
    with pytest.raises(ConfigError) as caught:
        parse({**GOOD, **wrong})
    for word in words:
        assert word in str(caught.value)


def test_the_environment_wins_over_the_file(monkeypatch):
    monkeypatch.setenv("SILIAN_AGENT_GATEWAY__URL", "https://10.0.0.1:443")
    monkeypatch.setenv("SILIAN_AGENT_STATE__QUOTA_MB", "7")
    settings = parse({**GOOD, "state": {"history_h": 5}})
    assert settings.gateway.url == "https://10.0.0.1:443"
    assert (settings.state.quota_mb, settings.state.history_h) == (7, 5)


def test_an_unknown_key_in_the_environment_is_named(monkeypatch):
    monkeypatch.setenv("SILIAN_AGENT_GATEWY__URL", "http://x")
    with pytest.raises(ConfigError, match="SILIAN_AGENT_GATEWAY"):
        parse(GOOD)


def test_a_missing_file_says_what_to_type(tmp_path):
    with pytest.raises(ConfigError, match="config sample"):
        load(tmp_path / "none.toml")


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        parse(GOOD).node = None


def test_where_a_person_must_answer_there_is_a_page_to_answer_at():
    with pytest.raises(ConfigError, match=r"\[answer_page\]"):
        parse({**GOOD, "answer": {"policy": "ring"}})
    settings = parse({**GOOD, "answer": {"policy": "ring"}, "answer_page": {"enabled": True}})
    assert settings.answer_page.host == "127.0.0.1"
