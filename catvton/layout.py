"""How person and garment share the UNet's input: pure functions on latents, chosen by four saved settings.

Latents are (B, C, h, w). "Joined" ones hold the person first and the garment after it along the concatenation axis:
(B, C, 2h, w) for "height", (B, C, h, 2w) for "width".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch

ConcatAxis = Literal["height", "width"]
Uncond = Literal["zero_condition", "zero_garment"]
GarmentNoise = Literal["noisy", "clean", "renoise"]

_DIMENSION = {"height": -2, "width": -1}


@dataclass(frozen=True)
class Layout:
    """The shape of the UNet's input.

    `concat_axis`: where the garment lies, below the person ("height") or to the right ("width").
    `use_mask`: whether one channel says what may change (1 inside the mask, 0 elsewhere and over the garment).
    `uncond`: what the unconditional row of guidance loses: the clean garment latents ("zero_condition", as
    published) or those and the garment half of the noisy input ("zero_garment").
    `garment_noise`: the garment half of the noisy input: denoised along with the person ("noisy", as published), the
    clean garment at every step ("clean"), or the clean garment with the start noise at the step's level ("renoise").
    """

    concat_axis: ConcatAxis = "height"
    use_mask: bool = True
    uncond: Uncond = "zero_condition"
    garment_noise: GarmentNoise = "noisy"

    def __post_init__(self) -> None:
        for name, kind in (("concat_axis", ConcatAxis), ("uncond", Uncond), ("garment_noise", GarmentNoise)):
            if getattr(self, name) not in get_args(kind):
                raise ValueError(f"{name} must be one of {', '.join(get_args(kind))}, not {getattr(self, name)!r}.")

    def input_channels(self, latent_channels: int) -> int:
        """The channels the UNet must take: [noisy | mask | person and garment]."""
        return 2 * latent_channels + int(self.use_mask)

    def join(self, person: torch.Tensor, garment: torch.Tensor) -> torch.Tensor:
        """Person and garment latents (B, C, h, w) each -> joined latents."""
        return torch.cat([person, garment], dim=_DIMENSION[self.concat_axis])

    def person_half(self, joined: torch.Tensor) -> torch.Tensor:
        """Joined latents -> the person's (B, C, h, w)."""
        return joined.chunk(2, dim=_DIMENSION[self.concat_axis])[0]

    def garment_half(self, joined: torch.Tensor) -> torch.Tensor:
        """Joined latents -> the garment's (B, C, h, w)."""
        return joined.chunk(2, dim=_DIMENSION[self.concat_axis])[1]

    def condition_rows(
        self, person: torch.Tensor, garment: torch.Tensor, mask: torch.Tensor | None, *, guided: bool
    ) -> torch.Tensor:
        """What stays the same at every step: (R*B, [1+]C, ...) joined, R = 2 with guidance (unconditional row first).

        `person` and `garment` are clean latents (B, C, h, w); `mask` is (B, 1, h, w) of 0 and 1, or None without it.
        """
        rows = self.join(person, garment)
        if guided:
            rows = torch.cat([self.join(person, torch.zeros_like(garment)), rows])
        if not self.use_mask:
            return rows
        joined_mask = self.join(mask, torch.zeros_like(mask))
        return torch.cat([torch.cat([joined_mask] * 2) if guided else joined_mask, rows], dim=1)

    def noisy_rows(self, joined: torch.Tensor, garment: torch.Tensor, *, guided: bool) -> torch.Tensor:
        """A step's noisy joined latents, already scaled for the UNet -> (R*B, C, ...), R as in `condition_rows`."""
        if self.garment_noise == "clean":
            joined = self.join(self.person_half(joined), garment)
        if not guided:
            return joined
        unconditional = joined
        if self.uncond == "zero_garment":
            unconditional = self.join(self.person_half(joined), torch.zeros_like(garment))
        return torch.cat([unconditional, joined])
