"""What the people of a world do: they change things, watch, leave, and lose their connections."""

from collections.abc import Callable
from random import Random
from typing import Any

import trio
from attrs import define, field

from flow_backend.testing.client import Request, SimClient
from flow_backend.testing.link import SimLink
from flow_backend.testing.odd import OddClient
from flow_backend.testing.sim import SimRuntime
from flow_backend.values.value import JsonValue
from tests.simulation.app import PAGE
from tests.simulation.faults import Faults
from tests.simulation.jobs_app import KINDS

NAMES = ("a", "b", "c")

Connect = Callable[[SimClient], SimLink | None]


@define(eq=False)
class Asked:
    """A request of somebody: the token that it leaves in the database if it ran."""

    token: str
    client: SimClient
    request: Request


@define(eq=False)
class People:
    """All who use the server.

    Attributes:
        asked: every request that leaves a token, in the order in which it was made.
        planned: the tokens of the jobs that may be.
        answers: the timestamp with which each request of a session was answered, on any socket.
    """

    runtime: SimRuntime
    faults: Faults
    connect: Connect
    asked: list[Asked] = field(factory=list[Asked])
    answers: dict[tuple[str, int], object] = field(factory=dict[tuple[str, int], object])
    planned: list[str] = field(factory=list[str])
    _tokens: int = 0

    @property
    def random(self) -> Random:
        return self.runtime.random

    def token(self, what: str) -> str:
        self._tokens += 1
        return f"{self._tokens:05}.{what}"

    async def use(self, client: SimClient) -> None:
        """Do what people do, for some steps."""
        random = self.random
        async with trio.open_nursery() as nursery:
            for _ in range(self.faults.steps):
                await trio.sleep(random.expovariate(1 / 0.08))
                chance = random.random()
                if isinstance(client, OddClient) and chance < 0.2:
                    self._be_odd(client, nursery)
                elif self.faults.jobs and random.random() * 20 < self.faults.jobs:
                    self.plan(client)
                elif self.faults.deploys and random.random() < 0.3:
                    self.meet_versions(client)
                elif chance < 0.55:
                    self.change(client)
                elif chance < 0.75 or not client.queries:
                    self.watch(client)
                elif chance < 0.85:
                    client.unsubscribe(random.choice(list(client.queries)))
                elif chance < 0.89 and self.faults.identities:
                    client.become(random.choice((None, "ann", "bob")))
                elif chance < 0.96 and self.faults.actions:
                    token, to = self.token("append"), random.choice(NAMES)
                    args: dict[str, JsonValue] = {"token": token, "to": to}
                    request = client.act("s:append_later", seconds=random.random(), **args)
                    self.asked.append(Asked(token, client, request))
                elif self.faults.cuts:
                    self.runtime.reach("cut")
                    client.cut(random.choice((0.0, 0.0, 1.0)))

    def change(self, client: SimClient) -> None:
        random = self.random
        name, other = random.choice(NAMES), random.choice(NAMES)
        kind = random.choice(("append", "append", "remove", "move", "count", "transfer", "note"))
        token = self.token(f"{kind}.{name}")
        if random.random() < 0.05:
            request = client.mutate("s:fail", token=token)
        elif random.random() < 0.05:
            client.mutate("s:look")
            return
        else:
            path, args = self._change(kind, name, other)
            request = client.mutate(path, token=token, **args)
        self.asked.append(Asked(token, client, request))

    def plan(self, client: SimClient) -> None:
        """Plan jobs, or cancel one that is planned already, if it is."""
        random = self.random
        if self.planned and random.random() < 0.3:
            token = self.token("unplan")
            request = client.mutate("s:unplan", token=token, of=random.choice(self.planned))
        elif random.random() < 0.2:
            if random.random() < 0.4:
                client.subscribe("s:states")
                return
            seconds_on = random.choice((-1.0, 0.0, 0.2, 1.0, 3.0, 5000.0))
            instant = self.runtime.now_ns() / 1e6 + seconds_on * 1000
            client.subscribe("s:passed", instant=instant)
            return
        else:
            token, count = self.token("plan"), random.randrange(1, 6)
            kinds: list[JsonValue] = [random.choice(KINDS) for _ in range(count)]
            longest = random.choice((0.0, 1.0, 5.0, 5000.0))
            seconds: list[JsonValue] = [random.choice((0.0, 0.5, 1.0)) * longest for _ in kinds]
            request = client.mutate("s:plan", token=token, kinds=kinds, seconds=seconds)
            self.planned += [f"{token}/{number}" for number in range(count)]
        self.asked.append(Asked(token, client, request))

    def meet_versions(self, client: SimClient) -> None:
        """Do what says which version is in force."""
        random = self.random
        if random.random() < 0.4:
            path = random.choice(("v:number", "v:numbers", "v:tokens", "v:starred"))
            client.subscribe(path, **({"stars": 0.0} if path == "v:starred" else {}))
            return
        kind = random.choice(("stamp", "stamp", "mark", "unmark"))
        token = self.token(kind)
        self.asked.append(Asked(token, client, client.mutate(f"v:{kind}", token=token)))

    def count(self, client: SimClient) -> None:
        """Count once more: after it, nothing of what this client has asked is left."""
        token = self.token("count.c")
        self.asked.append(Asked(token, client, client.mutate("s:count", token=token, name="c")))

    def _change(self, kind: str, name: str, other: str) -> tuple[str, dict[str, JsonValue]]:
        match kind:
            case "append":
                return "s:append", {"to": name}
            case "remove":
                return "s:remove_first", {"of": name}
            case "move":
                return "s:move_first", {"of": name, "to": other}
            case "count":
                return "s:count", {"name": name}
            case "transfer":
                return "s:transfer", {"key": name, "amount": float(self.random.randrange(-5, 6))}
            case _:
                return "s:note", {}

    def watch(self, client: SimClient) -> None:
        random = self.random
        name = random.choice(NAMES)
        match random.randrange(11):
            case 0:
                client.subscribe("s:entries", of=name)
            case 1:
                client.subscribe("s:first_entries", of=name, most=float(random.randrange(1, 4)))
            case 2:
                client.subscribe("s:last_entry", of=name)
            case 3:
                client.subscribe("s:counter", name=name)
            case 4:
                client.subscribe("s:sums")
            case 5:
                client.subscribe("s:pair", key=name)
            case 6:
                client.subscribe("s:my_notes")
            case 7:
                client.subscribe("s:notes_if_counted", name=name)
            case 8:
                client.subscribe("s:few_entries", of=name)
            case _:
                self._watch_page(client, name)

    def _watch_page(self, client: SimClient, name: str) -> None:
        """Open the first page of a list, or the one that follows a page that is shown."""
        cursor: JsonValue = None
        for query_id, query in client.queries.items():
            shown = client.results.get(query_id)
            if query.path == PAGE and shown is not None and not shown.failed:
                value: Any = shown.value
                if not value["isDone"]:
                    name, cursor = str(query.args["of"]), value["continueCursor"]
                    self.runtime.reach("a second page")
        options: dict[str, JsonValue] = {
            "numItems": float(self.random.randrange(1, 4)),
            "cursor": cursor,
            "id": float(self.random.randrange(10**6)),
        }
        client.subscribe(PAGE, of=name, paginationOpts=options)

    def _be_odd(self, client: OddClient, nursery: trio.Nursery) -> None:
        chance = self.random.random()
        if chance < 0.6:
            client.misbehave()
            return
        link = self.connect(client)
        if link is None:
            return
        if chance < 0.8:
            nursery.start_soon(self._be_two, client, link)
        else:
            client.doomed(link)
            nursery.start_soon(self._see_refusal, link)

    async def _be_two(self, client: OddClient, link: SimLink) -> None:
        """Let a second socket of the same session ask for all that is unanswered, too."""
        self.runtime.reach("two sockets of one session")
        with trio.move_on_after(1.0):
            await client.be_two(link, self.answers)
        link.cut()

    async def _see_refusal(self, link: SimLink) -> None:
        """The end of time is no timestamp to have seen: the server closes, and nothing else."""
        with trio.move_on_after(60.0) as scope:
            code = await OddClient.closing_code(link)
            if code == 1011:
                self.runtime.reach("refused: seen the end of time")
        assert not scope.cancelled_caught, "a client that has seen the end of time is not refused"
