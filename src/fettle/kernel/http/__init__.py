"""What every HTTP route stands on: strict bodies, keyset pages, problem documents, the stack."""

from fettle.kernel.http.idempotency import IdempotencyKey, OneTimeAnswer
from fettle.kernel.http.pages import Page, PageParams, Paging, decode_cursor, encode_cursor
from fettle.kernel.http.problems import problem_handlers
from fettle.kernel.http.routes import StrictRoute
from fettle.kernel.http.serving import server_config
from fettle.kernel.http.stack import wrap

__all__ = [
    "IdempotencyKey",
    "OneTimeAnswer",
    "Page",
    "PageParams",
    "Paging",
    "StrictRoute",
    "decode_cursor",
    "encode_cursor",
    "problem_handlers",
    "server_config",
    "wrap",
]
