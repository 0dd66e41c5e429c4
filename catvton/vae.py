"""The built-in model's autoencoder: a linear transform of picture patches, fitted in closed form.

Encoding is a principal-component projection of every `spatial_factor` x `spatial_factor` patch, at unit variance.
Decoding reads each latent cell with its eight neighbours (least squares), which removes the blocks a patch transform
leaves. It has no posterior: `latent_dist.mode()` is the projection itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn


@dataclass(frozen=True)
class PointPosterior:
    """A distribution of one point: what samplers of `AutoencoderKL`'s posterior expect, without the noise."""

    value: torch.Tensor

    def mode(self) -> torch.Tensor:
        return self.value

    def sample(self, generator: torch.Generator | None = None) -> torch.Tensor:
        return self.value


@dataclass(frozen=True)
class EncoderOutput:
    latent_dist: PointPosterior


@dataclass(frozen=True)
class DecoderOutput:
    sample: torch.Tensor


class PatchAutoencoder(ModelMixin, ConfigMixin):
    """Linear patch autoencoder with the face of `diffusers.AutoencoderKL`.

    Args:
        spatial_factor: side of a patch in pixels; height and width of pictures must be multiples of it.
        latent_channels: components kept of the `3 * spatial_factor ** 2` of a patch.
        scaling_factor: pipelines multiply latents by this; 1, as latents have unit variance already.
    """

    @register_to_config
    def __init__(self, spatial_factor: int = 12, latent_channels: int = 48, scaling_factor: float = 1.0) -> None:
        super().__init__()
        values = 3 * spatial_factor**2
        self.analysis = nn.Conv2d(values, latent_channels, 1)
        self.synthesis = nn.Conv2d(latent_channels, values, 3, padding=1, padding_mode="replicate")
        self.register_buffer("energy", torch.ones(latent_channels))

    def encode(self, x: torch.Tensor, return_dict: bool = True) -> EncoderOutput | tuple[PointPosterior]:
        """(B, 3, H, W) in [-1, 1] -> posterior over (B, latent_channels, H / factor, W / factor)."""
        latents = self.analysis(F.pixel_unshuffle(x, self.config.spatial_factor))
        posterior = PointPosterior(latents)
        return EncoderOutput(posterior) if return_dict else (posterior,)

    def decode(
        self, z: torch.Tensor, return_dict: bool = True, generator: torch.Generator | None = None
    ) -> DecoderOutput | tuple[torch.Tensor]:
        """(B, latent_channels, h, w) -> (B, 3, h * factor, w * factor), nominally in [-1, 1], not clamped."""
        picture = F.pixel_shuffle(self.synthesis(z), self.config.spatial_factor)
        return DecoderOutput(picture) if return_dict else (picture,)

    @torch.no_grad()
    def fit(self, pictures: torch.Tensor) -> dict[str, float]:
        """Solve both transforms from pictures alone.

        Args:
            pictures: (N, 3, H, W) in [-1, 1]; a few hundred suffice.

        Returns:
            `psnr_db` on the given pictures and `energy_kept`, the share of variance in the kept components.
        """
        patches = F.pixel_unshuffle(pictures, self.config.spatial_factor)
        rows = patches.permute(0, 2, 3, 1).reshape(-1, patches.shape[1]).double()
        mean = rows.mean(0)
        variances, axes = torch.linalg.eigh((rows - mean).T @ (rows - mean) / len(rows))
        kept = variances.flip(0)[: self.config.latent_channels].clamp_min(1e-7 * variances.max())
        projection = axes.flip(1)[:, : len(kept)].T / kept.sqrt()[:, None]
        self.analysis.weight.copy_(projection[:, :, None, None])
        self.analysis.bias.copy_(-projection @ mean)
        self.energy.copy_(kept / kept.sum())
        self._fit_synthesis(pictures)
        error = (self.decode(self.encode(pictures).latent_dist.mode()).sample.clamp(-1, 1) - pictures).square().mean()
        return {"psnr_db": float(10 * torch.log10(4 / error)), "energy_kept": float(kept.sum() / variances.sum())}

    def _fit_synthesis(self, pictures: torch.Tensor) -> None:
        """Least squares from a cell's 3x3 latents (and a constant) to its patch."""
        channels, values = self.config.latent_channels, self.synthesis.out_channels
        normal = torch.zeros(9 * channels + 1, 9 * channels + 1, dtype=torch.float64)
        right = torch.zeros(9 * channels + 1, values, dtype=torch.float64)
        for chunk in pictures.split(16):
            latents = F.pad(self.encode(chunk).latent_dist.mode(), (1, 1, 1, 1), mode="replicate")
            inputs = F.unfold(latents, 3).transpose(1, 2).reshape(-1, 9 * channels).double()
            inputs = torch.cat((inputs, torch.ones(len(inputs), 1, dtype=torch.float64)), 1)
            outputs = (
                F.pixel_unshuffle(chunk, self.config.spatial_factor).permute(0, 2, 3, 1).reshape(-1, values).double()
            )
            normal += inputs.T @ inputs
            right += inputs.T @ outputs
        normal += 1e-4 * normal.diagonal().mean() * torch.eye(len(normal), dtype=torch.float64)
        solution = torch.linalg.solve(normal, right)
        self.synthesis.weight.copy_(solution[:-1].T.reshape(values, channels, 3, 3))
        self.synthesis.bias.copy_(solution[-1])
