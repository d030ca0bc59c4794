"""What a worker needs on another machine: the document's folder, and the Python packages that it imports.

Which packages those are is found by opening the document here, as a worker would, and by what its own Python
files import. Shipped are files as they are installed here, so the machines there need the same
version of Python, of the same kind of system, and nothing else.

`python -m pointsman.runner.flink_ship DOCUMENT [OVERLAY …]` prints what opening it imports.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution, packages_distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from pointsman.base.errors import EnvironmentFault
from pointsman.runner.settings import Settings
from pointsman.spec.document import Document

__all__ = ["ship", "variables", "write_document", "write_packages"]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_VARIABLE: Final = re.compile(r"(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-[^{}]*)?\}")
_OURS: Final = "pointsman"


def ship(plan: dict[str, Any], document: Document, settings: Settings, folder: Path) -> None:
    """Makes a plan one whose workers run elsewhere: what they need comes with the job.

    Args:
        folder: Where that is put together; it has to stay until the job is submitted.

    Raises:
        EnvironmentFault: The document cannot be opened here.
    """
    name, placed = write_document(document, settings.overlays, folder / "document", settings.state_dir)
    write_packages(document, settings.overlays, folder / "packages")
    values = {name: os.environ[name] for name in variables(document) if name in os.environ}
    worker = plan["worker"]
    worker["ship"] = {name: str(folder / name) for name in ("document", "packages")}
    worker["command"][0] = f"python{sys.version_info.major}.{sys.version_info.minor}"
    worker["environment"] = {**values, "PYTHONPATH": "{packages}", "PYTHONNOUSERSITE": "1"}
    worker["open"]["document"] = f"{{document}}/{name}"
    worker["open"]["overlays"] = [f"{{document}}/{name}" for name in placed]


def variables(document: Document) -> list[str]:
    """The names of the environment's variables that a document mentions."""
    found = _VARIABLE.findall(json.dumps(document.raw, ensure_ascii=False, default=str))
    return sorted(set(found) - {"file"})


def write_document(
    document: Document, overlays: Iterable[Path], folder: Path, state_dir: Path | None = None
) -> tuple[str, list[str]]:
    """Copies the document's folder, and overlays from elsewhere; returns where they are in the copy.

    Args:
        state_dir: Left out where it is below the document's folder.
    """

    def left_out(where: str, names: list[str]) -> set[str]:
        states = {name for name in names if Path(where, name).absolute() == state_dir}
        return _trash(where, names) | states

    shutil.copytree(document.folder, folder, ignore=left_out)
    placed = []
    for number, path in enumerate(overlays):
        if path.is_relative_to(document.folder):
            placed.append(path.relative_to(document.folder).as_posix())
        else:
            name = f"overlay-{number}-{path.name}"
            shutil.copyfile(path, folder / name)
            placed.append(name)
    return document.path.name, placed


def _trash(folder: str, names: list[str]) -> set[str]:
    """What of a folder is not shipped: caches, hidden things, environments of Python."""
    return {
        name
        for name in names
        if name.startswith(".")
        or name == "__pycache__"
        or name.endswith(".pyc")
        or Path(folder, name, "pyvenv.cfg").exists()
    }


def write_packages(document: Document, overlays: Iterable[Path], folder: Path) -> None:
    """Copies the packages that a worker of the document imports.

    Raises:
        EnvironmentFault: The document cannot be opened here.
    """
    folder.mkdir(parents=True)
    opened, files = _opened(document, overlays)
    modules = {*opened, *_mentioned(files), _OURS}
    owners = packages_distributions()
    wanted = {name for module in modules for name in owners.get(module, ())}
    for name in sorted(_with_needs({*wanted, _OURS})):
        _copy(distribution(name), folder)
    for module in sorted(modules):
        if not (folder / module).exists() and not (folder / f"{module}.py").exists():
            _copy_module(module, document.folder, folder)


def _opened(document: Document, overlays: Iterable[Path]) -> tuple[list[str], list[Path]]:
    """The top-level modules that opening the document imports, and the Python files of its own among them."""
    command = [sys.executable, "-m", "pointsman.runner.flink_ship", str(document.path), *map(str, overlays)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EnvironmentFault(
            f"the document cannot be opened here, so not there either:\n{done.stderr.strip()}"
        )
    modules, files = json.loads(done.stdout.splitlines()[-1])
    return modules, list(map(Path, files))


def _mentioned(files: Iterable[Path]) -> Iterator[str]:
    """The top-level modules that Python files import, be it only once they are called."""
    for path in files:
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]


def _with_needs(names: Iterable[str]) -> set[str]:
    """These distributions and what they need, extras aside: those were imported, or are not needed."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        try:
            one = distribution(waiting.pop())
        except PackageNotFoundError:  # needed on other systems only
            continue
        name = one.metadata["Name"].lower()
        if name not in found:
            found.add(name)
            needs = [need for need in one.requires or () if "extra ==" not in need]
            waiting += [match.group() for need in needs if (match := _NAME.match(need))]
    return found


def _copy(found: Distribution, folder: Path) -> None:
    """Copies a distribution's files, but for programs and caches."""
    for file in found.files or ():
        source = Path(str(file.locate()))
        if ".." in file.parts or "__pycache__" in file.parts or file.suffix == ".pth" or not source.is_file():
            continue
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def _copy_module(module: str, document: Path, folder: Path) -> None:
    """Copies a module that no distribution has, such as one that is installed for editing."""
    if module in sys.stdlib_module_names:
        return
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        return
    if spec is None or spec.origin is None or not spec.has_location:
        return
    path = Path(spec.origin)
    if path.is_relative_to(document.absolute()) or path.parent == Path(json.__file__).parents[1]:
        return
    if path.name == "__init__.py":
        shutil.copytree(path.parent, folder / module, ignore=_trash)
    else:
        shutil.copyfile(path, folder / path.name)


def _main() -> None:
    from pointsman.runner.host import Host
    from pointsman.spec import load

    path, *overlays = map(Path, sys.argv[1:])
    document = load(path, tuple(overlays))
    Host.open(document).close()
    import pointsman.runner.flink_worker  # noqa: F401  what it imports is what a worker does

    modules = {name.partition(".")[0] for name in sys.modules}
    files = {file for one in list(sys.modules.values()) if (file := getattr(one, "__file__", None))}
    own = [file for file in files if Path(file).is_relative_to(document.folder.absolute())]
    print(json.dumps([sorted(modules), sorted(own)]))


if __name__ == "__main__":
    _main()
