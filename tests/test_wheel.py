"""What users install: the built wheel, held against the tree, and run where there is nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAPPED = {"runtime": "archdsl/runtime", "search": "archdsl/search", "specs": "archdsl/specs"}
SHIPPED = (".py", ".arch", ".lark", ".md", ".toml", ".html", ".css", ".h", ".cpp", ".typed")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: a build in the tree could pick up files that a former build left."""
    copy = tmp_path_factory.mktemp("tree") / "archdsl"
    skipped = shutil.ignore_patterns(
        ".git", ".venv*", "build", "dist", "runs", "*.egg-info", "__pycache__", "_*.json", "*.pickle"
    )
    shutil.copytree(ROOT, copy, ignore=skipped)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist", "."]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = (copy / "dist").glob("*.whl")
    return built


def tree_files() -> set[str]:
    """Every file of the tree that has to be in the wheel, under the name it has there."""
    found = set()
    for folder in ("archdsl", *MAPPED):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in SHIPPED and "__pycache__" not in path.parts:
                relative = path.relative_to(ROOT / folder).as_posix()
                found.add(f"{MAPPED.get(folder, folder)}/{relative}")
    return found


def test_the_wheel_holds_the_tree(wheel: Path) -> None:
    """No module, spec, page or template is left out, and nothing else gets in but the parser's table and trees."""
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    built = {"archdsl/lang/_tables.pickle", "archdsl/lang/_library.pickle"}
    assert names == tree_files() | built


def test_the_wheel_works_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    """Installed with nothing else, it compiles a shipped spec from an empty folder and segments a scene with it."""
    home = tmp_path / "env"
    venv.create(home, with_pip=True)
    pip = [home / "bin" / "pip", "install", "-q", "-c", ROOT / "constraints.txt", wheel]
    subprocess.run(pip, check=True, capture_output=True)
    empty = tmp_path / "empty"
    empty.mkdir()
    tool = home / "bin" / "archdsl"
    compiled = subprocess.run(
        [tool, "compile", "specs/dwrseg.arch"], cwd=empty, capture_output=True, text=True, check=True
    )
    assert "taking the one shipped" in compiled.stderr
    ran = subprocess.run([tool, "run", "build/dwrseg"], cwd=empty, capture_output=True, text=True, check=True)
    assert (empty / "runs" / "run" / "dwrseg" / "sample.overlay.png").is_file(), ran.stdout
