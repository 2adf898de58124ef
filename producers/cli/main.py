"""The `signalbox` command line.

Exit codes: 0 done, 1 refused or failed (with the error's code on standard error), 2 usage.
"""

from __future__ import annotations

import json
import sys

import typer
from pydantic import ValidationError
from rich.markup import escape

from commands.error import InvalidSetting, LocalFileError, SignalboxError, reason_of
from commands.parse import invalid_command
from producers.cli import (
    audit,
    dead,
    drain,
    events,
    metrics,
    object_links,
    objects,
    operate,
    policy,
    route_view,
    routes,
    stack,
    tables,
)
from producers.cli.common import err

app = typer.Typer(
    help="Routes storage commands of many tenants to the backend that each route names.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(routes.app, name="routes")
route_view.add_to(routes.app)
drain.add_to(routes.app)
app.add_typer(policy.app, name="policy")
app.add_typer(audit.app, name="audit")
app.add_typer(dead.app, name="dead")
app.add_typer(objects.app, name="object")
object_links.add_to(objects.app)
app.add_typer(tables.app, name="table")
app.add_typer(metrics.app, name="metrics")
app.add_typer(events.app, name="events")
operate.add_to(app)
stack.add_to(app)


def main() -> None:
    """Run the command line; typed errors become a message and exit code 1."""
    try:
        app()
    except SignalboxError as error:
        _report(error)
    except ValidationError as error:
        _report(_invalid_setting(error) if error.title == "Settings" else invalid_command(error))
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        _report(LocalFileError(f"{error.filename or 'a file'}: {error.strerror}"))
    except KeyboardInterrupt:
        sys.exit(130)


def _invalid_setting(error: ValidationError) -> InvalidSetting:
    first = error.errors(include_url=False, include_input=False)[0]
    name = f"SIGNALBOX_{str(first['loc'][0]).upper()}"
    return InvalidSetting(f"{name}: {reason_of(first)}", next_step="see docs/configuration.md")


def _report(error: SignalboxError) -> None:
    if "--json" in sys.argv:
        print(json.dumps({"error": error.detail().model_dump()}), file=sys.stderr)  # noqa: T201
    else:
        err.print(f"[bold red]{error.code}[/bold red] {escape(str(error))}", soft_wrap=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
