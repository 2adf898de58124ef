"""Runs as a program: the command line, with stacks whose processes are forked too."""

from __future__ import annotations

from signalbox.producers.cli.main import main
from signalbox.producers.embedded import stack
from tests.forked import ForkedProcess

if __name__ == "__main__":
    for module in (stack, stand_in):
        vars(module)["ManagedProcess"] = ForkedProcess
    main()
