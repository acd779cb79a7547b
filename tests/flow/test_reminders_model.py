"""Any history of reminders: each rings once for an occurrence, none early, and its job is there.

Source: the product's page on reminders, section 14; the guarantees, F8.
"""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from tests.effort import cases
from tests.flow.support import Said
from tests.flow.test_recurrence import BERLIN, NY, utc
from tests.flow.timeline import Timeline, open_timeline

HOUR = 3_600_000.0
RULES = (
    None,
    "FREQ=DAILY",
    "FREQ=DAILY;INTERVAL=2",
    "FREQ=HOURLY;INTERVAL=5",
    "FREQ=WEEKLY;BYDAY=MO,TH",
    "FREQ=DAILY;COUNT=3",
)
ZONES = (NY, BERLIN, "Australia/Lord_Howe", "UTC")


class Reminders(RuleBasedStateMachine):
    """Lets time pass, with the server up, down, or its clock set, while people do things."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = open_timeline("2026-10-23 12:00")
        self.time: Timeline = self.opened.__enter__()
        self.made: list[str] = []
        self.rang: dict[tuple[str, str], float] = {}
        self.is_moved = False

    def teardown(self) -> None:
        self.opened.__exit__(None, None, None)

    @initialize(zone=st.sampled_from(ZONES), quiet=st.booleans())
    def settle(self, zone: str, quiet: bool) -> None:
        hours = {"quiet_from": "22:00", "quiet_until": "07:00"} if quiet else {}
        self.time.do("people:change_settings", home_zone=zone, **hours)

    @precondition(lambda self: len(self.made) < 6)
    @rule(
        day=st.integers(22, 31),
        hour=st.integers(0, 23),
        minute=st.sampled_from([0, 30]),
        body=st.sampled_from(RULES),
        zone=st.sampled_from([None, *ZONES]),
        anchor=st.sampled_from(["schedule", "done"]),
    )
    def create(
        self, day: int, hour: int, minute: int, body: str | None, zone: str | None, anchor: str
    ) -> None:
        more: dict[str, Any] = {} if body is None else {"rule": body, "anchor": anchor}
        try:
            made = self.time.do(
                "reminders:create",
                title="Tea",
                due_date=f"2026-10-{day}",
                due_time=f"{hour:02}:{minute:02}",
                zone=zone,
                **more,
            )
        except Said as said:
            assert "no day to come" in str(said)  # noqa: PT017  # Three days may be over.
        else:
            self.made.append(made)
        self.time.catch_up()

    @rule(hours=st.integers(1, 60))
    def run_on(self, hours: int) -> None:
        self.time.go(utc(self.time.now + hours * HOUR))

    @rule(hours=st.integers(1, 100))
    def be_down(self, hours: int) -> None:
        self.time.jump(utc(self.time.now + hours * HOUR))
        self.time.catch_up()

    @rule(hours=st.integers(1, 26))
    def set_the_clock_back(self, hours: int) -> None:
        self.time.jump(utc(self.time.now - hours * HOUR))
        self.time.catch_up()

    @rule(zone=st.sampled_from(ZONES))
    def move(self, zone: str) -> None:
        self.is_moved = True
        self.time.do("people:change_settings", home_zone=zone)
        self.time.catch_up()

    @precondition(lambda self: self.made)
    @rule(
        data=st.data(),
        what=st.sampled_from(["acknowledge", "snooze", "cancel", "restore", "again"]),
    )
    def answer(self, data: st.DataObject, what: str) -> None:
        reminder = data.draw(st.sampled_from(self.made))
        match what:
            case "acknowledge":
                self.time.do("reminders:acknowledge", reminder=reminder)
            case "again":
                for each in self.time.query("reminders:ringing"):
                    args = {"reminder": each["reminder"], "occurrence": each["occurrence"]}
                    self.time.do("reminders:acknowledge", **args)
                    self.time.do("reminders:acknowledge", **args)
            case "snooze":
                until = self.time.now + data.draw(st.integers(1, 40)) * HOUR
                try:
                    self.time.do("reminders:snooze", reminder=reminder, until=until)
                except Said as said:
                    assert "does not ring" in str(said)  # noqa: PT017
            case "restore":
                self.restore(reminder)
            case _:
                self.time.do("reminders:cancel", reminder=reminder)
        self.time.catch_up()

    def restore(self, reminder: str) -> None:
        """Restore it: what rang is on the screen again at most, and its rings stay counted."""
        before = {each["_id"]: each for each in self.time.rows("deliveries")}
        try:
            self.time.do("reminders:restore", reminder=reminder)
        except Said as said:
            assert "has passed" in str(said)  # noqa: PT017
        for each in self.time.rows("deliveries"):
            was = before.pop(each["_id"])
            assert each == {**was, "state": each["state"]}
            if each["state"] != was["state"]:
                assert (each["reminder"], was["state"]) == (reminder, "ended")
                del self.rang[reminder, each["occurrence"]]
        assert not before

    @invariant()
    def each_that_waits_has_its_one_job(self) -> None:
        rows = self.time.rows("reminders")
        jobs = [each for each in self.time.pending() if each["name"] == "ringing:ring"]

        assert {row["job"] for row in rows if row["job"]} == {job["_id"] for job in jobs}
        for row in rows:
            waits = [row[name] for name in ("next_at", "snoozed_until", "held_until") if row[name]]
            assert (row["job"] is not None) == bool(waits), row
            # Nothing is left half-way: what waits is to come, and its job comes with it.
            assert all(at > self.time.now for at in waits), (row, self.time.now)
            assert row["wakes_at"] == min(waits, default=None)
            if row["state"] == "canceled":
                assert not waits

    @invariant()
    def one_occurrence_is_open_and_none_rang_early(self) -> None:
        open_states = {"ringing", "snoozed", "held"}
        deliveries = self.time.rows("deliveries")
        rows = {row["_id"]: row for row in self.time.rows("reminders")}

        opened = [each for each in deliveries if each["state"] in open_states]
        assert len({each["reminder"] for each in opened}) == len(opened)
        for each in opened:
            row = rows[each["reminder"]]
            assert row["open"] == each["occurrence"]
            assert (row["state"] == "ringing") == (each["state"] == "ringing")
        for each in deliveries:
            assert each["due_at"] <= each["rang_at"]
            if each["state"] == "ringing" and each["late_seconds"] == 0 and each["rings"] == 1:
                assert each["rang_at"] - each["due_at"] < 60_000

    @invariant()
    def an_occurrence_never_comes_back(self) -> None:
        """What was acknowledged, replaced or listed stays so, whatever the clock does."""
        for each in self.time.rows("deliveries"):
            key = each["reminder"], each["occurrence"]
            over = each["state"] in {"acknowledged", "replaced", "ended"}
            assert over or key not in self.rang, each
            if over:
                self.rang[key] = each["rang_at"]


@pytest.mark.slow
def test_f8_any_history_of_reminders() -> None:
    Reminders.TestCase.settings = settings(
        max_examples=cases(120, 3_000), stateful_step_count=25, deadline=None
    )
    Reminders.TestCase().runTest()
