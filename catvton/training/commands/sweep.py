"""`python -m catvton train sweep RECIPE`: short runs over a grid of options, and a table of which did best."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from catvton.errors import InputError

if TYPE_CHECKING:
    from catvton.training.loop import Trainer
    from catvton.training.processes import Processes
    from catvton.training.schedule import State
    from catvton.training.sweep import Options, Outcome, Subject

SUMMARY = "short runs over a grid of options of a recipe, and a table of which did best"

PACKAGE = "catvton.training.commands"
RECIPES = ("compact", "catvton", "deco", "maskfree")
NUMBERS = {  # option: what it is, an example, the highest that makes sense
    "learning_rate": ("learning rates", "1e-5,3e-5", 1.0),
    "dropout": ("shares of samples whose garment is left out", "0.1,0.2", 1.0),
    "dream": ("DREAM's lambda, 0 is off", "0,10", 1000.0),
}
WORDS = {"loss_region": ("where the loss is taken", ("all", "person"))}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    choices = parser.add_subparsers(metavar="RECIPE", required=True, dest="recipe")
    for name in RECIPES:
        if find_spec(f"{PACKAGE}.{name}"):
            home = import_module(f"{PACKAGE}.{name}")
            # What is swept comes as lists, in place of the recipe's own single values.
            child = choices.add_parser(name, help=home.SUMMARY, conflict_handler="resolve")
            home.add_arguments(child)
            _add_lists(child, name)


def run(args: argparse.Namespace) -> int:
    """Run what is not finished yet and print the table. Exit code 0, also when stopped meanwhile."""
    from catvton.devices import choose
    from catvton.training.processes import join
    from catvton.training.subjects import open_subject
    from catvton.training.sweep import grid, require_options, sweep, write

    axes = _axes(args)
    processes = join(choose(args.device, "float32")[0])
    subject = open_subject(args)
    require_options(subject, list(axes))
    if args.dry_run:
        _foretell(subject, grid(axes), processes)
        return 0
    outcomes = sweep(subject, grid(axes), args.out, device=processes.device, train=_train)
    if outcomes is None:
        print("Stopped. To go on: the same command again.")
    elif processes.main:
        write(outcomes, args.out)
        _say(outcomes, args)
    return 0


def _train(name: str, trainer: Trainer) -> State:
    from catvton.training.bar import Bar

    with Bar(name, trainer.recipe) as bar:
        return trainer.run(bar, export=False)


def _say(outcomes: list[Outcome], args: argparse.Namespace) -> None:
    from catvton.training.sweep import table

    if args.json:
        print(json.dumps({"outcomes": [asdict(outcome) for outcome in outcomes]}, indent=2))
    else:
        print(table(outcomes))


def _foretell(subject: Subject, trials: list[Options], processes: Processes) -> None:
    """The first run stands for all."""
    from catvton.training.budget import describe

    budget = describe(subject.stage(trials[0]), subject.recipe(trials[0]), device=processes.device)
    if processes.main:
        print(budget.table())
        print(f"{len(trials)} runs: {len(trials) * budget.hours:.3g} hours")


def _add_lists(parser: argparse.ArgumentParser, recipe: str) -> None:
    group = parser.add_argument_group("the sweep", "lists with commas between; every combination is run")
    for name, (what, example, _) in NUMBERS.items():
        group.add_argument(f"--{name.replace('_', '-')}", metavar="A,B", help=f"{what}, e.g. {example}")
    for name, (what, words) in WORDS.items():
        group.add_argument(f"--{name.replace('_', '-')}", metavar="A,B", help=f"{what}: {','.join(words)}")
    group.add_argument("--steps", type=int, default=200, metavar="N", help="steps of each run (default: 200)")
    home = Path(f"runs/sweep-{recipe}")
    group.add_argument("--out", type=Path, default=home, metavar="FOLDER", help=f"each run in it (default: {home})")
    group.add_argument("--json", action="store_true", help="one JSON object on the output, for programs")


def _axes(args: argparse.Namespace) -> dict[str, list[float | str]]:
    if args.steps < 1:
        raise InputError(f"--steps {args.steps} is not possible: whole numbers from 1.", code="option.steps")
    if getattr(args, "minutes", None) is not None:
        raise InputError("A sweep compares runs of one length: give --steps, not --minutes.", code="option.minutes")
    axes: dict[str, list[float | str]] = {}
    for name, (_, _, highest) in NUMBERS.items():
        if (text := getattr(args, name)) is not None:
            axes[name] = [_number(name, part, highest) for part in text.split(",")]
    for name, (_, words) in WORDS.items():
        if (text := getattr(args, name)) is not None:
            axes[name] = [_word(name, part, words) for part in text.split(",")]
    if not axes:
        raise InputError("Nothing to vary: give a list, e.g. --learning-rate 1e-5,3e-5.", code="option.sweep")
    return axes


def _number(name: str, text: str, highest: float) -> float:
    from catvton.training.sweep import flag

    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= highest or (name == "learning_rate" and value == 0):
        raise InputError(
            f'{flag(name)} "{text}" is not possible: numbers from 0 to {highest:g} with commas between.',
            code=f"option.{name}",
        )
    return value


def _word(name: str, text: str, words: tuple[str, ...]) -> str:
    from catvton.training.sweep import flag

    if text not in words:
        raise InputError(
            f'{flag(name)} "{text}" is not possible: choose from {", ".join(words)}.', code=f"option.{name}"
        )
    return text
