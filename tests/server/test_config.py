"""Settings: where they come from, and what is said of those that cannot be used."""

from pathlib import Path

import attrs
import pytest

from flow_backend.errors import StartError
from flow_backend.server.config import Settings, settings_from, web_folder


def test_options_come_before_the_environment_and_that_before_the_defaults():
    environment = {"FLOW_PORT": "4000", "FLOW_HOST": "::1", "FLOW_AUTH": "no"}

    settings = settings_from(environment, {"port": 5000, "host": None})

    assert (settings.port, settings.host, settings.auth) == (5000, "::1", False)
    assert settings.data == "flow-data"


def test_lists_are_written_with_commas():
    settings = settings_from({"FLOW_ORIGINS": "https://a.example, https://b.example,"}, {})

    assert settings.origins == ("https://a.example", "https://b.example")


@pytest.mark.parametrize(
    ("name", "text"),
    [("PORT", "many"), ("PORT", "-1"), ("STALL_SECONDS", "nan"), ("AUTH", "perhaps")],
)
def test_a_value_that_cannot_be_used_is_named(name: str, text: str):
    with pytest.raises(StartError, match=rf"(?i){name}.*{text}") as refused:
        settings_from({f"FLOW_{name}": text}, {})

    assert refused.value.exit_code == 64


def test_every_setting_says_what_it_is_for():
    for attribute in attrs.fields(Settings):
        assert attribute.metadata["help"].endswith("."), attribute.name


def test_a_web_folder_that_does_not_exist_is_named(tmp_path: Path):
    assert web_folder(Settings(web=str(tmp_path))) == tmp_path
    with pytest.raises(StartError, match="gone"):
        web_folder(Settings(web=str(tmp_path / "gone")))
