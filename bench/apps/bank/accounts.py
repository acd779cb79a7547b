"""What can be done with accounts."""

from bench.apps.bank.schema import Account
from flow_backend import AppError, MutationCtx, QueryCtx, mutation, query


@mutation(name="open")
def open_accounts(ctx: MutationCtx, first: int, count: int, balance: int) -> None:
    """Open accounts with consecutive numbers, each with so much in it."""
    for number in range(first, first + count):
        ctx.db.insert(Account(number=number, balance=balance))


@mutation
def transfer(ctx: MutationCtx, source: int, target: int, amount: int) -> None:
    """Move money: two reads by the index, two patches."""
    payer, payee = _account(ctx, source), _account(ctx, target)
    if source == target or amount <= 0:
        raise AppError("Money moves from one account to another, and forwards.")
    ctx.db.patch(payer.id, balance=payer.balance - amount)
    ctx.db.patch(payee.id, balance=payee.balance + amount)


@query
def total(ctx: QueryCtx, first: int, stop: int) -> int:
    """Give what accounts hold together, by numbers from ``first`` to before ``stop``."""
    found = ctx.db.scan(Account.by_number[first:stop]).collect()
    return sum(account.balance for account in found)


def _account(ctx: MutationCtx, number: int) -> Account:
    found = ctx.db.scan(Account.by_number[number]).unique()
    if found is None:
        raise AppError(f"There is no account {number}.")
    return found
