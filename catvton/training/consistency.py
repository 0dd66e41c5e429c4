"""The arithmetic of consistency distillation, on tensors alone.

Song et al., "Consistency Models" (2023): a network is taught to give, from any point of a path from noise to picture,
the picture at its end. Luo et al., "Latent Consistency Models" (2023), do so with skipped time steps and with guidance
folded in. The path is the teacher's: DDIM without fresh noise.

Latents are (B, C, h, w); `signal` and `level` are (B, 1, 1, 1): noisy latents are `signal * clean + level * noise`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from diffusers import SchedulerMixin

TIMESTEP_SCALING = 10.0  # with these two, diffusers' `LCMScheduler` has the same boundary
SIGMA_DATA = 0.5
END = -1  # the index of a path's end, where nothing is noise any more

Predict = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(noisy (B, C, h, w), time steps int64 (B,)) -> what the network predicts, of the same shape."""


def boundary(timesteps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """How much of a consistency function is its input and how much the network's estimate: (B, 1, 1, 1) each.

    At time 0 it is the input alone, whatever the network says; from a few steps on it is the estimate alone.
    """
    scaled = TIMESTEP_SCALING * timesteps.double()
    total = scaled.square() + SIGMA_DATA**2
    return _column(SIGMA_DATA**2 / total).float(), _column(scaled / total.sqrt()).float()


def split(
    kind: str, prediction: torch.Tensor, sample: torch.Tensor, signal: torch.Tensor, level: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What a prediction says the clean latents and the unit noise are, both like `sample`.

    Args:
        kind: what is predicted: "epsilon", "sample" or "v_prediction", as a scheduler's `prediction_type` names it.

    Raises:
        ValueError: another kind.
    """
    if kind == "epsilon":
        return (sample - level * prediction) / signal, prediction
    if kind == "sample":
        return prediction, (sample - signal * prediction) / level
    if kind == "v_prediction":
        return signal * sample - level * prediction, level * sample + signal * prediction
    raise ValueError(f"prediction_type must be epsilon, sample or v_prediction, not {kind!r}.")


def answer(
    kind: str, clean: torch.Tensor, noise: torch.Tensor, signal: torch.Tensor, level: torch.Tensor
) -> torch.Tensor:
    """What a network that predicts `kind` should have said of `signal * clean + level * noise`; `split`'s inverse."""
    if kind == "v_prediction":
        return signal * noise - level * clean
    return {"epsilon": noise, "sample": clean}[kind]


def pseudo_huber(one: torch.Tensor, other: torch.Tensor, *, width: float = 0.001) -> torch.Tensor:
    """Mean of sqrt(d**2 + width**2) - width: the absolute difference, rounded off below `width`."""
    return ((one - other).square() + width**2).sqrt().sub(width).mean()


@dataclass(frozen=True)
class Path:
    """The teacher's path in few time steps, numbered by noise: 0 is the cleanest, `END` lies before it.

    Attributes:
        timesteps: int64 (N,), ascending, those of `LCMScheduler` and of DDIM's "trailing" spacing.
        levels: float32 (N + 1,), the share of signal in the variance at each; the last one is that of `END`, 1.
        kind: the network's `prediction_type`.
    """

    timesteps: torch.Tensor
    levels: torch.Tensor
    kind: str

    @classmethod
    def of(cls, scheduler: SchedulerMixin, steps: int) -> Path:
        """`steps` time steps evenly spread over those a network was trained with, the noisiest one among them."""
        every = scheduler.config.num_train_timesteps // steps
        timesteps = torch.arange(1, steps + 1) * every - 1
        kept = scheduler.alphas_cumprod[timesteps].float()
        return cls(timesteps, torch.cat([kept, torch.ones(1)]), scheduler.config.prediction_type)

    def noised(self, clean: torch.Tensor, noise: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """Clean latents with unit noise at the steps `index` (B,)."""
        signal, level = self.levels_at(index, clean)
        return signal * clean + level * noise

    def follow(self, predict: Predict, noisy: torch.Tensor, index: torch.Tensor, *, hops: int) -> torch.Tensor:
        """DDIM without fresh noise: `hops` steps towards the picture from the steps `index` (B,), its end at most."""
        for _ in range(hops):
            going = index > END
            if not going.any():
                break
            noisy = torch.where(_column(going), self._step(predict, noisy, index.clamp_min(0)), noisy)
            index = (index - 1).clamp_min(END)
        return noisy

    def consistency(self, predict: Predict, noisy: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """The consistency function: clean latents from noisy ones at the steps `index` (B,), `END` allowed."""
        ended = index <= END
        timesteps = self.timesteps.to(index.device)[index.clamp_min(0)]
        signal, level = self.levels_at(index.clamp_min(0), noisy)
        clean, _ = split(self.kind, predict(noisy, timesteps), noisy, signal, level)
        kept, estimated = boundary(torch.where(ended, 0, timesteps))
        return kept * noisy + estimated * clean

    def _step(self, predict: Predict, noisy: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        signal, level = self.levels_at(index, noisy)
        prediction = predict(noisy, self.timesteps.to(index.device)[index])
        clean, noise = split(self.kind, prediction, noisy, signal, level)
        signal, level = self.levels_at(index - 1, noisy)
        return signal * clean + level * noise

    def levels_at(self, index: torch.Tensor, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Signal and noise at the steps `index` (B,), (B, 1, 1, 1) each, of the kind and on the device of `like`."""
        kept = _column(self.levels.to(like)[index])  # END, -1, is the last
        return kept.sqrt(), (1 - kept).sqrt()


def _column(values: torch.Tensor) -> torch.Tensor:
    return values[:, None, None, None]
