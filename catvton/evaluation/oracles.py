"""What each stage costs: the paired figures with one stage left out or replaced by the truth, to see where to work.

- `autoencoder`: the photo through the autoencoder and back. Nothing the network does can be sharper.
- `true placement`: the garment's own pixels where they belong, one colour in the rest of the hole, the network off.
- `true placement + network`: the same, then the network. Below `network` this says how much better placing would gain.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from catvton.ccp import CCP, CLASSES, cut_window, window_box
from catvton.cutout import cut_out
from catvton.engines import PipelineEngine
from catvton.evaluation.protocol import Sample, Size
from catvton.evaluation.ways import Way
from catvton.placement import place


def oracles(ccp: CCP, engine: PipelineEngine, *, steps: int | None = None, seed: int = 42) -> dict[str, Way]:
    """{name: way}; each way must be given samples made at the engine's own size."""

    def placed(sample: Sample) -> Image.Image:
        return _true_placement(ccp, sample, engine.card.size)

    def dressed(sample: Sample) -> Image.Image:
        return engine.generate(
            sample.person,
            sample.garment,
            sample.mask,
            masked_image=placed(sample),
            steps=steps or int(engine.card.steps.default),
            guidance=float(engine.card.guidance.default),
            generator=torch.Generator("cpu").manual_seed(seed),
        )

    def coded(sample: Sample) -> Image.Image:
        return _through_autoencoder(engine.load().vae, _photo(ccp, sample, engine.card.size))

    return {
        "autoencoder": coded,
        "true placement": placed,
        "true placement + network": dressed,
    }


def rough_placement(sample: Sample) -> Image.Image:
    """The garment's box on the mask's, not bent along the body: what geometry alone gives, every network off."""
    return place(cut_out(sample.garment), sample.person, sample.mask, network=None).image


def _photo(ccp: CCP, sample: Sample, size: Size) -> Image.Image:
    number = sample.case.number
    return cut_window(ccp.photo(number), window_box(ccp.labels(number)), size)


def _true_placement(ccp: CCP, sample: Sample, size: Size) -> Image.Image:
    labels = ccp.labels(sample.case.number)
    photo = np.asarray(_photo(ccp, sample, size))
    garment = cut_window(labels, window_box(labels), size) == CLASSES.index(sample.case.kind)
    hidden = (sample.mask > 0) & ~garment
    return Image.fromarray(np.where(hidden[..., None], np.rint(sample.colour).astype(np.uint8), photo))


@torch.inference_mode()
def _through_autoencoder(vae: torch.nn.Module, photo: Image.Image) -> Image.Image:
    weight = next(vae.parameters())
    pixels = torch.from_numpy(np.array(photo)).permute(2, 0, 1)[None].to(weight.device, weight.dtype) / 127.5 - 1
    back = vae.decode(vae.encode(pixels).latent_dist.mode()).sample[0].float().permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(np.clip((back + 1) * 127.5 + 0.5, 0, 255).astype(np.uint8))
