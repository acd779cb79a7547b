"""People: their settings. There is one row of them until Flow has accounts."""

from typing import Any, Final, Literal, cast
from urllib.parse import urlsplit

from flow.schema import SettingsRow
from flow.settings import Settings, checked_zone, settings_of, settings_row
from flow.zone_moves import reminders_moved, tasks_moved
from flow_backend import AppError, MutationCtx, QueryCtx, Time, mutation, query

URL_MAX: Final = 2_000
SECRET_MIN: Final = 16
SECRET_MAX: Final = 200


@query
def settings(ctx: QueryCtx) -> Settings:
    """Give the settings, or their defaults."""
    return settings_of(ctx)


@mutation
def change_settings(
    ctx: MutationCtx,
    home_zone: str | None = None,
    morning: Time | None = None,
    afternoon: Time | None = None,
    evening: Time | None = None,
    night: Time | None = None,
    workday_end: Time | None = None,
    all_day_reminder: Time | None = None,
    week_starts: Literal["monday", "sunday"] | None = None,
    date_order: Literal["mdy", "dmy"] | None = None,
    quiet_from: Time | Literal["keep"] | None = "keep",
    quiet_until: Time | Literal["keep"] | None = "keep",
    webhook_url: str | None = None,
    webhook_secret: str | None = None,
) -> None:
    """Change what is given, and leave the rest.

    Quiet hours are taken away by null for both ends, the webhook (and with it its secret) by an
    empty ``webhook_url``.

    Raises: AppError for an unknown zone, half of the quiet hours, or a webhook that could not work.
    """
    times = {
        "morning": morning,
        "afternoon": afternoon,
        "evening": evening,
        "night": night,
        "workday_end": workday_end,
        "all_day_reminder": all_day_reminder,
    }
    changes: dict[str, object] = {
        name: _checked_time(name, value) for name, value in times.items() if value is not None
    }
    orders = {"week_starts": week_starts, "date_order": date_order}
    changes |= {name: value for name, value in orders.items() if value is not None}
    if home_zone is not None:
        changes["home_zone"] = checked_zone(home_zone)
    row = settings_row(ctx) or SettingsRow()
    changes |= _quiet_hours(row, quiet_from, quiet_until)
    changes |= _webhook(row, webhook_url, webhook_secret)
    _save(ctx, changes)


@mutation
def offer_zone(ctx: MutationCtx, zone: str) -> None:
    """Take a device's zone as that of home, if nobody has said one yet.

    A device that travels never moves a person's day: after the first, only a person does.
    """
    checked_zone(zone)
    if not settings_of(ctx).home_zone_is_set:
        _save(ctx, {"home_zone": zone})


def _save(ctx: MutationCtx, changes: dict[str, object]) -> None:
    if not changes:
        return
    row = settings_row(ctx)
    if row is not None:
        changes = {name: new for name, new in changes.items() if getattr(row, name) != new}
    if row is None:
        ctx.db.insert(SettingsRow(**cast("Any", changes)))
    else:
        ctx.db.patch(row.id, **changes)
    if changes.keys() & {"home_zone", "all_day_reminder"}:
        reminders_moved(ctx)
    if "home_zone" in changes:
        tasks_moved(ctx)


def _checked_time(name: str, value: Time) -> Time:
    if value.second or value.microsecond or value.tzinfo is not None:
        what = name.replace("_", " ")
        raise AppError(f'The time of {what} is given to the minute, such as "09:00".')
    return value


def _quiet_hours(
    row: SettingsRow,
    quiet_from: Time | Literal["keep"] | None,
    quiet_until: Time | Literal["keep"] | None,
) -> dict[str, object]:
    start = row.quiet_from if quiet_from == "keep" else quiet_from
    end = row.quiet_until if quiet_until == "keep" else quiet_until
    if (start is None) != (end is None):
        raise AppError(
            'Quiet hours have a start and an end: give both, such as "22:00" and "07:00", or '
            "null for both to have none."
        )
    if start is not None and end is not None:
        _checked_time("the start of quiet hours", start)
        _checked_time("the end of quiet hours", end)
        if start == end:
            raise AppError("Quiet hours that start and end at one time would be all day or never.")
    if (start, end) == (row.quiet_from, row.quiet_until):
        return {}
    return {"quiet_from": start, "quiet_until": end}


def _webhook(row: SettingsRow, url: str | None, secret: str | None) -> dict[str, object]:
    if url == "" and secret is None:
        return {"webhook_url": None, "webhook_secret": None, "webhook_gone_at": None}
    changes: dict[str, object] = {}
    if secret is not None:
        if not SECRET_MIN <= len(secret) <= SECRET_MAX:
            raise AppError(
                f"The secret of the webhook has {len(secret)} characters; it needs {SECRET_MIN} to "
                f"{SECRET_MAX}, since whoever guesses it can pretend to be this server."
            )
        changes["webhook_secret"] = secret
    if url is not None:
        changes |= {"webhook_url": _checked_url(url), "webhook_gone_at": None}
    has_url = url or row.webhook_url
    if bool(has_url) != bool(secret or row.webhook_secret):
        raise AppError(
            "A webhook has an address and a secret that its messages are signed with: give "
            "webhook_url and webhook_secret together."
        )
    return changes


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        works = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        works = False
    if not works or len(url) > URL_MAX or any(c <= " " or c == "\x7f" for c in url):
        raise AppError(
            "The address of the webhook must be a whole http or https URL of at most "
            f'{URL_MAX} characters, such as "https://example.com/flow".'
        )
    return url
