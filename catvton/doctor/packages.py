"""Python and the packages: there, of a version the app is made for, and nothing that breaks them."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from catvton.doctor import Finding, failed, ok

OLDEST = (3, 11)
ROOT = Path(__file__).resolve().parents[2]
INSTALL = f"{Path(sys.executable).name} -m pip install -r requirements.txt"


def look() -> Iterator[Finding]:
    yield python(sys.version_info[:3])
    yield packages(ROOT / "requirements.txt")
    yield torchvision()


def python(found: tuple[int, int, int]) -> Finding:
    said = f"Python {'.'.join(map(str, found))}."
    if found < OLDEST:
        return failed("python", said, "Use Python 3.11 or newer.")
    return ok("python", said)


def packages(requirements: Path) -> Finding:
    """Whether what a requirements file names is installed in a version it allows."""
    try:
        wrong = [sentence for line in _lines(requirements) if (sentence := _wrong(line))]
    except OSError:
        return ok("packages", f"There is no {requirements.name} to compare them with.")
    if wrong:
        return failed("packages", "; ".join(wrong) + ".", INSTALL)
    return ok("packages", f"All that {requirements.name} names are here, torch {version('torch')} among them.")


def torchvision() -> Finding:
    """Nothing here needs it, and one that does not fit torch breaks diffusers and transformers."""
    if importlib.util.find_spec("torchvision") is None:
        return ok("torchvision", "Not installed, and not needed.")
    tried = subprocess.run([sys.executable, "-c", "import torchvision"], capture_output=True, text=True, timeout=300)
    if tried.returncode == 0:
        return ok("torchvision", "Installed and working, though nothing here needs it.")
    why = (tried.stderr.strip().splitlines() or ["it cannot be imported"])[-1]
    return failed("torchvision", f"Broken ({why}), and with it diffusers and transformers.",
                  f"{Path(sys.executable).name} -m pip uninstall torchvision")


def _lines(requirements: Path) -> list[str]:
    lines = [line.partition(" #")[0].strip() for line in requirements.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line and not line.startswith(("#", "-"))]


def _wrong(line: str) -> str:
    from packaging.requirements import Requirement

    wanted = Requirement(line)
    if wanted.marker is not None and not wanted.marker.evaluate():
        return ""
    try:
        found = version(wanted.name)
    except PackageNotFoundError:
        return f"{wanted.name} is missing"
    fits = wanted.specifier.contains(found, prereleases=True)
    return "" if fits else f"{wanted.name} is {found}, and {wanted.specifier} is needed"
