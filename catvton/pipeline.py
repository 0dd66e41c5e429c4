"""`CatVTONPipeline`: the published try-on method as a diffusers pipeline.

The person (without what may change) and the garment are encoded, laid side by side in latent space and denoised
together; the person's half is decoded. There is no text and no second network for the garment: self-attention over
both halves carries the clothes across. What differs between engines of this kind is saved configuration (`Layout`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DiffusionPipeline, ModelMixin, SchedulerMixin
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image

from catvton.denoising import Conditions, Step, denoise
from catvton.errors import Cancelled
from catvton.image_utils import Pictures, to_arrays, to_pil
from catvton.layout import Layout
from catvton.pipeline_inputs import (
    Generators,
    check_options,
    garment_pixels,
    mask_pixels,
    one_or_each,
    person_pixels,
)
from catvton.schedulers import step_options
from catvton.weights import load_models

StepCallback = Callable[["CatVTONPipeline", int, torch.Tensor, dict[str, torch.Tensor]], dict[str, Any] | None]


@dataclass
class CatVTONPipelineOutput(BaseOutput):
    """`images`: a list of PIL pictures, or an array or tensor of them, as `output_type` asked."""

    images: list[Image.Image] | np.ndarray | torch.Tensor


class CatVTONPipeline(DiffusionPipeline):
    """Virtual try-on by concatenation.

    Args:
        vae: `AutoencoderKL`, or any `ModelMixin` with `encode(x).latent_dist.mode()`, `decode(z).sample` and
            `config.scaling_factor`, `config.latent_channels` and, where no `block_out_channels` tell it,
            `config.spatial_factor` (pixels per latent cell).
        unet: `TryOnUNet`, or any `ModelMixin` called as `unet(sample, timestep, encoder_hidden_states=None,
            return_dict=False)[0]`; `config.in_channels` is 2C + 1 (2C without the mask), and it gives C.
        scheduler: any of diffusers'; its configuration says what the UNet predicts.
        concat_axis, use_mask, uncond, garment_noise: the shape of the UNet's input; see `catvton.layout.Layout`.
        height, width: the size to generate at when a call names none, in pixels.

    Calls may overlap in threads: no state of a call lives in the pipeline, but for diffusers' own `_interrupt` (to stop
    one of several runs, raise `Cancelled` in its callback).
    """

    model_cpu_offload_seq = "unet->vae"
    _callback_tensor_inputs = ("latents", "denoised")

    def __init__(
        self,
        vae: ModelMixin,
        unet: ModelMixin,
        scheduler: SchedulerMixin,
        concat_axis: str = "height",
        use_mask: bool = True,
        uncond: str = "zero_condition",
        garment_noise: str = "noisy",
        height: int = 1024,
        width: int = 768,
    ) -> None:
        super().__init__()
        self.layout = Layout(concat_axis, use_mask, uncond, garment_noise)
        expected = self.layout.input_channels(vae.config.latent_channels)
        if unet.config.in_channels != expected:
            raise ValueError(
                f"The UNet takes {unet.config.in_channels} channels, but a VAE of {vae.config.latent_channels} with "
                f"use_mask={use_mask} makes {expected}."
            )
        self.register_modules(vae=vae, unet=unet, scheduler=scheduler)
        self.register_to_config(
            concat_axis=concat_axis,
            use_mask=use_mask,
            uncond=uncond,
            garment_noise=garment_noise,
            height=height,
            width=width,
        )
        self._interrupt = False

    @classmethod
    def from_official(
        cls,
        base: str | PathLike,
        attention: str | PathLike,
        version: str = "mix",
        vae: str | PathLike = "stabilityai/sd-vae-ft-mse",
        *,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
        **options: Any,
    ) -> CatVTONPipeline:
        """The pipeline from the files its authors published: local folders or Hub ids.

        Args:
            base: Stable Diffusion 1.5's inpainting model.
            attention: CatVTON's own files, the repository or one attention file.
            version: the training set, "mix", "vitonhd" or "dresscode".
            options: those of `catvton.official.load_official` (revisions, cache).

        Raises:
            WeightsError: a file is absent or does not fit.
        """
        from catvton.official import load_official

        return cls(**load_official(base, attention, version=version, vae=vae, dtype=dtype, **options)).to(device)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | PathLike, **options: Any) -> CatVTONPipeline:
        """A saved pipeline, from a folder or the Hub; options are diffusers'. `dtype` is float32 unless given.

        Raises:
            WeightsError: a weight is missing, unexpected or of another shape (diffusers would only warn).
        """
        folder = Path(pretrained_model_name_or_path)
        if not folder.is_dir():
            hub = ("cache_dir", "force_download", "local_files_only", "proxies", "revision", "token", "variant")
            folder = cls.download(str(folder), **{name: options[name] for name in hub if name in options})
        weights = {name: options[name] for name in ("variant", "use_safetensors", "device_map") if name in options}
        dtype = options.pop("dtype", None) or options.pop("torch_dtype", None) or torch.float32
        given = {name for name, part in options.items() if isinstance(part, ModelMixin)}
        return super().from_pretrained(
            folder, **{**load_models(folder, skip=given, dtype=dtype, **weights), **options, "dtype": dtype}
        )

    @property
    def spatial_factor(self) -> int:
        """Pixels per latent cell, along each side."""
        config = self.vae.config
        return config.get("spatial_factor") or 2 ** (len(config.block_out_channels) - 1)

    @torch.no_grad()
    def __call__(
        self,
        image: Pictures | None = None,
        condition_image: Pictures | None = None,
        mask: Pictures | None = None,
        *,
        masked_image: Pictures | None = None,
        image_latents: torch.Tensor | None = None,
        condition_latents: torch.Tensor | None = None,
        latents: torch.Tensor | None = None,
        num_inference_steps: int = 50,
        guidance_scale: float = 2.5,
        one_row_at_a_time: bool = False,
        height: int | None = None,
        width: int | None = None,
        eta: float = 1.0,
        num_images: int = 1,
        generator: Generators | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: StepCallback | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    ) -> CatVTONPipelineOutput | tuple:
        """Dress the person in the garment.

        Pictures are PIL, uint8 arrays (H, W, 3), lists of them, or float tensors (B, 3, height, width) in -1..1.
        Tensors must have the working size; everything else is brought to it: person and mask cropped to its aspect,
        garment padded with white. The batches of person and garment must be equal, or one of them 1.

        Args:
            image: the person.
            condition_image: the garment.
            mask: what may change: white, or >= 0.5 in a tensor (B, 1, height, width). A pipeline without mask input
                takes the whole `image` when none is given.
            masked_image: the person without what may change, instead of `image * (mask < 0.5)`; for example with the
                garment placed roughly in the hole. `image` is then not looked at.
            image_latents, condition_latents: (B, C, h, w) from `encode`, instead of the masked person or the garment.
            latents: the start noise of both halves joined, of unit variance, instead of drawing it.
            num_inference_steps: 1 to what the scheduler was trained with.
            guidance_scale: acts above 1.
            one_row_at_a_time: compute the two rows of guidance one after the other: half the memory, a little slower.
            height, width: the working size, multiples of `spatial_factor`.
            eta: DDIM's: 1 draws fresh noise at every step, the last included, 0 none. Other samplers ignore it.
            num_images: results per pair; those of one pair follow each other.
            generator: one, or one per result (then a result does not depend on its batch). It draws the start noise
                over both halves, then as much per step where the sampler is stochastic. Without one, an unpredictable
                one is made; PyTorch's global generator is never touched. The VAE draws nothing: the mode of its
                posterior is used. (The reference samples it from the global generator, so no seed fixes its result;
                the posterior's spread is tiny.)
            output_type: "pil"; "np", float32 (B, H, W, 3) in 0..1; "pt", float (B, 3, H, W) in 0..1; "latent", float32
                (B, C, h, w), the person's half as the UNet has it, before the VAE's scaling is undone.
            callback_on_step_end: `callback(pipe, step, timestep, tensors)` after each step; may return
                {"latents": ...} to go on from. To stop the run it raises `catvton.errors.Cancelled`, or sets
                `pipe._interrupt = True` as is usual in diffusers: nothing more is computed.
            callback_on_step_end_tensor_inputs: what `tensors` has: "latents", both halves; "denoised", the person's
                half as it would end now (`preview` makes pictures of it).

        Raises:
            ValueError: an argument that cannot work, named with what is accepted.
            Cancelled: the callback stopped the run.
        """
        # 1. Check the options
        place = self._place(height, width)
        size = place["size"]
        check_options(
            steps=num_inference_steps, most_steps=self.scheduler.config.num_train_timesteps, guidance=guidance_scale,
            eta=eta, size=size, factor=self.spatial_factor, num_images=num_images, output_type=output_type,
        )  # fmt: skip
        report = self._reporter(callback_on_step_end, callback_on_step_end_tensor_inputs)
        try:
            # 2. Bring the pictures to the working size
            photo = image if masked_image is None else None
            hole = mask_pixels(mask, photo, required=self.layout.use_mask, **place)
            person = None if image_latents is not None else person_pixels(photo, masked_image, hole, **place)
            garment = None if condition_latents is not None else garment_pixels(condition_image, **place)

            # 3. Encode what is not encoded yet, and make one batch of it all
            person, garment = self._encode_both(person, garment, given=(image_latents, condition_latents))
            conditions = self._conditions(person, garment, hole, size=size, num_images=num_images)

            # 4. Draw the start noise
            generator = one_or_each(generator, len(conditions.person))
            noise = self._start_noise(conditions, latents, generator)

            # 5. Denoise both halves, with a scheduler of this call's own: it keeps state
            scheduler = copy.deepcopy(self.scheduler)
            scheduler.set_timesteps(num_inference_steps, device=self._execution_device)
            with self.progress_bar(total=len(scheduler.timesteps)) as bar:
                joined = denoise(
                    self.unet, scheduler, self.layout, conditions=conditions, noise=noise,
                    guidance_scale=guidance_scale, one_row_at_a_time=one_row_at_a_time,
                    step_options=step_options(scheduler, eta=eta, generator=generator),
                    on_step=lambda step: (bar.update(), report(step))[1],
                )  # fmt: skip

            # 6. Decode the person's half
            images = self._finish(self.layout.person_half(joined), output_type)
        finally:
            # 7. Give offloaded devices back, also when the run was stopped
            self.maybe_free_model_hooks()
        return CatVTONPipelineOutput(images=images) if return_dict else (images,)

    @torch.no_grad()
    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels (B, 3, H, W) in -1..1 -> float32 latents (B, C, h, w), scaled as the UNet wants them."""
        # Pictures come in with channels last; PyTorch's group norm is 30 times less exact on that layout (CPU, fp32).
        pixels = pixels.to(self._execution_device, self.vae.dtype, memory_format=torch.contiguous_format)
        posterior = self.vae.encode(pixels).latent_dist
        return (posterior.mode().float() - self._shift) * self.vae.config.scaling_factor

    @torch.no_grad()
    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents (B, C, h, w) as the UNet has them -> float32 pixels (B, 3, H, W), about -1..1, not clamped."""
        latents = latents.to(self._execution_device, torch.float32) / self.vae.config.scaling_factor + self._shift
        return self.vae.decode(latents.to(self.vae.dtype)).sample.float()

    def person_latents(
        self,
        image: Pictures | None = None,
        mask: Pictures | None = None,
        *,
        masked_image: Pictures | None = None,
        height: int | None = None,
        width: int | None = None,
    ) -> torch.Tensor:
        """What a call with these arguments makes of the person: give it as `image_latents` to further ones."""
        place = self._place(height, width)
        photo = image if masked_image is None else None
        hole = mask_pixels(mask, photo, required=self.layout.use_mask and masked_image is None, **place)
        return self.encode(person_pixels(photo, masked_image, hole, **place))

    def garment_latents(
        self, condition_image: Pictures, *, height: int | None = None, width: int | None = None
    ) -> torch.Tensor:
        """What a call makes of the garment: give it as `condition_latents` to further ones."""
        return self.encode(garment_pixels(condition_image, **self._place(height, width)))

    def _place(self, height: int | None, width: int | None) -> dict[str, Any]:
        """The working size and the device, as `catvton.pipeline_inputs` takes them."""
        size = (self.config.height if height is None else height, self.config.width if width is None else width)
        return {"size": size, "device": self._execution_device}

    def preview(self, denoised: torch.Tensor, *, shrink: int = 1) -> list[Image.Image]:
        """Pictures of a step's "denoised" latents (B, C, h, w); `shrink` averages that many cells a side, for speed."""
        if shrink > 1:
            denoised = F.avg_pool2d(denoised.float(), shrink, ceil_mode=True)
        return to_pil(to_arrays(self.decode(denoised)))

    @property
    def _shift(self) -> float:
        return self.vae.config.get("shift_factor") or 0.0

    def _reporter(self, callback: StepCallback | None, wanted: Sequence[str]) -> Callable[[Step], torch.Tensor]:
        """The function that tells `callback` of a step and returns the latents to go on from."""
        if unknown := [name for name in wanted if name not in self._callback_tensor_inputs]:
            known = ", ".join(self._callback_tensor_inputs)
            raise ValueError(f"callback_on_step_end_tensor_inputs may name {known}, not {', '.join(unknown)}.")
        if callback is None:
            return lambda step: step.latents
        self._interrupt = False

        def report(step: Step) -> torch.Tensor:
            make = {"latents": lambda: step.latents, "denoised": lambda: self.layout.person_half(step.estimate())}
            changed = callback(self, step.index, step.timestep, {name: make[name]() for name in wanted}) or {}
            if self._interrupt:
                self._interrupt = False
                raise Cancelled(f"The run was stopped after step {step.index + 1}.")
            return changed.get("latents", step.latents)

        return report

    def _encode_both(
        self,
        person: torch.Tensor | None,
        garment: torch.Tensor | None,
        *,
        given: tuple[torch.Tensor | None, torch.Tensor | None],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents of both; what came as pixels goes through the VAE as one batch, the rest was `given` as latents."""
        pixels = [part for part in (person, garment) if part is not None]
        if not pixels:
            return given
        encoded = self.encode(torch.cat(pixels)).split([len(part) for part in pixels])
        return given[0] if person is None else encoded[0], given[1] if garment is None else encoded[-1]

    def _conditions(
        self,
        person: torch.Tensor,
        garment: torch.Tensor,
        hole: torch.Tensor | None,
        *,
        size: tuple[int, int],
        num_images: int,
    ) -> Conditions:
        """One row per result: shapes checked, the mask brought to the latents' size (nearest), everything repeated."""
        cells = tuple(side // self.spatial_factor for side in size)
        expected = (self.vae.config.latent_channels, *cells)
        for name, part in (("image_latents", person), ("condition_latents", garment)):
            if part.ndim != 4 or tuple(part.shape[1:]) != expected:
                raise ValueError(f"{name} must be (B, {', '.join(map(str, expected))}), not {tuple(part.shape)}.")
        mask = None if hole is None else F.interpolate(hole, size=cells, mode="nearest")
        parts = {"image": person, "condition_image": garment, "mask": mask}
        counts = {name: len(part) for name, part in parts.items() if part is not None}
        count = max(counts.values())
        if any(number not in (1, count) for number in counts.values()):
            raise ValueError(f"The batches do not match: {counts}; each must be the same, or 1.")
        return Conditions(*(self._repeat(part, count, num_images) for part in parts.values()))

    def _repeat(self, part: torch.Tensor | None, count: int, num_images: int) -> torch.Tensor | None:
        if part is None:
            return None
        part = part.to(self._execution_device, torch.float32)
        return part.expand(count, *part.shape[1:]).repeat_interleave(num_images, dim=0)

    def _start_noise(
        self, conditions: Conditions, given: torch.Tensor | None, generator: torch.Generator | list[torch.Generator]
    ) -> torch.Tensor:
        """Unit noise over both halves joined; float32 in every precision, so that a seed means the same in each."""
        shape = self.layout.join(conditions.person, conditions.garment).shape
        if given is None:
            return randn_tensor(shape, generator=generator, device=self._execution_device, dtype=torch.float32)
        if given.shape != shape:
            raise ValueError(f"latents must be {tuple(shape)}, not {tuple(given.shape)}.")
        return given.to(self._execution_device, torch.float32)

    def _finish(self, latents: torch.Tensor, output_type: str) -> list[Image.Image] | np.ndarray | torch.Tensor:
        if output_type == "latent":
            return latents
        pixels = self.decode(latents)
        if output_type == "pt":
            return (pixels / 2 + 0.5).clamp(0, 1)
        arrays = to_arrays(pixels)
        return arrays if output_type == "np" else to_pil(arrays)
