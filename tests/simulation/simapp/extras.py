"""A table more, which only some versions have: this one has none."""

from flow_backend import MutationCtx


def add_extra(ctx: MutationCtx, token: str) -> bool:
    """Write a row of it, if it is there; say whether it is."""
    del ctx, token
    return False
