"""The server process: an app, its database and its listener, from start to the last signal."""

import gc
import ipaddress
import os
import resource
import signal
import sys
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

import structlog
import trio
from attrs import frozen

from flow_backend.actors.backend import Backend, VerifyAdmin
from flow_backend.actors.gate import Gate
from flow_backend.actors.opening import open_backend
from flow_backend.actors.session import Authenticated
from flow_backend.auth.admin_keys import AdminKeys, new_key
from flow_backend.errors import AdminKeysError, StartError
from flow_backend.functions.context import NOBODY
from flow_backend.functions.deployments import Problem
from flow_backend.functions.limits import ThreadDeadlines
from flow_backend.functions.registry import App
from flow_backend.runtime import Runtime, SystemRuntime
from flow_backend.server.app import Server, open_server
from flow_backend.server.bounds import backend_settings
from flow_backend.server.config import USAGE_EXIT_CODE, Settings, web_folder
from flow_backend.server.first_version import VERSIONS, FirstVersion, FirstVersionChooser
from flow_backend.server.frames import text_frame
from flow_backend.server.function_log import FunctionLog, open_function_log
from flow_backend.server.local import announced_locally
from flow_backend.server.parent import Parent
from flow_backend.server.user_tokens import UserTokens
from flow_backend.server.watchdog import armed, noting_calls
from flow_backend.storage.base import Storage
from flow_backend.storage.settings import StorageSettings
from flow_backend.storage.sqlite import open_storage

_SECOND_SIGNAL_EXIT_CODE = 130
_LAST_ACTIONS_SECONDS: Final = 1.0
_SWITCH_SECONDS: Final = 0.0005
_YOUNG_OBJECTS: Final = 10_000
log = structlog.stdlib.get_logger("flow.server")


def _leave(error: BaseException | None) -> NoReturn:
    if error is not None:
        traceback.print_exception(error)
    sys.stderr.flush()
    os._exit(0 if error is None else 1)


async def run_server(
    settings: Settings,
    on_ready: Callable[[Server], None],
    parent: Parent | None = None,
    leave: Callable[[BaseException | None], NoReturn] = _leave,
) -> None:
    """Serve the app until the first SIGTERM or SIGINT; a second one ends the process at once.

    ``on_ready`` is called when clients may come. With a ``parent`` the server also stops when that
    has gone. ``leave`` ends the process, after the database is closed, if actions that cannot be
    ended would hold it; it is told the error that ends the server, if one does.

    Raises: StartError, and nothing was changed then; AppDefinitionError; and, in a group, what
        ended the backend by itself.
    """
    _raise_file_limit()
    runtime, gate = SystemRuntime(), Gate()
    folder = Path(settings.data)
    choose = FirstVersionChooser(settings.app, folder, lambda app: check_exposure(app, settings))
    storage = open_storage(
        folder,
        choose,
        now_ns=runtime.now_ns,
        settings=StorageSettings(ballast_bytes=settings.ballast_bytes),
    )
    async with trio.open_nursery() as outside:
        error: BaseException | None = None
        try:
            assert choose.chosen is not None, "the database is open"
            machine = _Machine(runtime, gate, storage, outside)
            await _serve(choose.chosen, settings, on_ready, parent, machine)
        except BaseException as raised:
            error = raised
            raise
        finally:
            storage.close()
            outside.cancel_scope.cancel()
            with trio.move_on_after(_LAST_ACTIONS_SECONDS, shield=True):
                while outside.child_tasks:  # noqa: ASYNC110  # Only while the server stops.
                    await trio.sleep(0.005)
            if outside.child_tasks:
                log.warning("Actions go on that cannot be ended", actions=len(outside.child_tasks))
                leave(error)


@frozen
class _Machine:
    """What a server stands on; actions run in ``outside``, which outlives the storage."""

    runtime: Runtime
    gate: Gate
    storage: Storage
    outside: trio.Nursery


async def _serve(
    first: FirstVersion,
    settings: Settings,
    on_ready: Callable[[Server], None],
    parent: Parent | None,
    machine: _Machine,
) -> None:
    folder, app = Path(settings.data), first.app
    async with trio.open_nursery() as nursery:
        stop = trio.Event()
        await nursery.start(_listen_to_signals, stop)
        if parent is not None:
            nursery.start_soon(_stop_without, parent, stop)
        with (
            noting_calls(folder, machine.runtime.now_ns) as in_flight,
            armed(settings.watchdog_seconds, folder) as watchdog,
        ):
            nursery.start_soon(watchdog.keep_alive)
            local_key, _ = new_key("local", machine.runtime.now_ns() / 1e6)
            keys = AdminKeys(folder, local_key)
            async with (
                open_function_log(folder, settings.log_bytes_max, machine.runtime) as function_log,
                open_backend(
                    app,
                    machine.storage,
                    machine.runtime,
                    text_frame=text_frame,
                    deadlines=ThreadDeadlines(),
                    settings=backend_settings(settings),
                    gate=machine.gate,
                    verify_admin=admin_verifier(keys),
                    in_flight=in_flight,
                    outside=machine.outside,
                    number=first.number,
                    folder=folder / VERSIONS,
                    on_end=None if function_log is None else function_log.note,
                ) as backend,
                open_user_verifier(backend, settings, machine.runtime),
                noted(backend, first, settings),
                open_server(
                    backend,
                    settings,
                    web=web_folder(settings) or first.web,
                    drain=partial(_drain, backend, function_log),
                    listening=None if parent is None else parent.listening,
                    gate=machine.gate,
                    router=lambda: backend.versions.newest.app.router,
                    data=backend,
                    function_log=function_log,
                ) as server,
            ):
                _tune_interpreter()
                with announced_locally(folder, server.url, local_key):
                    on_ready(server)
                    await stop.wait()
                log.info("Stopping")
            nursery.cancel_scope.cancel()


async def _drain(backend: Backend, function_log: FunctionLog | None) -> None:
    if function_log is not None:
        function_log.let_go()
    await backend.stop()


async def _stop_without(parent: Parent, stop: trio.Event) -> None:
    await parent.wait_gone()
    log.warning("The supervisor has gone, so the server stops")
    stop.set()


@asynccontextmanager
async def noted(backend: Backend, first: FirstVersion, settings: Settings) -> AsyncGenerator[None]:
    """Note in the database which version serves, before anybody is served."""

    def check(app: App) -> Sequence[Problem]:
        try:
            check_exposure(app, settings)
        except StartError as error:
            return [Problem("auth", str(error))]
        return []

    backend.deployer.check = check
    if first.begin is not None:
        await backend.deployer.begin(first.begin)
    backend.deploys.resume()
    yield


def check_exposure(app: App, settings: Settings) -> None:
    """Make sure that an app which knows nobody is not offered to a whole network by mistake.

    Raises: StartError.
    """
    if is_loopback(settings.host) or not settings.auth or app.providers is not None:
        return
    raise StartError(
        f"The app {app.name!r} has no auth.py, so everybody who reaches {settings.host} could read "
        "and write everything. Add an auth.py that names who issues your users' tokens, listen on "
        "this machine alone (--host 127.0.0.1), or say --no-auth if that is what you want.",
        USAGE_EXIT_CODE,
    )


def is_loopback(host: str) -> bool:
    """Tell whether an address can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


VerifyUser = Callable[[str], Awaitable[Authenticated]]


@asynccontextmanager
async def open_user_verifier(
    backend: Backend, settings: Settings, runtime: Runtime
) -> AsyncGenerator[None]:
    """Let the backend look at users' tokens, by the providers of the version that serves."""
    if not settings.auth:
        backend.verify_user = _nobody
        yield
        return
    tokens = UserTokens(lambda: backend.versions.newest.app.providers, runtime)
    backend.verify_user = tokens.verify
    if (providers := backend.versions.newest.app.providers) is not None:
        await tokens.prepare(providers)
    try:
        yield
    finally:
        await tokens.aclose()


def admin_verifier(keys: AdminKeys) -> VerifyAdmin:
    """Give what looks at admin keys, whose file may lie on a slow disk.

    What is wrong with that is logged once: anybody can show what is no key, as often as he likes.
    """
    told: str | None = None

    async def is_admin(key: str) -> bool:
        nonlocal told
        try:
            found = await trio.to_thread.run_sync(keys.is_valid, key)
        except AdminKeysError as error:
            if told != str(error):
                told = str(error)
                log.error("No admin key can be looked at", reason=told)  # noqa: TRY400  # It says all.
            raise
        if key != keys.local:  # For that one nobody looks at the file.
            told = None
        return found

    return is_admin


async def _nobody(_token: str) -> Authenticated:
    await trio.lowlevel.checkpoint()
    return Authenticated(NOBODY)


async def _listen_to_signals(
    stop: trio.Event, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for _ in signals:
            if stop.is_set():
                # What was acknowledged is on disk, so there is nothing that this could lose.
                os._exit(_SECOND_SIGNAL_EXIT_CODE)
            stop.set()


def _raise_file_limit() -> None:
    """Allow as many open files, and so connections, as the system lets this process have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _tune_interpreter() -> None:
    """Make the interpreter fit for a server: call this once, when all is imported and set up."""
    # A thread that computes gives the loop its turn after half a millisecond, not after five.
    sys.setswitchinterval(_SWITCH_SECONDS)
    # What exists now lives as long as the process: no collection has to walk through it.
    gc.collect()
    gc.freeze()
    # Sessions and messages are freed by their counts; collections at every 700 objects are waste.
    gc.set_threshold(_YOUNG_OBJECTS, 20, 20)
