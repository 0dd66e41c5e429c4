"""Short runs over a grid of hyper-parameters, compared by one held-out loss.

Each run has a folder of its own and is taken up where it was; a finished one is not repeated. A run that diverges is an
outcome like any other. No model is saved: the best run's checkpoint can be gone on with by its recipe's own command.
"""

from __future__ import annotations

import csv
import itertools
import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from catvton.errors import InputError
from catvton.training.loop import Trainer
from catvton.training.schedule import Recipe, State
from catvton.training.stage import Stage

logger = logging.getLogger(__name__)

TRIAL = "trial.json"
Options = Mapping[str, float | str]


class Subject(Protocol):
    """What is swept: builds the stage and the recipe of a run from the options that differ.

    Attributes:
        name: of the recipe.
        options: names of the options it has.
        facts: what all runs share and a finished one must have been made with (data, start, seed).
    """

    name: str
    options: Sequence[str]
    facts: dict[str, Any]

    def stage(self, options: Options) -> Stage: ...  # with `held_out`; fresh weights every time
    def recipe(self, options: Options) -> Recipe: ...  # its length in steps


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    Attributes:
        options: the options it was made with.
        held_out: the loss on pairs never trained on, with averaged weights; None where there is none: it diverged.
        steps: steps done.
        hours: time spent.
        skipped: steps whose loss or gradient was not finite.
        note: why it ended early, or nothing.
    """

    options: Options
    held_out: float | None
    steps: int
    hours: float
    skipped: int
    note: str = ""


def grid(axes: Mapping[str, Sequence[float | str]]) -> list[dict[str, float | str]]:
    """Every combination of the axes' values, the last axis moving fastest."""
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def require_options(subject: Subject, names: Sequence[str]) -> None:
    """Raises InputError for an option the recipe does not have."""
    for name in names:
        if name not in subject.options:
            has = ", ".join(flag(option) for option in subject.options)
            raise InputError(f"{subject.name} has no {flag(name)} to vary: it has {has}.", code="option.sweep")


def flag(name: str) -> str:
    """How an option is written on the command line."""
    return f"--{name.replace('_', '-')}"


def sweep(
    subject: Subject,
    trials: Sequence[Options],
    folder: Path,
    *,
    device: Any = "cpu",
    train: Callable[[str, Trainer], State] | None = None,
) -> list[Outcome] | None:
    """Run every trial that is not finished; None when asked to stop meanwhile.

    Args:
        trials: as `grid` gives them.
        folder: a folder for each run is made in it.
        train: runs a trainer without saving the model; shows progress if it likes.

    Returns:
        The outcomes, best first.

    Raises:
        InputError: an option the recipe does not have, or the folder holds runs made with other facts.
    """
    require_options(subject, sorted({name for options in trials for name in options}))
    outcomes = []
    for options in trials:
        outcome = _outcome(subject, options, folder / _folder_name(options), device, train or _quietly)
        if outcome is None:
            return None
        outcomes.append(outcome)
    return sorted(outcomes, key=lambda outcome: float("inf") if outcome.held_out is None else outcome.held_out)


def table(outcomes: Sequence[Outcome]) -> str:
    """The outcomes as Markdown."""
    head, *rows = _rows(outcomes)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(outcomes: Sequence[Outcome], folder: Path) -> None:
    """`sweep.md`, `sweep.csv` and `sweep.json` in `folder`."""
    (folder / "sweep.md").write_text(table(outcomes) + "\n", encoding="utf-8")
    found = [asdict(outcome) for outcome in outcomes]
    (folder / "sweep.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    with (folder / "sweep.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(_rows(outcomes))


def _outcome(
    subject: Subject, options: Options, folder: Path, device: Any, train: Callable[[str, Trainer], State]
) -> Outcome | None:
    recipe = subject.recipe(options)
    facts = {"recipe": subject.name, "steps": recipe.steps, "options": dict(options), **subject.facts}
    finished = _finished(folder, facts)
    if finished is not None:
        return finished
    trainer = Trainer(subject.stage(options), recipe, folder, device=device)
    if trainer.processes.main:
        _note(folder, facts)
    trainer.resume()
    with _divergence(trainer) as notes:
        train(_folder_name(options), trainer)
    if not (trainer.done or notes):
        return None
    state, held_out = trainer.state, None if notes else _held_out(trainer)
    outcome = Outcome(options, held_out, state.step, state.seconds / 3600, state.skipped, " ".join(notes))
    if trainer.processes.main:
        _note(folder, facts, outcome)
    trainer.processes.wait()
    return outcome


def _held_out(trainer: Trainer) -> float | None:
    with trainer.averaged() as module:
        loss = trainer.stage.held_out(module)
    return loss if math.isfinite(loss) else None


@contextmanager
def _divergence(trainer: Trainer) -> Iterator[list[str]]:
    """Notes that training diverged, instead of ending the sweep."""
    notes: list[str] = []
    try:
        yield notes
    except InputError as error:
        if error.code != "training.not_finite":
            raise
        logger.warning("%s", error)
        notes.append(f"diverged at step {trainer.state.step}")


def _finished(folder: Path, facts: dict[str, Any]) -> Outcome | None:
    """What a finished run of these facts came to; None where it is not finished, or not begun."""
    path = folder / TRIAL
    if not path.is_file():
        return None
    noted = json.loads(path.read_text(encoding="utf-8"))
    if noted["facts"] != facts:
        others = ", ".join(name for name in facts if noted["facts"].get(name) != facts[name])
        raise InputError(f"{folder} holds a run with other {others}: choose another --out.", code="training.folder")
    return Outcome(**noted["outcome"]) if noted["outcome"] else None


def _note(folder: Path, facts: dict[str, Any], outcome: Outcome | None = None) -> None:
    noted = {"facts": facts, "outcome": asdict(outcome) if outcome else None}
    partial = folder / f"{TRIAL}.partial"
    partial.write_text(json.dumps(noted, indent=2) + "\n", encoding="utf-8")
    partial.replace(folder / TRIAL)


def _folder_name(options: Options) -> str:
    return ",".join(f"{name}={_text(value)}" for name, value in options.items())


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _rows(outcomes: Sequence[Outcome]) -> list[list[str]]:
    names = list(outcomes[0].options)
    head = [*names, "held-out loss", "steps", "hours", "skipped", "note"]
    rows = [
        [
            *(_text(outcome.options[name]) for name in names),
            "" if outcome.held_out is None else f"{outcome.held_out:.5g}",
            str(outcome.steps),
            f"{outcome.hours:.3g}",
            str(outcome.skipped),
            outcome.note,
        ]
        for outcome in outcomes
    ]
    return [head, *rows]


def _quietly(_: str, trainer: Trainer) -> State:
    return trainer.run(export=False)
