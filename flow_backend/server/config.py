"""All settings of the server, each with its default, its bound and what it is for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeVar

import attrs
from attrs import Attribute, field, frozen

from flow_backend.errors import StartError

ENVIRONMENT_PREFIX: Final = "FLOW_"
USAGE_EXIT_CODE: Final = 64

T = TypeVar("T")
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_LOOPBACK: Final = ("127.0.0.0/8", "::1")
_FALSE: Final = frozenset({"0", "false", "no", "off"})


def _setting(default: T, explanation: str, *, least: float | None = None) -> T:
    made: T = field(default=default, metadata={"help": explanation, "least": least})
    return made


@frozen(kw_only=True)
class Settings:
    """Where the server listens, what it bounds, and how long it waits.

    Each setting is read from the environment as ``FLOW_`` and its name in capitals, such as
    ``FLOW_PORT``; options of the command line come before that. Seconds are seconds, bytes bytes.
    """

    host: str = _setting("127.0.0.1", "The address to listen on.")
    port: int = _setting(3210, "The port to listen on; 0 takes any free one.", least=0)
    site_port: int = _setting(
        0,
        "A second port, for the app's HTTP routes alone, without /http before their paths; 0 "
        "means none.",
        least=0,
    )
    data: str = _setting("flow-data", "The folder that holds the database.")
    ballast_bytes: int = _setting(
        64 << 20, "Room on the disk that is kept for deletes once it is full.", least=0
    )
    log_bytes_max: int = _setting(
        64 << 20, "The log of functions in the data folder, at most; 0 keeps none.", least=0
    )
    redact: bool = _setting(
        False,
        "Whether clients are told of an error only its Request ID, and the data of an AppError.",
    )
    log_words: bool = _setting(
        False,
        "Whether the log of functions has the words of errors, too, which may quote arguments.",
    )
    app: str = _setting("flow", "The Python package to serve.")
    web: str = _setting("", "The folder of the web app; by default the app's own, if it has one.")
    name: str = _setting("flow", "What the server calls itself.")
    environment: str = _setting(
        "development", "Which environment this is; commands that change what is served say so."
    )
    protected: bool = _setting(
        False, "Whether the environment's name must be typed before a deploy or a rollback."
    )
    auth: bool = _setting(True, "Whether the app's auth.py is obeyed; without it all are nobody.")
    origins: tuple[str, ...] = _setting(
        (),
        "The web origins that may call, with commas between; none means all. No cookie is ever "
        "used, so a foreign page gains nothing that it could not ask by itself.",
    )
    log_level: str = _setting(
        "info", "The least level that is logged: debug, info, warning, error."
    )
    log_format: str = _setting("auto", "text, json, or auto: text on a terminal, else json.")
    connections_max: int = _setting(10_000, "Connections at once; more are answered 503.", least=1)
    address_sockets_per_second: int = _setting(
        50, "New connections a second from one address; more are answered 429.", least=1
    )
    address_sockets_max: int = _setting(
        500, "Connections at once from one address; more are answered 429.", least=1
    )
    messages_per_second: int = _setting(
        200, "Messages a second of one session; past the burst it is read no faster.", least=1
    )
    messages_burst: int = _setting(
        1000, "Messages that a session may send at once, faster than that.", least=1
    )
    rate_seconds: float = _setting(
        20.0, "How long a session may send too fast before it is closed (1013).", least=0.01
    )
    rate_exempt: tuple[str, ...] = _setting(
        _LOOPBACK,
        "Addresses and networks, with commas between, that no rate holds for: this machine.",
    )
    trusted_proxies: tuple[str, ...] = _setting(
        _LOOPBACK,
        "Proxies whose X-Forwarded-For is believed: the addresses in it are counted, not theirs.",
    )
    memory_bytes_max: int = _setting(
        0,
        "Memory of the process past which new work is refused; 0 means three quarters of what "
        "the machine or container has.",
        least=0,
    )
    message_bytes_max: int = _setting(
        32 << 20, "The largest message on a WebSocket; a larger one closes it (1009).", least=1024
    )
    body_bytes_max: int = _setting(
        (16 << 20) + (1 << 20), "The largest body of a request; more is answered 413.", least=1024
    )
    http_request_bytes_max: int = _setting(
        20 << 20, "The largest body of a request to an HTTP route; more is answered 413.", least=0
    )
    http_response_bytes_max: int = _setting(
        20 << 20, "The largest body of the response of an HTTP route.", least=0
    )
    batch_bytes_max: int = _setting(
        64 << 20, "What the results of one /api/query_batch weigh together.", least=1024
    )
    head_bytes_max: int = _setting(64 << 10, "The largest head of a request.", least=1024)
    head_seconds: float = _setting(10.0, "How long a request's head may take.", least=0.01)
    body_stall_seconds: float = _setting(30.0, "How long a body may make no progress.", least=0.01)
    body_seconds: float = _setting(300.0, "How long a body may take in all.", least=0.01)
    keep_alive_seconds: float = _setting(
        10.0, "How long an HTTP connection may wait for its next request.", least=0.01
    )
    unsent_bytes_max: int = _setting(
        64 << 20, "What may wait for one slow client before it is given up.", least=1 << 20
    )
    stall_seconds: float = _setting(
        20.0, "How long a client may take none of what waits for it.", least=0.01
    )
    ping_seconds: float = _setting(
        10.0, "Silence of a client after which it is pinged.", least=0.01
    )
    message_seconds: float = _setting(
        15.0, "Silence towards a client after which it is sent a Ping message.", least=0.01
    )
    silence_seconds: float = _setting(
        45.0, "Silence of a client after which it is given up.", least=0.01
    )
    linger_seconds: float = _setting(
        5.0, "How long a client may take to hang up after the close.", least=0.01
    )
    stop_seconds: float = _setting(
        10.0, "How long requests under way may take when the server stops.", least=0.0
    )
    watchdog_seconds: float = _setting(
        10.0, "End the process if its loop stands still this long; 0 never does.", least=0.0
    )
    session_mutations_max: int = _setting(
        1000, "A session's unanswered mutations; past it, its socket is read no further.", least=1
    )
    session_actions_max: int = _setting(
        100, "A session's unanswered actions; past it, its socket is read no further.", least=1
    )
    session_queries_max: int = _setting(
        1000, "A session's live queries; one more fails, and says so.", least=1
    )
    session_edits_max: int = _setting(
        1000,
        "Changes of a session's queries that it was not told of; past it, its socket is read no "
        "further.",
        least=1,
    )
    session_request_bytes_max: int = _setting(
        4 << 20,
        "What a session's unanswered messages weigh; past it, its socket is read no further.",
        least=1024,
    )
    session_query_bytes_max: int = _setting(
        32 << 20,
        "What the arguments of a session's queries weigh; past it, it is closed.",
        least=1024,
    )
    outbox_bytes_max: int = _setting(
        4 << 20, "What waits for a client when its socket is read no further.", least=1024
    )
    mailbox_seconds: float = _setting(
        20.0,
        "How long work may wait for room in a full mailbox; then 1013 or 503.",
        least=0.01,
    )
    mutations_waiting_max: int = _setting(1024, "What the writer's mailbox holds.", least=1)
    table_messages_max: int = _setting(4096, "What a table's mailbox holds.", least=1)
    actions_waiting_max: int = _setting(1024, "What the actions' mailbox holds.", least=1)
    actions_running_max: int = _setting(64, "Actions at once; the others wait.", least=1)
    action_seconds: float = _setting(
        600.0, "How long an action may take, its retries included.", least=0.01
    )
    action_threads: int = _setting(
        16, "Threads for blocking work of actions (ctx.to_thread).", least=1
    )
    scheduled_mutations_running_max: int = _setting(
        64, "Scheduled mutations that wait for the writer at once; the others are on disk.", least=1
    )
    scheduled_actions_running_max: int = _setting(8, "Scheduled actions at once.", least=1)
    outgoing_allow: tuple[str, ...] = _setting(
        (),
        "Networks, with commas between, that actions may call although they are not public, such "
        "as 192.168.1.0/24 or 127.0.0.0/8.",
    )
    batch_max: int = _setting(64, "How many mutations commit together at most.", least=1)
    readers: int = _setting(3, "Threads for slow queries; there is one more for others.", least=1)
    documents_read_max: int = _setting(32_000, "Documents that one call may read.", least=1)
    read_bytes_max: int = _setting(16 << 20, "Bytes that one call may read.", least=1024)
    ranges_read_max: int = _setting(4096, "Gets and scans of one call.", least=1)
    documents_written_max: int = _setting(16_000, "Writes of one call.", least=1)
    written_bytes_max: int = _setting(16 << 20, "Bytes that one call may write.", least=1024)
    arguments_bytes_max: int = _setting(16 << 20, "The largest arguments of a call.", least=1024)
    result_bytes_max: int = _setting(16 << 20, "The largest result of a call.", least=1024)
    call_depth_max: int = _setting(8, "Calls within calls, the outermost included.", least=1)
    scheduled_max: int = _setting(1000, "Functions that one mutation may schedule.", least=1)
    scheduled_bytes_max: int = _setting(
        16 << 20, "Arguments of the functions that one mutation schedules.", least=1024
    )
    log_lines_max: int = _setting(256, "Lines that one call may log.", least=1)
    log_line_bytes_max: int = _setting(32_768, "Characters of one line that is logged.", least=64)
    function_cpu_seconds: float = _setting(
        1.0, "Processor time of one query or mutation.", least=0.001
    )
    function_seconds: float = _setting(
        15.0, "How long a query or mutation may take in all, the database included.", least=0.001
    )


def settings_from(environment: Mapping[str, str], options: Mapping[str, object]) -> Settings:
    """Read the settings: options that are not None, then the environment, then the defaults.

    Raises: StartError for a value that cannot be used; it names the variable.
    """
    chosen: dict[str, object] = {}
    for attribute in attrs.fields(Settings):
        given = options.get(attribute.name)
        text = environment.get(ENVIRONMENT_PREFIX + attribute.name.upper())
        if given is not None:
            chosen[attribute.name] = given
        elif text is not None:
            chosen[attribute.name] = _parsed(attribute, text)
    for name, value in chosen.items():
        _check_least(name, value)
    return Settings(**chosen)  # type: ignore[arg-type]  # Parsed by the type of each default.


def web_folder(settings: Settings) -> Path | None:
    """Give the folder of the web app that was set, None if none was.

    Raises: StartError if it does not exist.
    """
    if not settings.web:
        return None
    if not Path(settings.web).is_dir():
        raise StartError(
            f"The folder of the web app, {settings.web}, does not exist. Build the web app, or "
            "leave the setting FLOW_WEB (--web) away.",
            USAGE_EXIT_CODE,
        )
    return Path(settings.web)


def _parsed(attribute: "Attribute[object]", text: str) -> object:
    default = attribute.default
    try:
        if isinstance(default, bool):
            return _boolean(text)
        if isinstance(default, int):
            return int(text)
        if isinstance(default, float):
            return float(text)
    except ValueError:
        variable = ENVIRONMENT_PREFIX + attribute.name.upper()
        raise StartError(
            f"{variable} is {text!r}, but it takes {_kind(default)}, such as {default}. "
            f"{attribute.metadata['help']}",
            USAGE_EXIT_CODE,
        ) from None
    if isinstance(default, tuple):
        return tuple(part for part in map(str.strip, text.split(",")) if part)
    return text


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(text)
    return word in _TRUE


def _kind(default: object) -> str:
    if isinstance(default, bool):
        return "true or false"
    return "a whole number" if isinstance(default, int) else "a number"


def _check_least(name: str, value: object) -> None:
    attribute: Attribute[object] = getattr(attrs.fields(Settings), name)
    least: float | None = attribute.metadata["least"]
    if least is not None and isinstance(value, (int, float)) and not value >= least:
        raise StartError(
            f"The setting {name} is {value}, but it is at least {least:g}. "
            f"{attribute.metadata['help']}",
            USAGE_EXIT_CODE,
        )
