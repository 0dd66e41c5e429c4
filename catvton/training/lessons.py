"""What a teacher shows a student: which pictures, as which latents, and what a network is asked of them.

`distill` and `prune` share it. Two sources of pictures: the built-in model's own pairs, cut from single photos
(`CompactLessons`), and try-on data sets on disk (`SourceLessons`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import SchedulerMixin
from PIL import Image
from torch import nn

from catvton.compact_unet import CompactUNet
from catvton.denoising import Conditions
from catvton.errors import InputError
from catvton.layout import Layout
from catvton.pipeline_inputs import mask_pixels
from catvton.placement import place
from catvton.training.consistency import Predict
from catvton.training.pairs import Pair
from catvton.training.sheet import sheet
from catvton.training.unet_stage import UNetStage
from catvton.warp_net import WarpNet
from catvton.weights import load_strictly

if TYPE_CHECKING:
    from catvton.datasets import Pictures, Source
    from catvton.pipeline import CatVTONPipeline

SHOWN = 12  # cases on a sheet of samples


@dataclass(frozen=True)
class Lesson:
    """One batch as a network sees it.

    Attributes:
        clean: both halves joined, as they should come out.
        conditions: masked person, garment and mask.
        noise: unit noise like `clean`.
    """

    clean: torch.Tensor
    conditions: Conditions
    noise: torch.Tensor


class Lessons(Protocol):
    """Draws batches, makes latents of them, and knows how a result is judged."""

    frozen: Sequence[nn.Module]  # the networks it needs for that

    def batch(self, rng: np.random.Generator) -> dict[str, torch.Tensor]: ...
    def lesson(self, batch: dict[str, torch.Tensor]) -> Lesson: ...
    def truth(self, clean: torch.Tensor, batch: dict[str, torch.Tensor]) -> torch.Tensor | None: ...
    def state(self) -> dict[str, Any]: ...  # what besides the generator the next batch depends on
    def restore(self, state: dict[str, Any]) -> None: ...
    def identity(self) -> dict[str, Any]: ...  # what a run must go on with
    def samples(self, pipe: CatVTONPipeline, *, steps: int) -> Image.Image: ...


class CompactLessons:
    """The built-in model's pairs: the garment of a photo, moved, bent and laid on the body again.

    Args:
        stage: draws and prepares them (`UNetStage.batch`); its own network is not used.
    """

    def __init__(self, stage: UNetStage, layout: Layout) -> None:
        self._stage, self._layout = stage, layout
        self.frozen = [stage.vae, stage.warp]

    def batch(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        """As `UNetStage.batch`."""
        return self._stage.batch(rng)

    @torch.no_grad()
    def lesson(self, batch: dict[str, torch.Tensor]) -> Lesson:
        """`read` is not looked at: a student with guidance folded in never sees a garment left out."""
        image, placed, worn = (self._stage.encode(_unit(batch[k])) for k in ("image", "placed", "garment"))
        mask = F.interpolate((batch["mask"] > 127).float(), size=image.shape[-2:], mode="nearest")
        noise = self._layout.join(batch["noise"], torch.zeros_like(batch["noise"]))  # its garment half stays clean
        return Lesson(self._layout.join(image, worn), Conditions(placed, worn, mask), noise)

    def truth(self, clean: torch.Tensor, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """The distance of joined clean latents from the photo, as `UNetStage.loss` measures it."""
        return self._stage.loss(lambda *_: (clean,), batch)[0]

    def state(self) -> dict[str, Any]:
        return self._stage.state()

    def restore(self, state: dict[str, Any]) -> None:
        self._stage.restore(state)

    def identity(self) -> dict[str, Any]:
        return self._stage.identity()

    def samples(self, pipe: CatVTONPipeline, *, steps: int) -> Image.Image:
        """Rows of: garment picture, placement, the student's result, truth."""
        return sheet([self._row(pipe, pair, steps) for pair in self._stage.shown[:SHOWN]], shrink=2)

    def _row(self, pipe: CatVTONPipeline, pair: Pair, steps: int) -> list[np.ndarray]:
        canvas, photo = Image.fromarray(pair.canvas), Image.fromarray(pair.image)
        placed = place(canvas, photo, pair.mask, network=self._stage.warp, detail=1.0).image
        result = _run(pipe, masked_image=placed, condition_image=canvas.convert("RGB"), mask=pair.mask, steps=steps)
        result = np.where((pair.mask > 127)[..., None], result, pair.image)
        return [pair.canvas[..., :3], np.asarray(placed), result, pair.image]


class SourceLessons:
    """Pairs of a data set on disk, with their masks; encoded at once and held in memory.

    Args:
        source: as `catvton.datasets.open_source` gives it; read from end to end.
        pipe: encodes the pictures at its own size.

    Raises:
        InputError: no pairs, one without a mask, or a teacher that reads no mask.
    """

    def __init__(self, source: Source, pipe: CatVTONPipeline, *, batch_size: int) -> None:
        if not pipe.layout.use_mask:
            raise InputError(
                "A teacher without a mask cannot be followed on such pairs: it would be shown the answer.",
                code="teacher.maskfree",
            )
        self.frozen = [pipe.vae]
        self._pipe, self._batch_size = pipe, batch_size
        self._parts = [_encoded(pipe, pictures) for pictures in source]
        if not self._parts:
            raise InputError(f"{source.name} has no pairs to learn from.", code="data.empty")

    def batch(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        """`person`, `shown`, `garment` (B, C, h, w) latents, `mask` (B, 1, h, w), `noise` joined."""
        chosen = [self._parts[i] for i in rng.integers(len(self._parts), size=self._batch_size)]
        batch = {name: torch.stack([part[name] for part in chosen]).float() for name in chosen[0]}
        shape = self._pipe.layout.join(batch["person"], batch["garment"]).shape
        return batch | {"noise": torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))}

    def lesson(self, batch: dict[str, torch.Tensor]) -> Lesson:
        clean = self._pipe.layout.join(batch["person"], batch["garment"])
        return Lesson(clean, Conditions(batch["shown"], batch["garment"], batch["mask"]), batch["noise"])

    def truth(self, clean: torch.Tensor, batch: dict[str, torch.Tensor]) -> None:
        """None: at this size the teacher alone is followed."""

    def state(self) -> dict[str, Any]:
        """Empty: a batch depends on its generator alone."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to take up."""

    def identity(self) -> dict[str, Any]:
        return {"batch": self._batch_size, "pairs": len(self._parts)}

    @torch.no_grad()
    def samples(self, pipe: CatVTONPipeline, *, steps: int) -> Image.Image:
        """Rows of: what is shown of the person, the garment, the student's result, truth."""
        return sheet([self._row(pipe, part, steps) for part in self._parts[:4]])

    def _row(self, pipe: CatVTONPipeline, part: dict[str, torch.Tensor], steps: int) -> list[np.ndarray]:
        latents = {name: part[name][None].float() for name in ("person", "shown", "garment")}
        size = [side * pipe.spatial_factor for side in latents["person"].shape[-2:]]
        mask = F.interpolate(part["mask"][None].float(), size=size)
        given = {"image_latents": latents["shown"], "condition_latents": latents["garment"], "mask": mask}
        result = _run(pipe, **given, steps=steps, height=size[0], width=size[1])
        shown = (latents[name] for name in ("shown", "garment", "person"))
        pictures = [np.asarray(pipe.preview(one)[0]) for one in shown]
        return [*pictures[:2], result, pictures[2]]


def asked(
    network: nn.Module, layout: Layout, scheduler: SchedulerMixin, lesson: Lesson, *, guidance: float = 1.0
) -> Predict:
    """What a pipeline's denoising asks of a network for a lesson, as a function of noisy joined latents and time steps.

    With `guidance` above 1 the network is asked twice, and the garment's effect exaggerated by it.
    """
    guided, parts = guidance > 1, lesson.conditions
    fixed = layout.condition_rows(parts.person, parts.garment, parts.mask, guided=guided)

    def predict(noisy: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        if layout.garment_noise == "renoise":
            garment = scheduler.add_noise(parts.garment, layout.garment_half(lesson.noise), timesteps)
            noisy = layout.join(layout.person_half(noisy), garment)
        rows = torch.cat([layout.noisy_rows(noisy, parts.garment, guided=guided), fixed], dim=1)
        times = timesteps.repeat(2 if guided else 1)
        prediction = network(rows, times, encoder_hidden_states=None, return_dict=False)[0]
        if not guided:
            return prediction
        unconditional, conditional = prediction.chunk(2)
        return unconditional + guidance * (conditional - unconditional)

    return predict


def judged(layout: Layout, joined: torch.Tensor) -> torch.Tensor:
    """What of a prediction counts: both halves; the person's alone where the garment's is given anew at every step."""
    return joined if layout.garment_noise == "noisy" else layout.person_half(joined)


def compact_lessons(pipe: CatVTONPipeline, folder: Path, photos: Sequence[Any], **options: Any) -> CompactLessons:
    """Lessons from labelled photos for a teacher saved in `folder`; options are `UNetStage`'s."""
    warp = load_strictly(WarpNet, folder / "placement", dtype=torch.float32).to(pipe.device)
    return CompactLessons(UNetStage(photos, vae=pipe.vae, warp=warp, **options), pipe.layout)


def is_compact(pipe: CatVTONPipeline) -> bool:
    """Whether a pipeline is of the built-in model's kind."""
    return isinstance(pipe.unet, CompactUNet)


@torch.no_grad()
def _encoded(pipe: CatVTONPipeline, pictures: Pictures) -> dict[str, torch.Tensor]:
    """One pair's latents, float16 on the CPU: 0.3 MB at 768x1024."""
    if pictures.mask is None:
        raise InputError(f"{pictures.name} has no mask: make the data set's masks first.", code="data.masks")
    person = pipe.person_latents(masked_image=pictures.person)
    hole = mask_pixels(
        pictures.mask, pictures.person, required=True, size=(pipe.config.height, pipe.config.width), device=pipe.device
    )
    parts = {
        "person": person,
        "shown": pipe.person_latents(pictures.person, pictures.mask),
        "garment": pipe.garment_latents(pictures.garment),
        "mask": F.interpolate(hole, size=person.shape[-2:], mode="nearest"),
    }
    return {name: part[0].half().cpu() for name, part in parts.items()}


def _unit(pixels: torch.Tensor) -> torch.Tensor:
    return pixels.float() / 127.5 - 1


def _run(pipe: CatVTONPipeline, *, mask: Any, steps: int, **pictures: Any) -> np.ndarray:
    if isinstance(mask, np.ndarray):
        mask = Image.fromarray(mask)
    options = {"guidance_scale": 1.0, "generator": torch.Generator(pipe.device).manual_seed(0)}
    return np.asarray(pipe(mask=mask, num_inference_steps=steps, **pictures, **options).images[0])
