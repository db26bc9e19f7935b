"""What pyproject.toml cannot say: three top-level folders install inside archdsl, and the parser is built here."""

import compileall
import sys
from pathlib import Path

from setuptools import find_namespace_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent

# folder at top level -> the name it is installed and imported under
MAPPED = {"runtime": "archdsl.runtime", "search": "archdsl.search", "specs": "archdsl.specs"}


def packages() -> list[str]:
    """Every package and folder of data that ships, found rather than listed, so that none can be forgotten."""
    found = find_namespace_packages(include=["archdsl", "archdsl.*"])
    for folder, name in MAPPED.items():
        found += [name, *(f"{name}.{sub}" for sub in find_namespace_packages(folder))]
    return [name for name in found if "__pycache__" not in name]


class BuildWithTables(build_py):
    """Writes the parser's table and the library's trees beside the grammar, in the tree or in the wheel.

    An editable install is byte-compiled too, as pip does with a wheel: `archdsl check` answers in half the time.
    """

    def run(self) -> None:
        super().run()
        sys.path.insert(0, str(ROOT))
        try:
            from archdsl.lang.grammar import write_tables
            from archdsl.lang.library import write_trees
        finally:
            sys.path.pop(0)
        built = (ROOT if self.editable_mode else Path(self.build_lib)) / "archdsl" / "lang"
        write_tables(built)
        write_trees(built, ROOT / "archdsl" / "std")
        if self.editable_mode:
            for folder in ("archdsl", *MAPPED):
                compileall.compile_dir(ROOT / folder, quiet=2)


setup(
    packages=packages(),
    package_dir={name: folder for folder, name in MAPPED.items()},
    package_data={
        "": ["*.lark", "py.typed", *(f"**/*.{kind}" for kind in ("arch", "md", "toml", "html", "css", "h", "cpp"))]
    },
    cmdclass={"build_py": BuildWithTables},
)
