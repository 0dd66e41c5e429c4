"""What `distill`, `prune` and `fold` leave behind: a saved pipeline, and a card that says what it cost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catvton.errors import WeightsError

if TYPE_CHECKING:
    from diffusers import SchedulerMixin
    from torch import nn

    from catvton.pipeline import CatVTONPipeline

KEPT = ("parser", "placement", "sleeves")  # what an engine's folder has beside the pipeline
FACTS = "made.json"
_SETTINGS = ("concat_axis", "use_mask", "uncond", "garment_noise", "height", "width")
_WEIGHTS = ("*.safetensors", "*.bin")


@dataclass
class Made:
    """What a card says.

    Attributes:
        title: what was done, in a few words.
        how: in sentences.
        teacher: {"name", "sha256"}: what it is called, the digest of its weights.
        parts: {part: {"parameters": [before, after], "bytes": [before, after]}}.
        training: {"steps", "minutes", ...}; empty where nothing was trained.
        figures: quality and seconds, once they are measured (`catvton.training.trade_off`).
    """

    title: str
    how: list[str]
    teacher: dict[str, str]
    parts: dict[str, dict[str, list[int]]]
    training: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Made | None:
        """What was written to a folder; None where nothing was."""
        path = folder / FACTS
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None

    def write(self, folder: Path) -> None:
        """The card as README.md, and the same for programs."""
        (folder / FACTS).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        (folder / "README.md").write_text(self._page(), encoding="utf-8")

    def _page(self) -> str:
        rows = [
            f"| {name} | {_both(part['parameters'])} | {_both(part['bytes'])} |" for name, part in self.parts.items()
        ]
        lines = [f"# {self.title}", "", *self.how, "", f"Teacher: {self.teacher['name']}, sha256 of its weights "]
        lines[-1] += f"`{self.teacher['sha256']}`."
        lines += [
            "",
            "| part | parameters, before and after | bytes on disk, before and after |",
            "|---|---|---|",
            *rows,
        ]
        lines += ["", "## Training", "", _listed(self.training) or "Nothing was trained."]
        lines += [
            "",
            "## Figures",
            "",
            _listed(self.figures) or "Not measured yet: `python -m catvton train tradeoff`.",
        ]
        return "\n".join([*lines, ""])


def pipeline_with(
    teacher: CatVTONPipeline, unet: nn.Module, scheduler: SchedulerMixin | None = None
) -> CatVTONPipeline:
    """The teacher's pipeline around another network, with another sampler if one is given; shares all else."""
    from catvton.pipeline import CatVTONPipeline

    settings = {name: teacher.config[name] for name in _SETTINGS}
    pipe = CatVTONPipeline(teacher.vae, unet, scheduler or teacher.scheduler, **settings)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def save_student(pipe: CatVTONPipeline, source: Path, folder: Path) -> None:
    """Save a pipeline in fp16, with what the engine's folder `source` has beside it."""
    half = pipeline_with(pipe, half_copy(pipe.unet))
    half.register_modules(vae=half_copy(pipe.vae))
    half.save_pretrained(folder)
    for name in KEPT:
        if (source / name).is_dir():
            shutil.copytree(source / name, folder / name, dirs_exist_ok=True)


def half_copy(part: nn.Module) -> nn.Module:
    """A copy in fp16 whose configuration does not name the folder it was read from."""
    copy = type(part).from_config(settings(part))
    copy.load_state_dict(part.state_dict())
    return copy.half()


def settings(part: nn.Module) -> dict[str, Any]:
    """A network's configuration without diffusers' own notes, which name a folder and undo changed defaults."""
    return {name: value for name, value in part.config.items() if not name.startswith("_")}


def teacher_of(folder: Path) -> dict[str, str]:
    """`Made.teacher` of a folder."""
    return {"name": name_of(folder), "sha256": digest(folder)}


def name_of(folder: Path) -> str:
    """What a model is called: its card's title, or its folder's name."""
    made = Made.read(folder)
    return made.title if made else folder.resolve().name


def digest(folder: Path) -> str:
    """sha256 of a folder's weights: of every file's name and content, in the order of their names.

    Raises:
        WeightsError: there are none.
    """
    import hashlib

    files = sorted(path for pattern in _WEIGHTS for path in folder.rglob(pattern))
    if not files:
        raise WeightsError(f"{folder} has no weights: a saved pipeline's folder is accepted.")
    total = hashlib.sha256()
    for path in files:
        total.update(path.relative_to(folder).as_posix().encode())
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def compared(before: Path, after: Path) -> dict[str, dict[str, list[int]]]:
    """`Made.parts` of two folders: every part that has weights in both, and "all"."""
    old, new = sizes(before), sizes(after)
    table = {
        name: {kind: [old[name][kind], new[name][kind]] for kind in ("parameters", "bytes")}
        for name in new
        if name in old
    }
    whole = {kind: [sum(part[kind][i] for part in table.values()) for i in (0, 1)] for kind in ("parameters", "bytes")}
    return table | ({"all": whole} if len(table) > 1 else {})


def sizes(folder: Path) -> dict[str, dict[str, int]]:
    """{part: {"parameters", "bytes"}} of the safetensors files of a folder; those at its top are the part "model"."""
    from safetensors import safe_open

    found: dict[str, dict[str, int]] = {}
    for path in sorted(folder.rglob("*.safetensors")):
        name = path.parent.relative_to(folder).as_posix()
        part = found.setdefault("model" if name == "." else name, {"parameters": 0, "bytes": 0})
        with safe_open(path, "pt") as file:
            part["parameters"] += sum(_numel(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118
        part["bytes"] += path.stat().st_size
    return found


def _numel(shape: list[int]) -> int:
    count = 1
    for side in shape:
        count *= side
    return count


def _both(pair: list[int]) -> str:
    before, after = pair
    return f"{before:,} → {after:,} ({after / before - 1:+.1%})"


def _listed(facts: Mapping[str, Any]) -> str:
    return "\n".join(f"- {name.replace('_', ' ')}: {value}" for name, value in facts.items())
