import pytest


@pytest.fixture
def state_url():
    return "redis://127.0.0.1:7399/0"
