"""The place stage: what an engine starts from, and how the garment's fine texture comes back after it."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

    from diffusers.models.modeling_utils import ModelMixin

    from catvton.cards import ModelCard
    from catvton.framing import Frame
    from catvton.masking import Region, View
    from catvton.placement import Placement
    from catvton.sleeve_net import SleeveNet
    from catvton.warp_net import WarpNet

log = logging.getLogger(__name__)

DETAIL_HEIGHT = 2048  # beyond this, a finer garment texture costs memory and shows nothing more


@dataclass(frozen=True, kw_only=True)
class Start:
    """What an engine starts from.

    Attributes:
        garment: RGB, any size; the picture the engine reads.
        placement: the garment laid on the person, or None: the engine starts from an empty hole.
    """

    garment: Image.Image
    placement: Placement | None = None

    @property
    def masked_image(self) -> Image.Image | None:
        """The person with the garment laid over the hole (RGB, the frame's size), or None."""
        return self.placement.image if self.placement else None

    def narrow(self, photo: Image.Image, region: Region, view: View) -> tuple[Region, View, Start]:
        """The region, the view and the start once it is known where cloth will lie; see `catvton.masking.narrowed`."""
        from catvton.masking import bare, narrowed

        if self.placement is None or region.spare is None:
            return region, view, self
        region = narrowed(region, self.placement.covered(view.person.size), view.frame)
        view = view.again(bare(photo, region.mask), region)
        return region, view, replace(self, placement=self.placement.over(view.person, view.hole, view.under))

    def refine(self, generated: Image.Image, frame: Frame) -> Image.Image:
        """The generated picture (RGB); with the laid garment's texture, at the photo's resolution, if there is one."""
        if self.placement is None:
            return generated
        from catvton.placement import merge_detail

        _, top, _, bottom = frame.box
        height = min(max(round(bottom - top), generated.height), DETAIL_HEIGHT)
        width = round(height * generated.width / generated.height)
        return merge_detail(generated, self.placement, size=(width, height))


@dataclass(frozen=True)
class Networks:
    """What garments are laid with; `sleeves` is None where an engine has no such network: then nothing is known."""

    warp: WarpNet
    sleeves: SleeveNet | None


class Placer:
    """Cuts garments out and lays them on people, with the small networks in the engine's folder.

    They are loaded at first use and stay on the CPU: they take milliseconds there.
    """

    def __init__(self, card: ModelCard) -> None:
        self._card = card
        self._networks: Networks | None = None
        self._loading = threading.Lock()

    def load(self) -> Networks:
        """Load the weights, once. Raises WeightsError."""
        with self._loading:
            if self._networks is None:
                self._networks = self._read()
            return self._networks

    def _read(self) -> Networks:
        self._card.require_files()
        import torch

        from catvton.sleeve_net import SleeveNet
        from catvton.warp_net import WarpNet

        def read(kind: type[ModelMixin], folder: Path) -> ModelMixin:
            options = {"dtype": torch.float32, "use_safetensors": True, "local_files_only": True}
            return kind.from_pretrained(folder, **options).eval()

        warp, sleeves = read(WarpNet, self._card.folder / "placement"), self._card.folder / "sleeves"
        log.info("placement network of %s loaded", self._card.id)
        return Networks(warp, read(SleeveNet, sleeves) if sleeves.is_dir() else None)

    def __call__(self, garment: Image.Image, view: View) -> Start:
        """Lay a garment photo (RGB, any size) on the person of the view."""
        from catvton.cutout import cut_out
        from catvton.placement import garment_canvas, place

        cut = cut_out(garment)
        canvas = Image.fromarray(garment_canvas(cut, view.person.size))
        on_white = Image.new("RGB", canvas.size, "white")
        on_white.paste(canvas, mask=canvas.getchannel("A"))
        networks = self.load()
        sleeves = networks.sleeves.reach(np.asarray(canvas)) if networks.sleeves else None
        known = {"spare": view.spare, "under": view.under, "sleeves": sleeves}
        placement = place(cut, view.person, view.hole, network=networks.warp, **known)
        return Start(garment=on_white, placement=placement)
