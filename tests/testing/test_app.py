"""``TestApp``, as the author of an app uses it: plain functions, the whole backend, a clock."""

import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import trio

from flow_backend import AppError, Instant, MutationCtx
from flow_backend.errors import (
    FunctionError,
    InvalidArguments,
    InvalidCall,
    LimitExceeded,
    UnknownFunction,
)
from flow_backend.functions.limits import Limits
from flow_backend.testing import NeverEnds, NothingOutside, TestApp, make_app
from tests.testing import shop
from tests.testing.shop import SHOP, SHOP_WITH_CRONS, Bill

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def app() -> Iterator[TestApp]:
    with TestApp(SHOP, env={"SHOP_KEY": "abc"}) as opened:
        yield opened


def test_calls_are_typed_and_go_through_the_whole_backend(app: TestApp) -> None:
    """What comes back is what the function returned: a document is one, with its id."""
    made = app.mutation(shop.bill, euros=3)

    [found] = app.query(shop.mine)

    assert isinstance(found, Bill)
    assert (found.id, found.euros, found.owner) == (made, 3, "nobody")
    assert app.rows(Bill) == [found]


def test_by_its_path_a_function_is_called_as_a_client_calls_it(app: TestApp) -> None:
    """Values are those of the wire, and what is internal is not found."""
    made = app.mutation("shop:bill", euros=3.0)

    [found] = app.query("shop:mine")

    assert found["_id"] == made
    with pytest.raises(UnknownFunction, match="Could not find public function"):
        app.mutation("shop:remind", bill=made)
    app.mutation(shop.remind, bill=made)
    assert app.query(shop.mine)[0].state == "reminded"


def test_a_live_query_shows_each_change_at_once(app: TestApp) -> None:
    board = app.watch(shop.mine)
    assert board.value == []

    made = app.mutation(shop.bill, euros=3)
    app.mutation(shop.pay, bill=made)

    assert [each.state for each in board.value] == ["paid"]
    assert [len(each) for each in board.changes if isinstance(each, list)] == [0, 1, 1]
    board.close()
    app.mutation(shop.bill, euros=4)
    assert len(board.changes) == 3


def test_a_live_query_that_fails_raises_its_error_until_it_is_well_again(app: TestApp) -> None:
    counted = app.watch(shop.strict)
    made = [app.mutation(shop.bill, euros=3) for _ in range(2)]

    with pytest.raises(AppError, match="two are too many"):
        _ = counted.value
    app.run(lambda ctx: ctx.db.delete(made[0]))

    assert counted.value == 1


def test_what_a_function_raises_is_raised_with_its_own_lines(app: TestApp) -> None:
    """The author sees where the app said no, and not the backend's inside."""
    with pytest.raises(AppError) as raised:
        app.mutation(shop.bill, euros=-1)

    assert raised.value.data == {"code": "nothing", "euros": -1.0}
    assert traceback.extract_tb(raised.value.__traceback__)[-1].name == "bill"
    shown = [each.filename for each in traceback.extract_tb(raised.value.__traceback__)]
    assert not any("functions/runner" in name for name in shown), shown
    with pytest.raises(KeyError, match="SHOP_KEY"), TestApp(SHOP) as without:
        without.query(shop.key)


def test_wrong_calls_are_refused_before_they_run(app: TestApp) -> None:
    with pytest.raises(InvalidArguments, match="euro"):
        app.mutation(shop.bill, euro=3)  # type: ignore[call-arg]
    with pytest.raises(InvalidArguments, match="euros"):
        app.mutation("shop:bill", euros="three")
    with pytest.raises(InvalidCall, match="by name"):
        app.mutation(shop.bill, 3)
    with TestApp(make_app("other", [Bill], {})) as other:
        other_bill = shop.bill
        with pytest.raises(UnknownFunction, match="'other'"):
            other.mutation(other_bill, euros=3)


def test_each_user_has_its_own_results(app: TestApp) -> None:
    anna, ben = app.as_user("anna", name="Anna"), app.as_user("ben")
    hers, his = anna.watch(shop.mine), ben.watch(shop.mine)

    anna.mutation(shop.bill, euros=3)

    assert [each.owner for each in hers.value] == ["anna"]
    assert his.value == ben.query(shop.mine) == app.query(shop.mine) == []


def test_time_stands_still_until_it_is_moved(app: TestApp) -> None:
    """Jobs, and live queries that look at the clock, get their instant to the millisecond."""
    late = app.watch(shop.late)
    first = app.mutation(shop.bill, euros=1, days=2)
    second = app.mutation(shop.bill, euros=2, days=1.5)
    assert app.now == NEW_YEAR.timestamp() * 1000
    assert [job.due for job in app.jobs()] == [app.now + 1.5 * 86_400_000, app.now + 2 * 86_400_000]

    app.advance(days=1.5, seconds=-0.001)
    assert late.value == []
    assert {each.state for each in app.query(shop.mine)} == {"open"}
    app.advance(seconds=0.001)
    assert late.value == [second]
    assert [each.state for each in app.query(shop.mine)] == ["open", "reminded"]
    app.advance_to("2026-01-05T00:00Z")

    assert late.value == [first, second]
    assert app.now == datetime(2026, 1, 5, tzinfo=UTC).timestamp() * 1000
    assert app.jobs() == []
    with pytest.raises(ValueError, match="time only goes on"):
        app.advance_to(NEW_YEAR)
    with pytest.raises(ValueError, match="no zone"):
        app.advance_to("2026-02-01T00:00")


def test_what_falls_due_while_time_goes_on_runs_in_order_at_its_own_time() -> None:
    """A long way at once is as good as small steps: each run sees its own instant."""
    with TestApp(SHOP_WITH_CRONS, now="2026-03-01T12:00+01:00") as app:
        app.mutation(shop.bill, euros=7, days=1)
        app.advance(days=3)

        seen = [(each.owner, each.due_at) for each in app.rows(Bill)]

    start = datetime(2026, 3, 1, 11, tzinfo=UTC)
    nights = [start.replace(day=day, hour=22).timestamp() * 1000 for day in (1, 2, 3)]
    noon = (start + timedelta(days=1)).timestamp() * 1000
    assert seen == [("nobody", noon), *[("fees", night) for night in nights]]


def test_two_months_of_crons_take_no_time() -> None:
    with TestApp(SHOP_WITH_CRONS) as app:
        app.advance(days=60)

        assert len(app.rows(Bill)) == 60


def test_jobs_are_run_to_their_end_on_demand(app: TestApp) -> None:
    app.mutation(shop.bill, euros=3, days=5)
    app.run_due()
    assert [each.state for each in app.rows(Bill)] == ["open"]

    app.run_jobs()

    assert [each.state for each in app.rows(Bill)] == ["reminded"]
    assert app.now == NEW_YEAR.timestamp() * 1000 + 5 * 86_400_000


def test_jobs_that_fell_due_while_the_server_was_down_run_at_its_start(app: TestApp) -> None:
    app.mutation(shop.bill, euros=3, days=1)

    app.restart(down=timedelta(days=2))

    assert [each.state for each in app.rows(Bill)] == ["reminded"]
    app.mutation(shop.bill, euros=4)
    assert len(app.query(shop.mine)) == 2


def test_an_action_asks_the_test_and_not_the_network() -> None:
    with TestApp(SHOP, http=shop.euros_of) as app:
        assert app.action(shop.rate, currency="EUR") == 1.25
    with TestApp(SHOP) as app, pytest.raises(NothingOutside, match=r"GET https://rates\.example"):
        app.action(shop.rate, currency="EUR")


def test_an_action_that_is_tried_again_waits_in_the_tests_time() -> None:
    answers = iter([500, 503, 200])
    with TestApp(SHOP, http=lambda _: httpx.Response(next(answers), json={"rate": 2})) as app:
        app.mutation(shop.later, currency="EUR")
        [job] = app.jobs()
        assert (job.attempts, job.state.kind) == (1, "pending")

        app.run_jobs()

        assert next(answers, None) is None
        assert 0 < app.now - NEW_YEAR.timestamp() * 1000 < 10_000


def test_an_action_waits_as_long_as_it_likes(app: TestApp) -> None:
    [made] = app.action(shop.slow, seconds=90)

    assert made.euros == 90
    assert app.now == NEW_YEAR.timestamp() * 1000 + 90_000
    assert app.action(shop.in_a_thread) == 499_500


def test_an_action_that_never_ends_is_ended_as_in_production(app: TestApp) -> None:
    """Ten minutes, which go by at once."""
    with pytest.raises(FunctionError, match="600"):
        app.action(shop.for_ever)


def test_a_route_is_asked_as_from_outside(app: TestApp) -> None:
    made = app.mutation(shop.bill, euros=3)

    answer = app.as_user("anna").fetch("POST", "/paid", json={"bill": made})

    assert (answer.status_code, answer.json()) == (200, {"by": "anna"})
    assert app.query(shop.mine)[0].state == "paid"
    assert app.fetch("GET", "/paid").status_code == 404
    assert app.fetch("POST", "/paid", body=b"{").status_code == 400


def test_plain_code_runs_in_a_transaction(app: TestApp) -> None:
    """What it raises leaves nothing behind."""

    def fails(ctx: MutationCtx) -> None:
        ctx.db.insert(Bill(euros=1, owner="x", due_at=Instant(0.0)))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        app.run(fails)

    assert app.rows(Bill) == []
    made = app.run(lambda ctx: ctx.db.insert(Bill(euros=1, owner="x", due_at=Instant(0.0))))
    assert [each.id for each in app.rows(Bill)] == [made]


def test_two_runs_are_equal_and_seeds_differ() -> None:
    def story(seed: int) -> tuple[object, ...]:
        with TestApp(SHOP, seed=seed) as app:
            made = [app.mutation(shop.bill, euros=n) for n in (1, 2, 3)]
            app.advance(days=2)
            return (*made, *app.query(shop.lots), app.random.random(), *app.rows(Bill))

    assert story(1) == story(1)
    assert story(1)[:6] != story(2)[:6]


def test_limits_hold_as_in_production() -> None:
    with (
        TestApp(SHOP, limits=Limits(documents_written=0)) as app,
        pytest.raises(LimitExceeded),
    ):
        app.mutation(shop.bill, euros=1)


def test_what_waits_for_nothing_is_told_so(app: TestApp) -> None:
    with pytest.raises(NeverEnds, match="does not come to an end"):
        app._running.loop.run(trio.sleep_forever)  # No call of an app can do it.


async def test_it_works_inside_of_a_trio_test_and_beside_another() -> None:
    """Each has its own loop, time and database; the loop outside notices nothing."""
    before = trio.current_time()
    with TestApp(SHOP) as one, TestApp(SHOP, now="2027-01-01T00:00Z") as two:
        one.mutation(shop.bill, euros=1)
        await trio.lowlevel.checkpoint()
        two.advance(days=400)
        one.action(shop.slow, seconds=500)

        assert [len(app.rows(Bill)) for app in (one, two)] == [2, 0]
    await trio.lowlevel.checkpoint()
    assert trio.current_time() - before < 100


def test_it_says_how_it_is_used() -> None:
    with pytest.raises(RuntimeError, match="with TestApp"):
        TestApp(SHOP).query(shop.mine)
