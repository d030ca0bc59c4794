"""The drawing of the error tree is the tree."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pointsman
from house.rooms import PACKAGE, files, imports
from pointsman.base import errors


def drawn() -> dict[str, str]:
    """Each class of the drawing and the class it stands under."""
    parents: dict[int, str] = {}
    found: dict[str, str] = {}
    for text in (errors.__doc__ or "").splitlines():
        words = text.split()
        if not words or not words[0].isidentifier() or not hasattr(errors, words[0]):
            continue
        indent = len(text) - len(text.lstrip())
        parents[indent] = words[0]
        found[words[0]] = parents[indent - 4] if indent else "Exception"
    return found


def test_drawing_equals_the_classes() -> None:
    """Every class stands in the drawing, once, under its base."""
    classes = {
        name: cls.__base__.__name__
        for name, cls in inspect.getmembers(errors, inspect.isclass)
        if issubclass(cls, Exception)
    }
    assert drawn() == classes


def test_every_error_is_public() -> None:
    """`__all__` lists every error, so that users can catch it by name."""
    assert set(drawn()) <= set(errors.__all__)


def test_no_error_is_defined_elsewhere_and_escapes() -> None:
    """An exception class outside base/errors.py derives from the tree, or stays within its room."""
    astray = []
    for module in pkgutil.walk_packages(pointsman.__path__, "pointsman."):
        for name, cls in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            public = cls.__module__ == module.name and not name.startswith("_")
            if public and issubclass(cls, BaseException) and not issubclass(cls, errors.PointsmanError):
                room = module.name.split(".")[1]
                others = [path for path in files() if path.relative_to(PACKAGE).parts[0] != room]
                if any(module.name in set(imports(path)) for path in others):
                    astray.append(f"{module.name}.{name}")
    assert astray == []
