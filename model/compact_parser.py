"""The built-in human parser: eight classes from one small network, trained by this project alone.

It answers "what is each pixel of a 3:4 window around a person" and nothing else: finding the person, splitting skin
into face, arms and legs, and turning labels into a mask is the work of `model.automasker` and `model.regions`.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from model.fold import without_norms

CLASSES = 8
WINDOW = (192, 256)  # width, height of the network's input
SEEN = (384, 512)  # width, height of the picture all looks are taken from, and of their mean
# Each look: how many times enlarged, and where along the free height (0 top, 1 bottom).
LOOKS = ((1.0, 0.5), (4 / 3, 0.5), (2.0, 0.0), (2.0, 0.5), (2.0, 1.0))
WEIGHTS_NAME = "model.safetensors"
CONFIG_NAME = "config.json"


def normalise(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 or float (B, 3, h, w) RGB in 0..255 -> float32 roughly in -2..2, the network's input."""
    return pixels.to(torch.float32).sub(127.5).div(64.0)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch normalisation around an identity (which inference folds away)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x + self.body(x))


class GlobalContext(nn.Module):
    """One transformer layer over the coarsest map, so that "dress or skirt?" can be decided from the whole figure."""

    def __init__(self, width: int, heads: int, tokens: tuple[int, int]) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.zeros(1, width, *tokens))
        self.layer = nn.TransformerEncoderLayer(width, heads, 2 * width, dropout=0.0, batch_first=True, norm_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = (x + self.position).flatten(2).transpose(1, 2)
        return self.layer(tokens).transpose(1, 2).reshape(x.shape)


def _down(inner: int, outer: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inner, outer, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(outer), nn.ReLU(inplace=True)
    )


def _place(picture: torch.Tensor, zoom: float, down: float) -> tuple[Any, ...]:
    """Where in (..., H, W) a look falls: in the middle across, `down` of the free height."""
    height, width = picture.shape[-2:]
    inner = (round(height / zoom), round(width / zoom))
    top, left = round((height - inner[0]) * down), (width - inner[1]) // 2
    return ..., slice(top, top + inner[0]), slice(left, left + inner[1])


def _resized(x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False, antialias=True)


class CompactParser(nn.Module):
    """A U-Net over quarter-resolution features with one finer skip for edges.

    Args:
        widths: channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input's size.
        classes: number of labels.
        folded: its batch norms are part of its convolutions (`model.fold`): for inference alone.
    """

    def __init__(
        self, widths: tuple[int, ...] = (24, 48, 96, 160, 224), classes: int = CLASSES, *, folded: bool = False
    ) -> None:
        super().__init__()
        self.config = {"widths": list(widths), "classes": classes, "window": list(WINDOW)}
        self.stem = nn.Sequential(
            nn.Conv2d(12, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()
        )
        self.downs = nn.ModuleList(_down(a, b) for a, b in pairwise(widths))
        depths = (1, 2, 2, 2)
        self.encoders = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(w) for _ in range(n))) for w, n in zip(widths[1:], depths, strict=True)
        )
        coarsest = (WINDOW[1] // 32, WINDOW[0] // 32)
        self.context = GlobalContext(widths[-1], heads=4, tokens=coarsest)
        self.laterals = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(widths))
        self.decoders = nn.ModuleList(ResidualBlock(w) for w in widths[:-1])
        self.head = nn.Conv2d(widths[0], classes, 1)
        if folded:
            self.config["folded"] = True
            without_norms(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, 256, 192) from `normalise` -> logits (B, classes, 256, 192)."""
        size = x.shape[-2:]
        skips = [self.stem(F.pixel_unshuffle(x, 2))]
        for down, encoder in zip(self.downs, self.encoders, strict=True):
            skips.append(encoder(down(skips[-1])))
        x = self.context(skips.pop())
        for lateral, decoder in zip(reversed(self.laterals), reversed(self.decoders), strict=True):
            skip = skips.pop()
            x = F.interpolate(lateral(x), size=skip.shape[-2:], mode="bilinear", align_corners=False)
            x = decoder(x + skip)
        return F.interpolate(self.head(x), size=size, mode="bilinear", align_corners=False)

    @torch.inference_mode()
    def probabilities(self, image: Image.Image) -> np.ndarray:
        """Class probabilities of a 3:4 window.

        Args:
            image: RGB, any size, of 3:4 aspect (other aspects are squeezed to it).

        Returns:
            float32 (classes, 512, 384), summing to 1 over the classes: the mean over `LOOKS` and their mirror images.
            On the validation photos the looks after the first add 0.041 mean IoU.
        """
        picture = image.convert("RGB").resize(SEEN, Image.Resampling.LANCZOS, reducing_gap=3.0)
        pixels = torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)[None]
        return self._looked(normalise(pixels.to(self.head.weight.device)))[0].float().cpu().numpy()

    def _looked(self, picture: torch.Tensor) -> torch.Tensor:
        """Normalised (1, 3, 512, 384) -> mean probabilities (1, classes, 512, 384) over all looks."""
        places = [_place(picture, *look) for look in LOOKS]
        views = torch.cat([_resized(picture[place], WINDOW[::-1]) for place in places])
        views = views.contiguous(memory_format=torch.channels_last)
        seen = (self(views).softmax(1) + self(views.flip(-1)).softmax(1).flip(-1)) / 2
        chances = torch.zeros_like(_resized(seen[:1], picture.shape[-2:]))
        for place, one in zip(places, seen.split(1), strict=True):
            chances[place] += _resized(one, chances[place].shape[-2:])
        return chances / chances.sum(1, keepdim=True)

    def save(self, folder: str | Path) -> None:
        """Write `config.json` and fp16 `model.safetensors`, batch normalisation included."""
        from safetensors.torch import save_file

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        state = {k: v.half().contiguous() for k, v in self.state_dict().items() if "num_batches_tracked" not in k}
        save_file(state, folder / WEIGHTS_NAME, metadata={"format": "pt"})
        (folder / CONFIG_NAME).write_text(json.dumps(self.config, indent=2) + "\n")

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, device: str | torch.device = "cpu") -> CompactParser:
        """Load what `save` wrote; every tensor must be there, with its shape.

        Raises:
            FileNotFoundError: one of the two files is missing.
            ValueError: keys or shapes differ from the configuration's; the message names them.
        """
        from safetensors.torch import load_file

        folder = Path(folder)
        config = json.loads((folder / CONFIG_NAME).read_text())
        parser = cls(tuple(config["widths"]), config["classes"], folded=config.get("folded", False))
        state = {k: v.float() for k, v in load_file(folder / WEIGHTS_NAME).items()}
        report = parser.load_state_dict(state, strict=False)
        missing = [k for k in report.missing_keys if "num_batches_tracked" not in k]
        if missing or report.unexpected_keys:
            raise ValueError(
                f"{folder}: missing {missing or 'nothing'}, unexpected {report.unexpected_keys or 'nothing'}"
            )
        return parser.to(device).eval()
