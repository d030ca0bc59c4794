"""Python names of a document, loaded from its folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from pointsman.base import hooks
from pointsman.base.errors import Misfit
from pointsman.base.hooks import load


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forgets after each test what its hooks brought into the process."""
    monkeypatch.setattr(hooks, "_modules", {})
    path, modules = list(sys.path), dict(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - set(modules):
        del sys.modules[name]


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(dedent(text))
    return folder


def refused(name: str, folder: Path) -> Misfit:
    with pytest.raises(Misfit) as caught:
        load(name, folder)
    return caught.value


def test_a_function_is_loaded_from_the_folder(tmp_path: Path) -> None:
    """`module:function` is the function of that file."""
    write(tmp_path, baseline="def predict(rows): return [1 for _ in rows]")
    assert load("baseline:predict", tmp_path)([{}, {}]) == [1, 1]


def test_a_class_is_built_once_and_its_predict_called(tmp_path: Path) -> None:
    """`module:Class` gives the bound `predict` of an instance."""
    write(
        tmp_path,
        m="class Model:\n    def __init__(self): self.n = 7\n    def predict(self, rows): return [self.n]",
    )
    assert load("m:Model", tmp_path)([{}]) == [7]


def test_two_folders_may_use_the_same_module_names(tmp_path: Path) -> None:
    """Each folder's hook sees its own modules, also those that it imports."""
    for n in "ab":
        write(
            tmp_path / n,
            hook=f"import helper\ndef predict(rows): return [helper.name() + '{n}']",
            helper=f"def name(): return 'helper of {n}: '",
        )
    first, second = load("hook:predict", tmp_path / "a"), load("hook:predict", tmp_path / "b")
    assert first([{}]) == ["helper of a: a"]
    assert second([{}]) == ["helper of b: b"]
    assert load("hook:predict", tmp_path / "a") is first


def test_a_function_may_import_when_it_is_called(tmp_path: Path) -> None:
    """An import inside a function finds the folder, which stands last on `sys.path` by then."""
    write(
        tmp_path,
        late_hook="def predict(rows):\n    import late_helper\n    return [late_helper.VALUE]",
        late_helper="VALUE = 'late'",
    )
    predict = load("late_hook:predict", tmp_path)
    assert sys.path[-1] == str(tmp_path)
    assert predict([{}]) == ["late"]


def test_a_folder_does_not_see_the_modules_of_another(tmp_path: Path) -> None:
    """A module that only the first folder has is not found from the second."""
    write(tmp_path / "a", hook="import mine_alone\ndef predict(rows): ...", mine_alone="")
    write(tmp_path / "b", hook="import mine_alone\ndef predict(rows): ...")
    load("hook:predict", tmp_path / "a")
    assert "imports 'mine_alone', which is not installed" in str(refused("hook:predict", tmp_path / "b"))


def test_a_file_named_like_a_standard_module_is_the_folders_own(tmp_path: Path) -> None:
    """`statistics:predict` is the folder's file; everybody else keeps the standard library's."""
    import statistics

    write(tmp_path, statistics="def predict(rows): return ['mine']")
    assert load("statistics:predict", tmp_path)([{}]) == ["mine"]
    assert sys.modules["statistics"] is statistics


def test_packages_and_dotted_names(tmp_path: Path) -> None:
    """A module may lie in a package, a name in a class."""
    package = write(tmp_path / "models", __init__="", deep="class Box:\n    def run(rows): return ['deep']")
    assert load("models.deep:Box.run", package.parent)([{}]) == ["deep"]


def test_a_module_that_is_not_there_is_named_with_the_nearest(tmp_path: Path) -> None:
    """A misspelt module gets the file it may have meant."""
    write(tmp_path, baseline="def predict(rows): return rows")
    error = refused("basline:predict", tmp_path)
    assert (error.code, str(error), error.hint) == (
        "E411",
        "there is no Python module 'basline'",
        "did you mean 'baseline'?",
    )


def test_a_function_that_is_not_there_is_named_with_the_nearest(tmp_path: Path) -> None:
    """A misspelt function gets the one it may have meant."""
    write(tmp_path, baseline="def predict(rows): return rows")
    error = refused("baseline:predcit", tmp_path)
    assert (error.code, error.hint) == ("E413", "did you mean 'predict'?")
    assert "module 'baseline' has no 'predcit'" in str(error)


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("import surely_not_installed", "E412", "imports 'surely_not_installed', which is not installed"),
        ("raise ValueError('no model here')", "E412", "importing 'hook' raised ValueError: no model here"),
        ("import sys; sys.exit(3)", "E412", "importing 'hook' raised SystemExit: 3"),
        ("def predict(rows:", "E412", "not valid Python"),
        ("predict = 3", "E414", "is not a function but int"),
        ("class predict: pass", "E414", "has no method predict"),
        (
            "class predict:\n    def __init__(self, path): ...\n    def predict(self, rows): ...",
            "E414",
            "building 'hook:predict' raised TypeError",
        ),
    ],
)
def test_what_cannot_be_loaded_says_why(tmp_path: Path, text: str, code: str, said: str) -> None:
    """An import that fails or a name that is no hook is a Misfit that says what is wrong."""
    write(tmp_path, hook=text)
    error = refused("hook:predict", tmp_path)
    assert error.code == code
    assert said in str(error)


def test_a_name_without_colon_is_refused(tmp_path: Path) -> None:
    """What is not `module:function` says how to write it."""
    assert refused("baseline", tmp_path).hint == "write it as module:function"
