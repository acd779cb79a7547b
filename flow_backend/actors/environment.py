"""Changes of the app's environment variables: each takes its place among the commits."""

from collections.abc import Mapping
from types import MappingProxyType

import structlog
import trio
from attrs import define, evolve

from flow_backend.actors.mailbox import Put, Reply
from flow_backend.actors.messages.to_mutation import NotDone, Switch, SwitchDone
from flow_backend.errors import InvalidEnvironment, Overloaded, SwitchRefused
from flow_backend.functions.env import changed_env, env_problems
from flow_backend.functions.env_rows import write_env
from flow_backend.functions.versions import AppVersion, Versions
from flow_backend.runtime import Runtime
from flow_backend.storage.base import Switched, Transaction

logger = structlog.get_logger()


@define(kw_only=True)
class EnvironmentKeeper:
    """Changes what ``ctx.env`` holds, on disk and in memory at once.

    A change is a switch to the same version with another environment: calls that run end with the
    one that they began with, and every live query is run again.

    Out:  Switch to the MutationActor.

    Attributes:
        turn: shared with the deployer: what is switched to is made of what is in force.
    """

    mutations: Put[Switch]
    versions: Versions
    runtime: Runtime
    turn: trio.Lock

    async def change(self, changes: Mapping[str, str | None]) -> None:
        """Set variables; None takes one away.

        Raises: InvalidEnvironment if the app in force could not run with them, or past a limit;
            Overloaded if they could not be stored. Nothing has changed then.
        """
        async with self.turn:
            newest = self.versions.newest
            before = newest.runner.env
            env = changed_env(before, changes)
            had = set(env_problems(newest.app.env, before))
            # What was wrong before is no reason to refuse what mends a part of it.
            if wrong := [said for said in env_problems(newest.app.env, env) if said not in had]:
                raise InvalidEnvironment("\n".join(wrong))
            if env == before:
                return
            await self._switch(newest, env, changes)
        # Their values are secrets.
        logger.info("environment variables were changed", names=sorted(changes))

    async def _switch(
        self, newest: AppVersion, env: Mapping[str, str], changes: Mapping[str, str | None]
    ) -> None:
        seed = self.runtime.random.getrandbits(64)

        def record(transaction: Transaction) -> None:
            write_env(transaction, changes, seed)

        def version(switched: Switched) -> AppVersion:
            runner = evolve(newest.runner, env=MappingProxyType(dict(env)))
            return AppVersion(newest.number, runner, newest.crons, switched.ts)

        reply = Reply[SwitchDone | SwitchRefused | NotDone]()
        specs = tuple(newest.bound.schema.tables.values())
        self.mutations.put(Switch(specs, record, version, reply))
        done = await reply.wait()
        if isinstance(done, SwitchRefused):
            raise Overloaded(f"the environment could not be changed: {done}")
        if isinstance(done, NotDone):
            raise Overloaded(done.reason)
