"""Virtual environments for real model servers: made once, kept under the user's cache folder."""

from __future__ import annotations

import ast
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from uv import find_uv_bin

from pointsman.bus.local.paths import cache_dir, exclusive

__all__ = ["NotMade", "environment"]


class NotMade(Exception):
    """An environment could not be made; the message says which, and what the installer said."""


def environment(name: str, *requirements: str, base: str = "") -> Path:
    """The Python of an environment with these packages; made at the first call, in a quarter of a minute.

    Args:
        name: Of the server, for the folder's name.
        requirements: As pip takes them, with their versions.
        base: The Python that it is made of; empty for the one that runs this.

    Raises:
        NotMade: Twice something failed.
    """
    wanted = "\n".join((base or sys.version, *requirements))
    digest = hashlib.sha256(wanted.encode()).hexdigest()[:12]
    folder = cache_dir() / "servers" / f"{name}-{digest}"
    python, stamp = folder / "bin" / "python", folder / "installed.txt"
    with exclusive(folder.with_suffix(".lock")):
        if not stamp.exists():  # never made, or not to its end
            try:
                _make(folder, base or sys.executable, requirements)
            except NotMade:  # a download may fail once
                _make(folder, base or sys.executable, requirements)
            stamp.write_text(wanted)
    return python


def _make(folder: Path, base: str, requirements: tuple[str, ...]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    variables = {**_registry(), **os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    create = ["venv", "--no-project", "--python", base, str(folder)]
    install = ["pip", "install", "--compile-bytecode", "--python", str(folder / "bin" / "python")]
    for step in (create, [*install, *requirements]):
        done = subprocess.run(
            [find_uv_bin(), *step, "--quiet"], env=variables, text=True, stderr=subprocess.PIPE, check=False
        )
        if done.returncode:
            raise NotMade(f"no environment at {folder} for {' '.join(requirements)}:\n{done.stderr[-2000:]}")


UV: Mapping[str, str] = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "cert": "SSL_CERT_FILE",
}
"""By pip's option: uv's variable."""


def _registry() -> dict[str, str]:
    """What pip is told of registries, by its variables or files, as uv takes it."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, text=True, stdout=subprocess.PIPE, check=True).stdout
    found: dict[str, str] = {}
    for line in listed.splitlines():  # `:env:` sorts before `global`, as it counts more
        key, _, value = line.partition("=")
        if variable := UV.get(key.rpartition(".")[2]):
            found.setdefault(variable, " ".join(ast.literal_eval(value).split()))
    return found
