"""What the settings of a server mean for the backend behind it."""

from flow_backend.actors.outstanding import SessionLimits
from flow_backend.actors.settings import BackendSettings
from flow_backend.functions.limits import Limits
from flow_backend.server.addresses import networks
from flow_backend.server.config import Settings

_BACKEND_SHARE = 0.8
"""How much of the time for stopping the backend has; the rest is for saying goodbye."""


def backend_settings(settings: Settings) -> BackendSettings:
    """Give the backend's bounds.

    Source: the guarantees, "Back-pressure and bounds".
    """
    return BackendSettings(
        limits=_call_limits(settings),
        redact=settings.redact,
        log_words=settings.log_words,
        session=SessionLimits(
            mutations=settings.session_mutations_max,
            actions=settings.session_actions_max,
            queries=settings.session_queries_max,
            edits=settings.session_edits_max,
            request_bytes=settings.session_request_bytes_max,
            query_bytes=settings.session_query_bytes_max,
            unsent_bytes=settings.outbox_bytes_max,
            mailbox_seconds=settings.mailbox_seconds,
        ),
        mutations_waiting=settings.mutations_waiting_max,
        table_messages=settings.table_messages_max,
        actions_waiting=settings.actions_waiting_max,
        actions_running=settings.actions_running_max,
        action_seconds=settings.action_seconds,
        action_threads=settings.action_threads,
        scheduled_mutations=settings.scheduled_mutations_running_max,
        scheduled_actions=settings.scheduled_actions_running_max,
        outgoing_allow=networks("outgoing_allow", settings.outgoing_allow),
        batch_max=settings.batch_max,
        readers=settings.readers,
        mailbox_seconds=settings.mailbox_seconds,
        stop_seconds=settings.stop_seconds * _BACKEND_SHARE,
    )


def _call_limits(settings: Settings) -> Limits:
    return Limits(
        documents_read=settings.documents_read_max,
        bytes_read=settings.read_bytes_max,
        ranges_read=settings.ranges_read_max,
        documents_written=settings.documents_written_max,
        bytes_written=settings.written_bytes_max,
        arguments_bytes=settings.arguments_bytes_max,
        result_bytes=settings.result_bytes_max,
        depth=settings.call_depth_max,
        jobs=settings.scheduled_max,
        jobs_bytes=settings.scheduled_bytes_max,
        log_lines=settings.log_lines_max,
        log_line_bytes=settings.log_line_bytes_max,
        cpu_seconds=settings.function_cpu_seconds,
        total_seconds=settings.function_seconds,
    )
