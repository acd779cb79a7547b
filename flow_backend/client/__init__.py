"""The Python client of a Flow server."""

from flow_backend.client.blocking import SyncClient
from flow_backend.client.client import Client, connect
from flow_backend.client.connection import ConnectionState
from flow_backend.client.http import HttpClient
from flow_backend.client.subscription import Subscription

__all__ = ["Client", "ConnectionState", "HttpClient", "Subscription", "SyncClient", "connect"]
