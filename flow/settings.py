"""Settings as all functions read them: the home zone, the parts of a day, quiet hours, webhook."""

from functools import cache
from typing import Final, Literal

from attrs import frozen

from flow.schema import (
    AFTERNOON,
    ALL_DAY_REMINDER,
    EVENING,
    MORNING,
    NIGHT,
    WORKDAY_END,
    SettingsRow,
)
from flow_backend import AppError, Instant, MutationCtx, QueryCtx, Time

HOME_ZONE: Final = "UTC"
"""The zone of home until somebody, or the first device, has said another."""


@frozen(kw_only=True)
class Settings:
    """What is set, or its default. The secret of the webhook is not here: see :func:`webhook_of`.

    Attributes:
        home_zone: an IANA zone; days begin and end by it.
        home_zone_is_set: whether somebody said so; a first device may as long as nobody did.
        morning, afternoon, evening, night, workday_end: when those words mean.
        all_day_reminder: when reminders of a day without a time ring.
        webhook_gone_at: when its receiver said that it wants no more: until it is set anew, nothing
            is sent.
        quiet_from, quiet_until: wall times between which nothing rings; both or neither.
    """

    home_zone: str = HOME_ZONE
    home_zone_is_set: bool = False
    morning: Time = MORNING
    afternoon: Time = AFTERNOON
    evening: Time = EVENING
    night: Time = NIGHT
    workday_end: Time = WORKDAY_END
    all_day_reminder: Time = ALL_DAY_REMINDER
    week_starts: Literal["monday", "sunday"] = "monday"
    date_order: Literal["mdy", "dmy"] = "mdy"
    quiet_from: Time | None = None
    quiet_until: Time | None = None
    webhook_url: str | None = None
    webhook_gone_at: Instant | None = None


@frozen
class Webhook:
    """Where reminders are sent, and what they are signed with."""

    url: str
    secret: str


DEFAULTS: Final = Settings()


def settings_row(ctx: QueryCtx | MutationCtx) -> SettingsRow | None:
    """Give the one row of settings, or None as long as nothing was ever changed."""
    return ctx.db.scan(SettingsRow).first()


def settings_of(ctx: QueryCtx | MutationCtx) -> Settings:
    """Give the settings; a live query that asks is run again when they change."""
    row = settings_row(ctx)
    return DEFAULTS if row is None else as_settings(row)


def webhook_of(ctx: QueryCtx | MutationCtx) -> Webhook | None:
    """Give the webhook with its secret, for functions that no client can call."""
    row = settings_row(ctx)
    if row is None or row.webhook_url is None or row.webhook_secret is None:
        return None
    if row.webhook_gone_at is not None:
        return None
    return Webhook(row.webhook_url, row.webhook_secret)


def as_settings(row: SettingsRow) -> Settings:
    """Give a row's settings without what is secret."""
    return Settings(
        home_zone=row.home_zone or HOME_ZONE,
        home_zone_is_set=row.home_zone is not None,
        morning=row.morning,
        afternoon=row.afternoon,
        evening=row.evening,
        night=row.night,
        workday_end=row.workday_end,
        all_day_reminder=row.all_day_reminder,
        week_starts=row.week_starts,
        date_order=row.date_order,
        quiet_from=row.quiet_from,
        quiet_until=row.quiet_until,
        webhook_url=row.webhook_url,
        webhook_gone_at=row.webhook_gone_at,
    )


def checked_zone(name: str) -> str:
    """Give the name if it is an IANA time zone.

    Raises: AppError that shows what one looks like.
    """
    if not is_zone(name):
        shown = name if len(name) <= 60 else f"{name[:60]}…"
        raise AppError(
            f'There is no time zone "{shown}". Give its IANA name, such as "Europe/Berlin" or '
            '"America/New_York".'
        )
    return name


def is_zone(name: str) -> bool:
    """Say whether there is a time zone of this name."""
    # The names that come with Flow, not what the host's folder happens to hold: there
    # "localtime" and "posix/Europe/Berlin" would be zones, and mean nothing elsewhere.
    return name in _zones()


@cache
def _zones() -> frozenset[str]:
    from importlib.resources import files  # Only who sets a zone needs it.

    names = files("tzdata").joinpath("zones").read_text("utf-8").split()
    return frozenset(names) - {"Factory"}  # It stands for "nobody has set one".
