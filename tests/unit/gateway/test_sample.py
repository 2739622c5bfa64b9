import tomllib

from gateway.sample import sample
from gateway.settings import Settings, known_keys, load_settings


def test_the_sample_works_as_it_stands(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text(sample(), encoding="utf-8")
    settings = load_settings(path, environment={})
    assert settings == Settings.model_validate({"centre": {"code": "320600"}})


def test_every_setting_is_in_the_sample_and_every_line_is_a_setting(tmp_path):
    shown, section = set(), ""
    for line in sample().splitlines():
        bare = line.removeprefix("# ")
        if line.startswith("["):
            section = line.strip("[]")
        elif " =" in bare and bare.split(" =")[0].isidentifier():
            shown.add((section, bare.split(" =")[0]))
    assert shown == {(section, key) for section, keys in known_keys().items() for key in keys} | {("", "key")} - {
        ("", "key")
    }


def test_uncommented_defaults_still_load(tmp_path):
    lines = [
        line.removeprefix("# ") if " = " in line and line.startswith("# ") else line for line in sample().splitlines()
    ]
    lines = [line for line in lines if line.startswith("[") or (" = " in line and line.split(" = ")[0].isidentifier())]
    content = tomllib.loads("\n".join(lines))
    assert Settings.model_validate(content) == Settings.model_validate({"centre": {"code": "320600"}})


def test_every_key_is_explained():
    for name, outer in Settings.model_fields.items():
        for key, field in outer.annotation.model_fields.items():
            assert field.description, f"{name}.{key}"
