"""Virtual environments for real model servers: made once, kept under the user's cache folder."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from pointsman.bus.local.paths import cache_dir, exclusive

__all__ = ["environment"]


def environment(name: str, *requirements: str) -> Path:
    """The Python of an environment with these packages; made at the first call, in one to three minutes.

    Args:
        name: Of the server, for the folder's name.
        requirements: As pip takes them, with their versions.
    """
    wanted = "\n".join((sys.version, *requirements))
    digest = hashlib.sha256(wanted.encode()).hexdigest()[:12]
    folder = cache_dir() / "servers" / f"{name}-{digest}"
    python, stamp = folder / "bin" / "python", folder / "installed.txt"
    with exclusive(folder.with_suffix(".lock")):
        if not stamp.exists():
            shutil.rmtree(folder, ignore_errors=True)
            venv.create(folder, with_pip=True)
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, *requirements], check=True)
            stamp.write_text(wanted)
    return python
