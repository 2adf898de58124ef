"""Tells schemathesis which server errors are meant: `SCHEMATHESIS_HOOKS` names this module.

A command of a tenant without a route is answered with 500, and one that the route's backend cannot
run with 501, on the calls whose document says so.
"""

from __future__ import annotations

from typing import Any

import schemathesis
from schemathesis.core.failures import Failure, ServerError
from schemathesis.core.transport import Response
from schemathesis.hooks import HookContext

from signalbox.commands.error import (
    BackendNotImplemented,
    RouteNotFound,
    SignalboxError,
    Unsupported,
)
from signalbox.gateway.problem import MEDIA_TYPE

MEANT: list[type[SignalboxError]] = [RouteNotFound, Unsupported, BackendNotImplemented]


@schemathesis.hook
def filter_failure(
    context: HookContext, failure: Failure, case: schemathesis.Case[Any], response: Response
) -> bool:
    """Return whether the failure counts."""
    return not (isinstance(failure, ServerError) and _is_meant(case, response))


def _is_meant(case: schemathesis.Case[Any], response: Response) -> bool:
    if str(response.status_code) not in case.operation.definition.raw["responses"]:
        return False
    if response.headers.get("content-type") != [MEDIA_TYPE]:
        return False
    if case.method == "HEAD":
        return True  # It has no body to say which error it is; the GET of the same path has.
    told = (response.status_code, response.json()["error_code"])
    return told in {(error.http_status, error.code) for error in MEANT}
