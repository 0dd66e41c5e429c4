"""The progress bar of every training run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catvton.training.loop import Trainer
    from catvton.training.schedule import Recipe, State


def run_with_bar(trainer: Trainer) -> State:
    """`trainer.run`, while the terminal shows how far it is and its figures."""
    with Bar(trainer.stage.name, trainer.recipe) as bar:
        return trainer.run(bar)


class Bar:
    """Minutes or steps, as the recipe counts, with the smoothed figures beside them: for `Trainer.run`.

    It appears at the first step, so that only the process that reports steps shows one.
    """

    def __init__(self, name: str, recipe: Recipe) -> None:
        self._name, self._recipe = name, recipe
        self._bar, self._smooth = None, {}

    def __call__(self, state: State, figures: dict[str, float]) -> None:
        if self._bar is None:
            self._bar = self._open()
        for name, value in figures.items():
            self._smooth[name] = 0.98 * self._smooth.get(name, value) + 0.02 * value
        done = state.step if self._recipe.minutes is None else state.seconds / 60
        self._bar.n = min(done, self._bar.total)
        shown = {name: f"{value:.4g}" for name, value in self._smooth.items()}
        self._bar.set_postfix({"step": state.step, **shown}, refresh=False)
        self._bar.update(0)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def _open(self) -> Any:
        from tqdm import tqdm

        if self._recipe.minutes is None:
            return tqdm(total=self._recipe.steps, desc=self._name, unit="step")
        form = "{l_bar}{bar}| {n:.1f}/{total:.1f} min {postfix}"
        return tqdm(total=round(self._recipe.minutes, 1), desc=self._name, unit="min", bar_format=form)
