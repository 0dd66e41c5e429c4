"""The training loop every recipe shares: a budget, averaged weights, checkpoints, a curve, sample pictures.

A recipe is a `Stage`: it owns a module, draws batches, gives its loss and saves the trained model. The loop knows
nothing of images, parsers or diffusion. Interrupted at any moment (SIGTERM, ctrl-C, a killed process) a run goes on
from its last checkpoint: a batch depends only on (seed, step, process, micro-batch). With the length in steps and one
process it ends with the bits of the uninterrupted run, on devices whose arithmetic is repeatable.

On one machine or many, `accelerate launch -m catvton train ...` spreads it over processes (see `processes`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import nn

from catvton.errors import InputError, WeightsError
from catvton.training.average import Average, copy_into, evaluating
from catvton.training.checkpoint import Checkpoints
from catvton.training.journal import Journal
from catvton.training.processes import asked_for_bf16, join, stop_signals
from catvton.training.schedule import Recipe, State, learning_rate, progress
from catvton.training.stage import (
    Stage,
    choose_trainable,
    enable_checkpointing,
    fixed_names,
    frozen,
    identity_of,
    restore,
    state_of,
    trained_tensors,
)

logger = logging.getLogger(__name__)

PARTS = frozenset({"module", "optimizer", "average", "state", "identity", "stage"})  # of a checkpoint


class Trainer:
    """Runs one stage for its time and leaves checkpoints, curve, samples and the saved model in `folder`.

    Args:
        device: where to compute; when several processes were launched, each takes its own card instead.
    """

    def __init__(self, stage: Stage, recipe: Recipe, folder: str | Path, *, device: torch.device | str = "cpu") -> None:
        self.stage, self.recipe, self.folder = stage, recipe, Path(folder)
        self.processes = join(device)
        self.device = self.processes.device
        self.module = stage.module.to(self.device)
        for part in frozen(stage):
            part.to(self.device).requires_grad_(False).eval()
        if recipe.gradient_checkpointing:
            enable_checkpointing(stage)
        self.trainable, self.fixed = choose_trainable(stage), fixed_names(stage)
        self.processes.spread(self._trained().values())
        self.optimizer = _optimizer(self.trainable, recipe)
        averages = recipe.ema is not None and self.processes.main
        self.average = Average(self.module, recipe.ema, fixed=self.fixed) if averages else None
        self.folder.mkdir(parents=True, exist_ok=True)
        self.checkpoints = Checkpoints(self.folder / "checkpoints", keep=recipe.keep, parts=PARTS)
        self.journal = Journal(self.folder)
        self.state = State()
        self._bf16 = recipe.bf16 or asked_for_bf16()
        self._resumed = self._stop = False

    @property
    def done(self) -> bool:
        """Whether the recipe's minutes or steps are spent."""
        return progress(self.recipe, self.state) >= 1

    # -- checkpoints -------------------------------------------------------------------------------------------------

    def resume(self) -> bool:
        """Take up the folder's newest checkpoint; False when there is none.

        Raises:
            WeightsError: it is damaged, or of another network or choice of trained parameters.
            InputError: it is of a run with another seed, batch, data or recipe; not every process sees the same one.
        """
        saved = self.checkpoints.read()
        self._require_one_folder(saved["state"]["step"] if saved else 0)
        if saved is None:
            return False
        self._refuse_other_options(saved["identity"])
        if _shapes(saved["module"]) != _shapes(self._trained()):
            raise WeightsError(
                f"{self.checkpoints.newest} is a checkpoint of another network, or of other trained parameters: give "
                "the run's own options, or another folder."
            )
        copy_into(self.module, saved["module"])
        # The groups, with their options, stay this recipe's.
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": saved["optimizer"]})
        if self.average is not None:
            # A run may be taken up with averaging where there was none; the average then begins here.
            averaged = saved["average"] or saved["module"]
            for name, value in self.average.values.items():
                value.copy_(averaged[name])
        self.state = State(**saved["state"])
        if self.processes.main:  # what the others' batches depended on was not kept
            restore(self.stage, saved["stage"])
        self._resumed = True
        logger.info("%s: resumed at step %d (%.1f min)", self.stage.name, self.state.step, self.state.seconds / 60)
        return True

    def checkpoint(self) -> None:
        """Write the whole state."""
        content = {
            "module": self._trained(),
            "optimizer": self.optimizer.state_dict()["state"],
            "average": self.average.values if self.average else None,
            "state": vars(self.state),
            "identity": self._identity(),
            "stage": state_of(self.stage),
        }
        self.checkpoints.write(self.state.step, content)

    def export(self) -> None:
        """Save the averaged model in the form users load."""
        with self.averaged() as module:
            self.stage.save(module, self.folder / "model")

    def draw_samples(self) -> None:
        """Draw the stage's sample grid with the averaged weights."""
        with self.averaged() as module, torch.no_grad():
            picture = self.stage.samples(module)
        self.journal.samples(self.state, picture)

    @contextmanager
    def averaged(self) -> Iterator[nn.Module]:
        """The module as it would be saved: in evaluation mode, with averaged weights when there are any."""
        with self.average.applied(self.module) if self.average else evaluating(self.module) as module:
            yield module

    # -- the run -----------------------------------------------------------------------------------------------------

    def run(self, on_step: Callable[[State, dict[str, float]], None] | None = None, *, export: bool = True) -> State:
        """Train until the recipe's minutes or steps are spent, or the process is asked to stop.

        Args:
            on_step: called after each step with the state and the step's figures, in the first process only.
            export: save the model at the end.

        Raises:
            InputError: the folder holds another run, or too many steps in a row were not finite.
        """
        self._refuse_another_run()
        self.module.train()
        with closing(self.journal) if self.processes.main else nullcontext():
            with stop_signals(self._request_stop):
                self._train(on_step)
            if self.processes.main:
                self.checkpoint()
                self.draw_samples()
                if export:
                    self.export()
        self.processes.wait()
        return self.state

    def _train(self, on_step: Callable[[State, dict[str, float]], None] | None) -> None:
        if self.processes.main:
            self.journal.begin(self.state.step)
        started = time.monotonic() - self.state.seconds
        saved_at = sampled_at = self.state.seconds
        while True:
            self.state.seconds, stop = self.processes.agree(time.monotonic() - started, self._stop)
            if stop or self.done:
                return
            figures = self.step()
            self._refuse_to_go_on()
            if not self.processes.main:
                continue
            self.journal.figures(self.state, figures)
            if on_step:
                on_step(self.state, figures)
            if self._due(self.recipe.checkpoint_minutes, saved_at) and not self.state.bad:
                self.checkpoint()
                saved_at = self.state.seconds
            if self._due(self.recipe.sample_minutes, sampled_at):
                self.draw_samples()
                sampled_at = self.state.seconds

    def _due(self, minutes: float, since: float) -> bool:
        return self.state.seconds - since > minutes * 60

    def step(self) -> dict[str, float]:
        """One optimiser step. A loss or gradient that is not finite is skipped and counted, never applied."""
        rate = learning_rate(self.recipe, self.state)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        # Batch statistics are moved by the loss itself, before it is known to be finite.
        buffers = {name: buffer.clone() for name, buffer in self.module.named_buffers()}
        figures = self._gradients()
        norm = float(nn.utils.clip_grad_norm_(self.trainable, self.recipe.clip))
        if np.isfinite([norm, figures["loss"]]).all():
            self._apply()
        else:
            self._skip(buffers)
        self.state.step += 1
        return {"loss": figures.pop("loss"), "lr": rate, "norm": norm, **figures}

    def _gradients(self) -> dict[str, float]:
        """The mean gradient over micro-batches and processes; returns mean figures, the loss's of all processes."""
        self.optimizer.zero_grad(set_to_none=True)
        each = [self._backward(micro) for micro in range(self.recipe.accumulate)]
        loss = torch.stack([loss for loss, _ in each]).mean()
        if self.processes.count > 1:
            for parameter in self.trainable:
                if parameter.grad is None:  # one this process did not use: the others wait for it
                    parameter.grad = torch.zeros_like(parameter)
            self.processes.average([loss, *(parameter.grad for parameter in self.trainable)])
        figures = {name: float(np.mean([figures[name] for _, figures in each])) for name in each[0][1]}
        return {"loss": float(loss), **figures}

    def _backward(self, micro: int) -> tuple[torch.Tensor, dict[str, float]]:
        rng = np.random.default_rng((self.recipe.seed, self.state.step, self.processes.rank, micro))
        batch = {name: tensor.to(self.device) for name, tensor in self.stage.batch(rng).items()}
        with _torch_draws_from(rng, self.device):
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bf16):
                loss, figures = self.stage.loss(self.module, batch)
            (loss / self.recipe.accumulate).backward()
        return loss.detach().float(), figures

    def _apply(self) -> None:
        self.optimizer.step()
        if self.average is not None:
            self.average.update(self.module, self.state.step)
        self.state.bad = 0

    def _skip(self, buffers: dict[str, torch.Tensor]) -> None:
        for name, buffer in self.module.named_buffers():
            buffer.copy_(buffers[name])
        self.state.bad += 1
        self.state.skipped += 1
        logger.warning("%s: step %d skipped, its loss or gradient is not finite", self.stage.name, self.state.step)

    def _trained(self) -> dict[str, torch.Tensor]:
        return trained_tensors(self.module, self.fixed)

    def _require_one_folder(self, step: int) -> None:
        if self.processes.first(step) != step:
            raise InputError(
                f"{self.folder} differs between the machines: choose a folder that all of them see.",
                code="training.folder",
            )

    def _identity(self) -> dict[str, str]:
        own = {"seed": str(self.recipe.seed), "accumulate": str(self.recipe.accumulate)}
        return own | identity_of(self.stage)

    def _refuse_other_options(self, saved: dict[str, str]) -> None:
        ours = self._identity()
        if others := [f"{name} {value}" for name, value in saved.items() if ours.get(name) != value]:
            raise InputError(
                f"{self.folder} holds a run with {', '.join(others)}: give the same options, or another folder.",
                code="training.other_run",
            )

    def _refuse_another_run(self) -> None:
        if not self._resumed and (newest := self.checkpoints.newest):
            raise InputError(
                f"{self.folder} holds a run that came to step {int(newest.stem)}: add --resume to go on with it, or "
                "choose another folder.",
                code="training.folder",
            )

    def _refuse_to_go_on(self) -> None:
        if self.state.bad < self.recipe.patience:
            return
        newest = self.checkpoints.newest
        raise InputError(
            f"{self.stage.name}: {self.state.bad} steps in a row, up to step {self.state.step}, had a loss or gradient "
            f"that is not finite. The last good checkpoint is {newest or 'none yet'}. Try a lower learning rate, "
            f"{'bfloat16 off, ' if self._bf16 else ''}another seed (other batches), or look for damaged pictures.",
            code="training.not_finite",
        )

    def _request_stop(self) -> None:
        self._stop = True


@contextmanager
def _torch_draws_from(rng: np.random.Generator, device: torch.device) -> Iterator[None]:
    """Layers that draw for themselves (dropout) draw what belongs to this batch, and nobody else's draws change."""
    seed = int(rng.integers(2**63))
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        # `torch.manual_seed` would also queue a call for every GPU this process never uses.
        torch.default_generator.manual_seed(seed)
        if device.type != "cpu":
            torch.get_device_module(device).manual_seed(seed)
        yield


def _shapes(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def _optimizer(parameters: list[nn.Parameter], recipe: Recipe) -> torch.optim.AdamW:
    """AdamW; biases and normalisation weights are not decayed."""
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=recipe.betas, eps=recipe.eps)
