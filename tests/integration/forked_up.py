"""Runs as a program: the command line, with stacks whose processes are forked too."""

from __future__ import annotations

from signalbox.producers.cli.main import main
from signalbox.producers.embedded import s3_stand_in, stack
from tests.forked import ForkedProcess

if __name__ == "__main__":
    for module in (stack, s3_stand_in):
        vars(module)["ManagedProcess"] = ForkedProcess
    main()
