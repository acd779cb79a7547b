"""Environment variables: declared and typed, changed at once, and refused where they do not fit."""

from datetime import timedelta
from typing import Literal

import pytest

from flow_backend import ActionCtx, Environment, MutationCtx, QueryCtx, action, mutation, query
from flow_backend.errors import AppDefinitionError, InvalidEnvironment, UnknownFunction
from flow_backend.functions.env import env_problems, variables_of
from flow_backend.testing import TestApp, make_app


class Env(Environment):
    KEY: str
    RETRIES: int = 3
    SHARE: float = 0.5
    IS_LOUD: bool = False
    MODE: Literal["slow", "fast"] = "slow"
    NOTE: str | None = None


@query
def shown(ctx: QueryCtx) -> list[str]:
    env = Env.of(ctx)
    values = (env.KEY, env.RETRIES + 1, env.SHARE, env.IS_LOUD, env.MODE, env.NOTE)
    return [repr(each) for each in values]


@query
def plain(ctx: QueryCtx) -> dict[str, str]:
    return dict(ctx.env)


@mutation
def key_of_mutation(ctx: MutationCtx) -> str:
    return ctx.env["KEY"]


@action
async def keys_of_action(ctx: ActionCtx) -> list[str]:
    return [ctx.env["KEY"], await ctx.run(key_of_mutation)]


FUNCTIONS = {f"env:{each.name}": each for each in (shown, plain, key_of_mutation, keys_of_action)}
APP = make_app("env", [], FUNCTIONS, env=Env)
LOOSE = make_app("loose", [], FUNCTIONS)


def test_variables_have_their_types_and_defaults() -> None:
    with TestApp(APP, env={"KEY": "k", "RETRIES": "5", "IS_LOUD": "Yes", "MODE": "fast"}) as app:
        assert app.query(shown) == ["'k'", "6", "0.5", "True", "'fast'", "None"]


def test_a_change_is_seen_at_once_by_all_and_stays() -> None:
    """Live queries are run again; so is it after a restart."""
    with TestApp(APP) as app:
        app.set_env(KEY="one")
        live, env = app.watch(shown), app.watch(plain)

        app.set_env(KEY="two", NOTE="x")

        assert live.value[0] == "'two'"
        assert env.changes == [{"KEY": "one"}, {"KEY": "two", "NOTE": "x"}]
        assert app.mutation(key_of_mutation) == "two"
        assert app.action(keys_of_action) == ["two", "two"]
        app.set_env(NOTE=None)
        app.restart(down=timedelta(seconds=1))
        assert app.query(plain) == {"KEY": "two"}


def test_what_the_app_could_not_run_with_is_refused_and_changes_nothing() -> None:
    with TestApp(APP, env={"KEY": "k"}) as app:
        with pytest.raises(InvalidEnvironment, match="RETRIES is a whole number") as refused:
            app.set_env(RETRIES="secret", SHARE="0.25")
        assert "secret" not in str(refused.value)
        with pytest.raises(InvalidEnvironment, match="KEY is not set"):
            app.set_env(KEY=None)
        with pytest.raises(InvalidEnvironment, match="one of 'slow', 'fast'"):
            app.set_env(MODE="lazy")

        assert app.query(plain) == {"KEY": "k"}


def test_a_variable_that_is_missing_is_named_where_it_is_used() -> None:
    """What was wrong before is no reason to refuse what mends a part of it."""
    with TestApp(APP, env={"SHARE": "lots"}) as app:
        with pytest.raises(InvalidEnvironment, match="flow env set KEY"):
            app.query(shown)
        app.set_env(KEY="k")
        with pytest.raises(InvalidEnvironment, match="SHARE is a number"):
            app.query(shown)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"1A": "x"}, "no name"),
        ({"A-B": "x"}, "no name"),
        ({"Ä": "x"}, "no name"),
        ({"A" * 41: "x"}, "no name"),
        ({"A": "x" * 8193}, "8193 bytes"),
        ({"A": "ä" * 4097}, "8194 bytes"),
        ({f"A{number}": "x" for number in range(101)}, "at most 100"),
    ],
)
def test_names_and_sizes_are_bounded(changes: dict[str, str], said: str) -> None:
    with TestApp(LOOSE) as app:
        with pytest.raises(InvalidEnvironment, match=said):
            app.set_env(**changes)

        assert app.query(plain) == {}


def test_what_fills_the_bounds_is_taken() -> None:
    with TestApp(LOOSE) as app:
        app.set_env(**{f"A{number}": "x" for number in range(99)}, **{"B" * 40: "ä" * 4096})

        assert len(app.query(plain)) == 100


def test_admins_queries_see_the_variables_and_clients_do_not() -> None:
    with TestApp(LOOSE) as app:
        app.set_env(B="2", A="1")
        path = "_system/cli/queryEnvironmentVariables:default"

        asked = app.query(app.function(path))

        assert asked == [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
        with pytest.raises(UnknownFunction):
            app.query(path)


def test_problems_are_all_said_at_once() -> None:
    assert env_problems(None, {}) == []
    assert len(env_problems(Env, {"RETRIES": "x", "MODE": "y"})) == 3


class OfNoType(Environment):
    HOSTS: list[str]


class OfNoName(Environment):
    A_NAME_THAT_IS_LONGER_THAN_FORTY_CHARACTERS: str


@pytest.mark.parametrize(("declared", "said"), [(OfNoType, "parse it"), (OfNoName, "no name")])
def test_a_declaration_that_cannot_be_is_refused(declared: type[Environment], said: str) -> None:
    with pytest.raises(AppDefinitionError, match=said):
        variables_of(declared)
