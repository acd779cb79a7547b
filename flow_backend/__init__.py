"""A reactive backend in Python: typed tables, live queries, serializable mutations, actions.

This is what the code of an app imports. Modules in here import each other by their full names.
"""

from flow_backend.auth.identity import Identity
from flow_backend.auth.providers import CustomJwt, OpenIdConnect
from flow_backend.auth.webhooks import sign_webhook, verify_webhook
from flow_backend.errors import AppError, RequestBodyError, WebhookRejected
from flow_backend.functions.context import ActionCtx, MutationCtx, QueryCtx
from flow_backend.functions.crons import Crons
from flow_backend.functions.env import Environment
from flow_backend.functions.function import (
    action,
    internal_action,
    internal_mutation,
    internal_query,
    mutation,
    query,
)
from flow_backend.functions.http import HttpRequest, HttpResponse, http_action
from flow_backend.functions.retry import Retry
from flow_backend.functions.snippets import Snippet, SnippetPart
from flow_backend.schema.document import Date, Document, Id, Instant, Time, document
from flow_backend.schema.index import Index
from flow_backend.schema.pages import Page, PaginationOptions
from flow_backend.schema.reference import Reference
from flow_backend.schema.search_index import SearchIndex
from flow_backend.schema.system import CronJob, Deployment, JobState, ScheduledFunction
from flow_backend.values.value import Int64

__all__ = [
    "ActionCtx",
    "AppError",
    "CronJob",
    "Crons",
    "CustomJwt",
    "Date",
    "Deployment",
    "Document",
    "Environment",
    "HttpRequest",
    "HttpResponse",
    "Id",
    "Identity",
    "Index",
    "Instant",
    "Int64",
    "JobState",
    "MutationCtx",
    "OpenIdConnect",
    "Page",
    "PaginationOptions",
    "QueryCtx",
    "Reference",
    "RequestBodyError",
    "Retry",
    "ScheduledFunction",
    "SearchIndex",
    "Snippet",
    "SnippetPart",
    "Time",
    "WebhookRejected",
    "action",
    "document",
    "http_action",
    "internal_action",
    "internal_mutation",
    "internal_query",
    "mutation",
    "query",
    "sign_webhook",
    "verify_webhook",
]
