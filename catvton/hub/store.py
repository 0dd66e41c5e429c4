"""The folder of downloaded weights: `<root>/<owner>--<name>/<commit>/<file>`, shared by all engines, and its lock."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from catvton.hub.errors import HubError, LockError
from catvton.hub.lock import Lock, as_data, from_data

DEFAULT_ROOT = Path(__file__).resolve().parents[2] / "models"
LOCK = "models.lock"


class Store:
    """Paths in the folder, and the lock read and written whole. `root` None is `models` beside the app's own code."""

    def __init__(self, root: str | os.PathLike | None = None) -> None:
        self.root = DEFAULT_ROOT if root is None else Path(root).expanduser().absolute()

    def folder(self, repo: str, commit: str) -> Path:
        """Where a repository lies, as it was at a commit."""
        return self.root / repo.replace("/", "--") / commit

    def file(self, repo: str, commit: str, name: str) -> Path:
        return self.folder(repo, commit) / name

    def found(self, repo: str, name: str) -> list[Path]:
        """The file at every commit where it lies."""
        commits = self.root / repo.replace("/", "--")
        if not commits.is_dir():
            return []
        return [commit / name for commit in sorted(commits.iterdir()) if (commit / name).is_file()]

    def read_lock(self) -> Lock:
        """The lock; an empty one where none was written yet. Raises LockError when it cannot be read."""
        path = self.root / LOCK
        try:
            return from_data(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return Lock()
        except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise LockError(
                f"{path} cannot be read ({error}). Delete it and download your engines again: files that are there "
                "and right are kept.",
                code="hub.lock",
            ) from error

    def write_lock(self, lock: Lock) -> None:
        """Replace the lock: whoever reads meanwhile sees the old one or the new one, whole. Raises HubError."""
        path = self.root / LOCK
        new = path.with_name(f"{LOCK}.new")
        with writing(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            with new.open("w", encoding="utf-8") as file:
                json.dump(as_data(lock), file, indent=1)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, path)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """No other process changes the folder meanwhile. Raises HubError when one is at it."""
        from huggingface_hub.utils import WeakFileLock

        with writing(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(WeakFileLock(self.root / ".busy", timeout=0.5))
            except TimeoutError as error:
                raise HubError(f"Another download is at work in {self.root}: wait for it.", code="hub.busy") from error
            except OSError as error:
                raise _unwritable(self.root, error) from error
            yield


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """A disk that cannot be written to becomes a HubError that says so."""
    try:
        yield
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> HubError:
    return HubError(
        f"Cannot write in {folder} ({error.strerror or error}): make room or allow it, or choose another folder with "
        "CATVTON_MODELS_DIR.",
        code="hub.disk",
    )
