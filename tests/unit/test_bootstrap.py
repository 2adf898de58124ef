"""The bootstrap makes `.venv` once, repairs it, and says in one line what a machine lacks."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
WITHOUT = (
    "import runpy, sys; sys.modules[{module!r}] = None; "
    "runpy.run_path('bootstrap.py', run_name='__main__')"
)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with what the bootstrap reads, and no environment."""
    for name in ("bootstrap.py", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


@pytest.fixture
def bootstrap(clone: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The clone's bootstrap, with `pip_calls` where pip would be run."""
    spec = importlib.util.spec_from_file_location("bootstrap", clone / "bootstrap.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(module, "pip", lambda *arguments: calls.append(arguments))
    monkeypatch.setattr(module, "pip_calls", calls, raising=False)
    monkeypatch.setattr("venv.create", make_python)
    return module


def make_python(folder: Path, **_: object) -> None:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)


def run(clone: Path, program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], cwd=clone, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_a_python_without_venv_or_pip_is_told_in_one_line_what_to_install(
    clone: Path, module: str
) -> None:
    result = run(clone, WITHOUT.format(module=module))
    assert result.returncode == 1
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert f"apt install python3.{sys.version_info.minor}-venv" in line
    assert not (clone / ".venv").exists()


def test_an_old_python_is_told_in_one_line_which_one_is_needed(clone: Path) -> None:
    result = run(
        clone,
        "import runpy, sys; sys.version_info = (3, 9, 2); "
        "runpy.run_path('bootstrap.py', run_name='__main__')",
    )
    assert result.returncode == 1
    [line] = result.stderr.splitlines()
    assert "install Python 3.11 or newer" in line


def test_a_place_that_cannot_be_written_is_told_in_one_line(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("venv.create", refuse)
    with pytest.raises(SystemExit):
        bootstrap.main()
    [line] = capsys.readouterr().err.splitlines()
    assert "Permission denied" in line


def test_the_second_run_does_nothing_and_says_nothing(
    bootstrap: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    bootstrap.main()
    assert [call[-1] for call in bootstrap.pip_calls] == [str(bootstrap.LOCK), str(bootstrap.ROOT)]
    assert "--require-hashes" in bootstrap.pip_calls[0]
    capsys.readouterr()
    bootstrap.main()
    assert len(bootstrap.pip_calls) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml", "bootstrap.py"])
def test_a_changed_lock_or_project_makes_the_environment_anew(
    bootstrap: ModuleType, clone: Path, name: str
) -> None:
    bootstrap.main()
    (clone / name).write_text((clone / name).read_text() + "\n# changed\n")
    bootstrap.main()
    assert len(bootstrap.pip_calls) == 4


def test_a_half_made_environment_is_made_anew(bootstrap: ModuleType, clone: Path) -> None:
    (clone / ".venv" / "bin").mkdir(parents=True)
    (clone / ".venv" / "leftover").touch()
    bootstrap.main()
    assert len(bootstrap.pip_calls) == 2
    assert not (clone / ".venv" / "leftover").exists()


def test_an_environment_whose_python_is_gone_is_made_anew(
    bootstrap: ModuleType, clone: Path
) -> None:
    bootstrap.main()
    python = clone / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to(clone / "no-such-python")
    bootstrap.main()
    assert len(bootstrap.pip_calls) == 4


def test_the_lock_names_no_host_and_no_path() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert not [line for line in lines if "://" in line or "--index" in line or "--find" in line]
    pins = [line for line in lines if line and not line.startswith((" ", "#"))]
    # A name, its exact version, perhaps a marker: nothing that is fetched from elsewhere.
    assert [pin for pin in pins if "==" not in pin.partition(";")[0] or "@" in pin] == []
