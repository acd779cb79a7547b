"""A small app, of parts, to be tested as its author would test it."""

import httpx
import trio

from flow_backend import (
    ActionCtx,
    AppError,
    Crons,
    Document,
    HttpRequest,
    HttpResponse,
    Id,
    Index,
    Instant,
    MutationCtx,
    QueryCtx,
    Retry,
    action,
    document,
    http_action,
    internal_mutation,
    mutation,
    query,
)
from flow_backend.testing import make_app


@document("bills")
class Bill(Document):
    euros: float
    owner: str
    due_at: Instant
    state: str = "open"

    by_owner = Index("owner")


@mutation
def bill(ctx: MutationCtx, euros: float, days: float = 1.0) -> Id[Bill]:
    if euros <= 0:
        raise AppError({"code": "nothing", "euros": euros})
    owner = ctx.auth.identity
    due_at = Instant(ctx.clock.now() + days * 86_400_000)
    name = "nobody" if owner is None else owner.subject
    made = ctx.db.insert(Bill(euros=euros, owner=name, due_at=due_at))
    ctx.scheduler.run_at(due_at, remind, bill=made)
    return made


@internal_mutation
def remind(ctx: MutationCtx, bill: Id[Bill]) -> None:
    ctx.db.patch(bill, state="reminded")


@mutation
def pay(ctx: MutationCtx, bill: Id[Bill]) -> None:
    ctx.db.patch(bill, state="paid")


@query
def mine(ctx: QueryCtx) -> list[Bill]:
    owner = ctx.auth.identity
    return list(ctx.db.scan(Bill.by_owner["nobody" if owner is None else owner.subject]))


@query
def late(ctx: QueryCtx) -> list[Id[Bill]]:
    return [each.id for each in ctx.db.scan(Bill) if ctx.clock.passed(each.due_at)]


@query
def strict(ctx: QueryCtx) -> int:
    found = len(list(ctx.db.scan(Bill)))
    if found == 2:
        raise AppError("two are too many")
    return found


@query
def lots(ctx: QueryCtx) -> list[float]:
    return [ctx.random.random() for _ in range(3)]


@query
def key(ctx: QueryCtx) -> str:
    return ctx.env["SHOP_KEY"]


@action(retry=Retry(attempts=3))
async def rate(ctx: ActionCtx, currency: str) -> float:
    answer = await ctx.http.get("https://rates.example/latest", params={"to": currency})
    answer.raise_for_status()
    return float(answer.json()["rate"])


@action
async def slow(ctx: ActionCtx, seconds: float) -> list[Bill]:
    await trio.sleep(seconds)
    await ctx.run(bill, euros=seconds)
    return await ctx.run(mine)


@action
async def in_a_thread(ctx: ActionCtx) -> int:
    return await ctx.to_thread(lambda: sum(range(1000)))


@action
async def for_ever(ctx: ActionCtx) -> None:
    await trio.sleep_forever()


@mutation
def later(ctx: MutationCtx, currency: str) -> None:
    ctx.scheduler.run_after(0, rate, currency=currency)


@internal_mutation
def close_day(ctx: MutationCtx) -> None:
    ctx.db.insert(Bill(euros=0.5, owner="fees", due_at=ctx.clock.now()))


@http_action(method="POST", path="/paid")
async def paid(ctx: ActionCtx, request: HttpRequest) -> HttpResponse:
    asked = await request.json()
    who = ctx.auth.identity
    await ctx.run(pay, bill=asked["bill"])
    return HttpResponse.json({"by": None if who is None else who.subject})


crons = Crons()
crons.daily("close the day", at="22:00", run=close_day)

FUNCTIONS = {
    f"shop:{each.name}": each
    for each in (
        bill,
        remind,
        pay,
        mine,
        late,
        strict,
        lots,
        key,
        rate,
        slow,
        in_a_thread,
        for_ever,
        later,
        close_day,
    )
}
SHOP = make_app("shop", [Bill], FUNCTIONS, routes={"shop:paid": paid})
SHOP_WITH_CRONS = make_app("shop", [Bill], FUNCTIONS, crons=crons)


def euros_of(request: httpx.Request) -> httpx.Response:
    assert request.url.params["to"] == "EUR", request.url
    return httpx.Response(200, json={"rate": 1.25})
