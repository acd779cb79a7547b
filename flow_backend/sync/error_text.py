"""The text of an error as clients show it."""


def error_text(request_id_hex: str, message: str | None, *, redact: bool) -> str:
    """Write an error for a client.

    The first line names the request, to be found in the server's log by it; the rest is
    ``message``, unless the server hides it (``redact``) or there is none.

    Source: the sync protocol, "Error text".
    """
    line = f"[Request ID: {request_id_hex}] Server Error"
    return line if redact or message is None else f"{line}\n{message}"
