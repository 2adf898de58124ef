"""Tells schemathesis which answer with status 500 is meant: `SCHEMATHESIS_HOOKS` names this module.

A command of a tenant without a route is answered so, on the calls whose document says it.
"""

from __future__ import annotations

from typing import Any

import schemathesis
from schemathesis.core.failures import Failure, ServerError
from schemathesis.core.transport import Response
from schemathesis.hooks import HookContext

from signalbox.commands.error import RouteNotFound
from signalbox.gateway.problem import MEDIA_TYPE


@schemathesis.hook
def filter_failure(
    context: HookContext, failure: Failure, case: schemathesis.Case[Any], response: Response
) -> bool:
    """Return whether the failure counts."""
    return not (isinstance(failure, ServerError) and _is_meant(case, response))


def _is_meant(case: schemathesis.Case[Any], response: Response) -> bool:
    if response.status_code != RouteNotFound.http_status:
        return False
    if str(RouteNotFound.http_status) not in case.operation.definition.raw["responses"]:
        return False
    if response.headers.get("content-type") != [MEDIA_TYPE]:
        return False
    return bool(response.json()["error_code"] == RouteNotFound.code)
