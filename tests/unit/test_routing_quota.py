"""Quotas that nothing could count are refused when they are set."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from signalbox.routing.policy.policy import LARGEST, Quotas


@pytest.mark.parametrize("name", ["objects", "bytes"])
@pytest.mark.parametrize("value", [LARGEST + 1, 10**400, -1])
def test_a_quota_that_no_script_counts_to_is_refused(name: str, value: int) -> None:
    with pytest.raises(ValidationError):
        Quotas.model_validate_json(json.dumps({name: value}), strict=True)
    assert Quotas.model_validate({name: LARGEST})


@pytest.mark.parametrize("rate", ["1e-300", "1e300", "0", "1" + "0" * 400])
def test_a_rate_that_no_clock_keeps_is_refused(rate: str) -> None:
    with pytest.raises(ValidationError):
        Quotas.model_validate_json(f'{{"commands_per_second": {rate}}}', strict=True)
