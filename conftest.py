"""The suite in `testing/suite` runs on the backends of this repository too."""

from __future__ import annotations

import tests.conformance.harness  # noqa: F401 - registers their harnesses
