"""Loads what a document names as `module:function` or `module:Class` from the document's own folder.

    E411  there is no such module        E413  the module has no such name
    E412  importing the module raised    E414  the name is not a function or a class with `predict`

The folder is importable: first while a hook is loaded, last from then on, so that imports inside functions
work too. Two documents of one process may each have a `baseline.py`: while one folder's hooks are loaded, the
modules of others are out of the way, and each keeps its own. Of two modules with one name the first keeps its
place in `sys.modules`, so such a name is to be imported at the top of a file, not inside a function.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from pointsman.base.errors import Misfit

__all__ = ["load"]

_lock = threading.RLock()
_modules: dict[Path, dict[str, ModuleType]] = {}
"""The modules imported from each folder, by name."""


def load(name: str, folder: Path) -> Callable[..., Any]:
    """The function called `name`, or the bound `predict` of an instance of the class called `name`.

    Args:
        name: `module:function` or `module:Class`; both parts may be dotted.
        folder: Where modules are looked for first: the document's folder.

    Raises:
        Misfit: There is no such module or name, importing it raised, or it is not what a hook can be.
    """
    module_name, colon, attribute = name.partition(":")
    if not (colon and module_name and attribute):
        raise Misfit("E411", f"'{name}' does not name a Python function", "write it as module:function")
    folder = folder.resolve()
    with _lock, _importing(folder, module_name):
        module = _import(module_name, folder)
        found = _attribute(module, attribute, name)
        return _callable(found, name)


@contextmanager
def _importing(folder: Path, module_name: str) -> Iterator[None]:
    """Lets imports see `folder` first, and none of the modules of other folders."""
    own = _modules.setdefault(folder, {})
    tops = {path.stem for path in folder.glob("*.py")} | {
        path.parent.name for path in folder.glob("*/__init__.py")
    }
    tops = (tops - sys.stdlib_module_names) | {module_name.partition(".")[0]}
    foreign = {
        id(module) for other, modules in _modules.items() if other != folder for module in modules.values()
    }
    hidden = {
        name: module
        for name, module in sys.modules.copy().items()
        if (name.partition(".")[0] in tops and not _ours(name)) or id(module) in foreign
    }
    path = list(sys.path)
    for name in hidden:
        del sys.modules[name]
    sys.modules.update(own)
    others = {str(other) for other in _modules if other != folder}
    sys.path[:] = [str(folder), *(entry for entry in path if entry not in others)]
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = path if str(folder) in path else [*path, str(folder)]
        own.update({n: module for n, module in sys.modules.copy().items() if _comes_from(module, folder)})
        sys.modules.update(hidden)


def _ours(name: str) -> bool:
    return name in ("__main__", "pointsman") or name.startswith("pointsman.")


def _comes_from(module: ModuleType, folder: Path) -> bool:
    """Whether `module` is one of the folder's own, not of an environment that lies inside it."""
    file = getattr(module, "__file__", None)
    if not file or _ours(module.__name__):
        return False
    try:
        inside = Path(file).resolve().relative_to(folder)
    except ValueError:
        return False
    depth = module.__name__.count(".") + (2 if inside.name == "__init__.py" else 1)
    return len(inside.parts) == depth


def _import(name: str, folder: Path) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            near = difflib.get_close_matches(name, [path.stem for path in folder.glob("*.py")], n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"write {name.replace('.', '/')}.py in {folder}"
            raise Misfit("E411", f"there is no Python module '{name}'", hint) from None
        raise Misfit(
            "E412",
            f"module '{name}' imports '{error.name}', which is not installed",
            f"install it beside Pointsman, or put {error.name}.py in {folder}",
        ) from error
    except SyntaxError as error:
        place = f"{Path(error.filename or name).name}:{error.lineno}"
        raise Misfit("E412", f"module '{name}' is not valid Python: {error.msg} ({place})") from error
    except (Exception, SystemExit) as error:
        raise Misfit(
            "E412", f"importing '{name}' raised {_said(error)}", "try it: python -m " + name
        ) from error


def _attribute(module: ModuleType, attribute: str, name: str) -> Any:
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            names = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
            near = difflib.get_close_matches(part, names, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"define it in {module.__file__}"
            raise Misfit("E413", f"module '{module.__name__}' has no '{part}' (in '{name}')", hint)
        found = getattr(found, part)
    return found


def _callable(found: Any, name: str) -> Callable[..., Any]:
    """The function to call: what was found, or `predict` of the instance built of it."""
    if inspect.isclass(found):
        if not callable(getattr(found, "predict", None)):
            raise Misfit("E414", f"class '{name}' has no method predict", "give it predict(self, rows)")
        try:
            built: Any = found()
            return built.predict  # type: ignore[no-any-return]  # checked to be callable above
        except (Exception, SystemExit) as error:
            hint = "a hook's class is built once per worker, without arguments"
            raise Misfit("E414", f"building '{name}' raised {_said(error)}", hint) from error
    if not callable(found):
        raise Misfit(
            "E414", f"'{name}' is not a function but {type(found).__name__}", "name a function or a class"
        )
    return found  # type: ignore[no-any-return]  # checked to be callable above


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
