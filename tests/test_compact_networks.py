"""The built-in model's networks: shapes, what an untrained one does, saving, and the closed-form autoencoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from catvton.compact_unet import CompactUNet
from catvton.vae import PatchAutoencoder
from catvton.warp_net import GRID, WarpNet
from model.compact_parser import CLASSES, LOOKS, SEEN, CompactParser


def smooth_pictures(count: int, size: tuple[int, int] = (96, 72)) -> torch.Tensor:
    """Random low-frequency pictures (count, 3, H, W) in [-1, 1]."""
    coarse = torch.randn(count, 3, size[0] // 12, size[1] // 12, generator=torch.Generator().manual_seed(1))
    return torch.nn.functional.interpolate(coarse, size=size, mode="bicubic").clamp(-2, 2) / 2


def test_the_autoencoder_restores_what_it_was_fitted_on() -> None:
    vae = PatchAutoencoder(spatial_factor=12, latent_channels=48)
    figures = vae.fit(smooth_pictures(60))
    assert figures["psnr_db"] > 40 and 0.99 < figures["energy_kept"] <= 1.0


def test_latents_have_unit_variance_and_fall_in_energy() -> None:
    vae = PatchAutoencoder(spatial_factor=12, latent_channels=12)
    pictures = smooth_pictures(60)
    vae.fit(pictures)
    latents = vae.encode(pictures).latent_dist.mode()
    assert latents.shape == (60, 12, 8, 6)
    assert latents.transpose(0, 1).flatten(1).std(1).sub(1).abs().max() < 0.02
    assert (vae.energy.diff() <= 1e-7).all()


def test_the_decoder_is_the_least_squares_one() -> None:
    """No change of its weights brings the pictures nearer: the gradient at the solution vanishes."""
    vae = PatchAutoencoder(spatial_factor=4, latent_channels=6)
    pictures = smooth_pictures(40, (48, 36))
    vae.fit(pictures)
    latents = vae.encode(pictures).latent_dist.mode().detach()
    error = (vae.decode(latents).sample - pictures).square().mean()
    error.backward()
    start = pictures.square().mean()
    assert vae.synthesis.weight.grad.abs().max() < 2e-3 * start


@pytest.mark.parametrize("steps", [torch.tensor([3, 999]), 500.0, torch.tensor(7)])
def test_an_untrained_unet_gives_back_the_placement(steps: torch.Tensor | float) -> None:
    unet = CompactUNet(in_channels=13, out_channels=6, widths=(16, 16, 24), heads=2, cells=(8, 12)).eval()
    sample = torch.randn(2, 13, 16, 12)
    with torch.no_grad():
        out = unet(sample, steps)[0]
    assert torch.equal(out, sample[:, 7:])


def test_the_garment_reaches_the_person_and_its_half_stays_clean() -> None:
    torch.manual_seed(0)
    unet = CompactUNet(in_channels=13, out_channels=6, widths=(16, 16, 24), heads=2, cells=(8, 12)).eval()
    torch.nn.init.normal_(unet.conv_out.weight, std=0.1)
    sample = torch.randn(1, 13, 16, 12)
    other = sample.clone()
    other[:, :, 8:] += 1.0
    with torch.no_grad():
        before, after = unet(sample, 10)[0], unet(other, 10)[0]
    assert (before[:, :, :8] - after[:, :, :8]).abs().max() > 1e-4
    assert torch.equal(after[:, :, 8:], other[:, 7:, 8:])


def test_the_warp_network_starts_from_the_rough_place() -> None:
    network = WarpNet().eval()
    with torch.no_grad():
        displacement, shown = network(torch.randn(2, 8, GRID[1], GRID[0]))
    assert displacement.shape == (2, 2, GRID[1], GRID[0]) and shown.shape == (2, 1, GRID[1], GRID[0])
    assert displacement.abs().max() == 0


def test_the_parser_comes_back_from_its_folder(tmp_path: Path) -> None:
    torch.manual_seed(0)
    parser = CompactParser(widths=(8, 16, 16, 16, 16)).eval()
    parser.save(tmp_path)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (400, 300, 3), np.uint8))
    again = CompactParser.from_pretrained(tmp_path).probabilities(picture)
    assert again.shape == (CLASSES, SEEN[1], SEEN[0])
    assert np.allclose(again.sum(0), 1, atol=1e-4)
    assert np.allclose(again, parser.probabilities(picture), atol=0.01)  # fp16 on disk


def test_the_parser_does_not_prefer_a_side() -> None:
    torch.manual_seed(0)
    parser = CompactParser(widths=(8, 16, 16, 16, 16)).eval()
    pixels = np.random.default_rng(0).integers(0, 255, (256, 192, 3), np.uint8)
    plain, mirrored = (parser.probabilities(Image.fromarray(p)) for p in (pixels, pixels[:, ::-1].copy()))
    assert np.allclose(plain, mirrored[..., ::-1], atol=1e-4)


class Colours(CompactParser):
    """Tells red, green and blue apart, pixel by pixel: what it answers shows where each of its looks was put back."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.shapes = [*getattr(self, "shapes", []), tuple(x.shape)]
        logits = torch.zeros(x.shape[0], CLASSES, *x.shape[-2:])
        logits[:, 1:4] = 20 * (x - 1)
        return logits


def test_every_look_is_put_back_where_it_was_taken() -> None:
    """Bars at heights that one, two or all of the close looks show."""
    pixels = np.zeros((SEEN[1], SEEN[0], 3), np.uint8)
    for channel, (top, left) in enumerate(((20, 150), (250, 200), (470, 120))):
        pixels[top : top + 12, left : left + 60, channel] = 255
    parser = Colours(widths=(8, 16, 16, 16, 16))
    chances = parser.probabilities(Image.fromarray(pixels))
    assert parser.shapes == [(len(LOOKS), 3, 256, 192)] * 2  # as they are and mirrored
    for channel in range(3):
        bar = pixels[..., channel] > 0
        found = chances[1 + channel] > 0.5
        assert (found & bar).sum() / (found | bar).sum() > 0.9
        rows, columns = np.nonzero(found)
        assert abs(rows.mean() - np.nonzero(bar)[0].mean()) < 0.6
        assert abs(columns.mean() - np.nonzero(bar)[1].mean()) < 0.6


def test_a_partial_parser_file_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    CompactParser(widths=(8, 16, 16, 16, 16)).save(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    del state["head.bias"]
    save_file(state | {"extra": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"head\.bias.*extra"):
        CompactParser.from_pretrained(tmp_path)
