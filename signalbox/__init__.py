"""Signalbox: storage commands of many tenants, each run once on the backend that its route names.

A service finds here what it needs: clients, commands, their results, and errors. The names stand in
`__init__.pyi`, for type checkers too. Each is loaded when it is first used, so that `import
signalbox` brings neither Celery nor an SDK.
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
