from pathlib import Path

import pytest

from gateway.settings import Settings, is_loopback, load_settings
from protocols.errors import ConfigError


def written(tmp_path, text):
    path = tmp_path / "silian.toml"
    path.write_text(text, encoding="utf-8")
    return path


GOOD = '[centre]\ncode = "320600"\n[http]\nport = 1\nhost = "127.0.0.1"\n[state]\ndir = "data"\n'


def test_flags_beat_environment_beats_file(tmp_path):
    path = written(tmp_path, GOOD)
    from_file = load_settings(path, environment={})
    assert (from_file.http.port, from_file.state.dir) == (1, tmp_path / "data")
    env = {"SILIAN_HTTP__PORT": "2", "SILIAN_BROKER__NAMES": '["city.example"]', "SILIAN_STATE__DIR": "/srv/x"}
    from_env = load_settings(path, environment=env)
    assert (from_env.http.port, from_env.state.dir) == (2, Path("/srv/x"))
    assert from_env.broker.names == ("city.example",)
    assert load_settings(path, environment=env, flags={"http": {"port": 3}}).http.port == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[centre]\ncode = "320600"\n[http]\nprot = 1\n', "unknown key http.prot; did you mean http.port?"),
        ('[centre]\ncode = "320600"\n[htpp]\nport = 1\n', "did you mean http?"),
        ('[centre]\ncode = "320600"\n[management]\nurl = "x"\n', "unknown key management.url"),
        ('[centre]\ncode = "three"\n', "centre.code"),
        ("", "centre is missing"),
        ("centre", "is not TOML"),
        ('[centre]\ncode = "320600"\n[http]\ntls_key = "k"\n', "belong together"),
        ('[centre]\ncode = "320600"\n[broker]\nkind = "url"\n', "broker.url is missing"),
        ('[centre]\ncode = "320600"\n[broker]\nkind = "rabbit"\n', "broker.kind"),
        ('[centre]\ncode = "320600"\n[upstream]\nurl = "ftp://x"\n', "upstream.url"),
    ],
)
def test_what_cannot_work_is_named_with_its_key(tmp_path, text, said):
    with pytest.raises(ConfigError) as caught:
        load_settings(written(tmp_path, text), environment={})
    assert said in str(caught.value)


def test_an_unknown_environment_section_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"SILIAN_HTPP__PORT.*http\.port"):
        load_settings(written(tmp_path, GOOD), environment={"SILIAN_HTPP__PORT": "1"})


def test_a_missing_file_says_how_to_get_one(tmp_path):
    with pytest.raises(ConfigError, match="config sample"):
        load_settings(tmp_path / "none.toml", environment={})


def test_an_enrolment_token_is_not_repeated_in_an_error(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load_settings(written(tmp_path, GOOD + "[upstream]\ntoken = 12345\n"), environment={})
    assert "12345" not in str(caught.value)


def test_own_code_must_be_in_the_table(tmp_path):
    settings = Settings.model_validate({"centre": {"code": "110000"}})
    with pytest.raises(ConfigError, match="110000"):
        settings.centres()
    table = tmp_path / "centres.csv"
    table.write_text("code,name,name_en,tier,parent\n110000,北京市,Beijing,provincial,\n", encoding="utf-8")
    own = Settings.model_validate({"centre": {"code": "110000", "table": table}})
    assert own.centres()["110000"].name == "北京市"


@pytest.mark.parametrize(
    ("http", "tls"),
    [
        ({"host": "127.0.0.1"}, False),
        ({"host": "::1"}, False),
        ({"host": "10.1.2.3"}, True),
        ({"host": "10.1.2.3", "behind_proxy": True}, False),
        ({"host": "127.0.0.1", "tls_certificate": "c", "tls_key": "k"}, True),
    ],
)
def test_beyond_loopback_there_is_no_plain_http(http, tls):
    settings = Settings.model_validate({"centre": {"code": "320600"}, "http": http})
    assert settings.tls is tls
    assert settings.base_url.startswith("https://" if tls else "http://")


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ({"http": {"host": "0.0.0.0"}}, "http.public_url"),
        ({"media": {"host": "::"}}, "media.advertise"),
        ({"media": {"port": 65534, "workers": 3}}, "media.workers"),
    ],
)
def test_an_address_that_nobody_can_reach_is_a_start_up_error(section, key):
    with pytest.raises(ValueError, match=key):
        Settings.model_validate({"centre": {"code": "320600"}, **section})


def test_loopback_is_recognised():
    assert [is_loopback(h) for h in ("localhost", "127.1.2.3", "::1", "0.0.0.0", "10.0.0.1", "city.example")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]
