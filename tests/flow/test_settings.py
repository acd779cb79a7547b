"""Settings: their defaults, what may be set, and what is refused with an example."""

from typing import Any

import pytest

from flow.settings import checked_zone
from tests.flow.support import Flow, Said

DEFAULTS: dict[str, Any] = {
    "home_zone": "UTC",
    "home_zone_is_set": False,
    "morning": "09:00",
    "afternoon": "14:00",
    "evening": "18:00",
    "night": "21:00",
    "workday_end": "17:00",
    "all_day_reminder": "09:00",
    "week_starts": "monday",
    "date_order": "mdy",
    "quiet_from": None,
    "quiet_until": None,
    "webhook_url": None,
    "webhook_gone_at": None,
}
SECRET = "a secret of some length"


def shown(flow: Flow) -> dict[str, Any]:
    return dict(flow.query("people:settings"))


def changed(flow: Flow) -> dict[str, Any]:
    return {name: value for name, value in shown(flow).items() if value != DEFAULTS[name]}


def refusal(flow: Flow, path: str = "people:change_settings", **change: object) -> str:
    """Give the words of a refusal, and see that it changed nothing."""
    before = shown(flow)
    with pytest.raises(Said) as refused:
        flow.do(path, **change)
    assert shown(flow) == before
    return str(refused.value)


def test_defaults_hold_until_something_is_set(flow: Flow) -> None:
    assert shown(flow) == DEFAULTS


def test_what_is_given_changes_and_the_rest_stays(flow: Flow) -> None:
    flow.do("people:change_settings", home_zone="Europe/Berlin", evening="19:30")
    flow.do("people:change_settings", week_starts="sunday", date_order="dmy")
    flow.do("people:change_settings", quiet_from="22:00", quiet_until="07:00")

    expected = {
        "home_zone": "Europe/Berlin",
        "home_zone_is_set": True,
        "evening": "19:30",
        "week_starts": "sunday",
        "date_order": "dmy",
        "quiet_from": "22:00",
        "quiet_until": "07:00",
    }
    assert changed(flow) == expected


def test_the_same_again_writes_nothing(flow: Flow) -> None:
    """Then no live query is run again either."""
    given = {"home_zone": "Europe/Berlin", "quiet_from": "22:00", "quiet_until": "07:00"}
    # The settings, and the job that moves what follows the home zone.
    assert flow.mutate("people:change_settings", **given).written == 2

    assert flow.mutate("people:change_settings", **given).written == 0
    assert flow.mutate("people:change_settings").written == 0


def test_only_the_first_device_sets_the_zone(flow: Flow) -> None:
    """A phone that lands elsewhere must not move the day of the person who carries it."""
    flow.do("people:offer_zone", zone="America/New_York")
    assert flow.mutate("people:offer_zone", zone="Europe/Berlin").written == 0
    assert changed(flow) == {"home_zone": "America/New_York", "home_zone_is_set": True}

    flow.do("people:change_settings", home_zone="Europe/Berlin")
    assert changed(flow)["home_zone"] == "Europe/Berlin"


@pytest.mark.parametrize(
    "zone",
    ["", "Berlin", "europe/berlin", "GMT+1", "localtime", "posix/UTC", "../UTC", "Factory", "\0"],
)
def test_an_unknown_zone_is_refused_with_an_example(flow: Flow, zone: str) -> None:
    """Also one that only this host knows: the name would mean nothing to another."""
    for path, name in (("people:change_settings", "home_zone"), ("people:offer_zone", "zone")):
        said = refusal(flow, path, **{name: zone})
        assert said.startswith(f'There is no time zone "{zone}".')
        assert '"Europe/Berlin"' in said
    assert len(refusal(flow, home_zone="x" * 10_000)) < 200


def test_zones_that_browsers_report_are_known() -> None:
    """Some still say the older of two names."""
    for zone in ("UTC", "Asia/Calcutta", "Asia/Kolkata", "America/Argentina/Ushuaia", "Etc/GMT-14"):
        assert checked_zone(zone) == zone


def test_quiet_hours_have_both_ends(flow: Flow) -> None:
    for change in ({"quiet_from": "22:00"}, {"quiet_until": "07:00"}):
        assert "Quiet hours have a start and an end" in refusal(flow, **change)
    assert "at one time" in refusal(flow, quiet_from="07:00", quiet_until="07:00")

    flow.do("people:change_settings", quiet_from="22:00", quiet_until="07:00")
    flow.do("people:change_settings", quiet_from="23:00")
    assert "a start and an end" in refusal(flow, quiet_from=None)
    assert changed(flow) == {"quiet_from": "23:00", "quiet_until": "07:00"}
    flow.do("people:change_settings", quiet_from=None, quiet_until=None)
    assert changed(flow) == {}


def test_times_are_to_the_minute(flow: Flow) -> None:
    said = refusal(flow, workday_end="17:00:30")
    assert said == 'The time of workday end is given to the minute, such as "09:00".'


def test_a_webhook_has_an_address_and_a_secret_that_nobody_is_shown(flow: Flow) -> None:
    url = "https://example.com/flow"
    assert "together" in refusal(flow, webhook_url=url)
    assert "together" in refusal(flow, webhook_secret=SECRET)

    flow.do("people:change_settings", webhook_url=url, webhook_secret=SECRET)
    assert changed(flow) == {"webhook_url": url}
    flow.do("people:change_settings", webhook_url="http://127.0.0.1:9/x")
    assert changed(flow) == {"webhook_url": "http://127.0.0.1:9/x"}
    flow.do("people:change_settings", webhook_url="")
    assert changed(flow) == {}
    assert "together" in refusal(flow, webhook_url=url)  # The secret has gone with the address.


@pytest.mark.parametrize(
    "url", ["example.com", "ftp://example.com", "https://", "http://[x", "http://a b", "http://a:0"]
)
def test_a_webhook_that_cannot_work_is_refused(flow: Flow, url: str) -> None:
    said = refusal(flow, webhook_url=url, webhook_secret=SECRET)
    assert "https://example.com/flow" in said


def test_a_secret_that_can_be_guessed_is_refused(flow: Flow) -> None:
    url = "https://example.com/flow"
    said = refusal(flow, webhook_url=url, webhook_secret="short")
    assert "5 characters; it needs 16 to 200" in said
    assert "short" not in said
