"""`train sweep`: every combination once, taken up where it was, compared by one loss; and the help of `train`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from catvton.cli import main
from catvton.errors import InputError
from catvton.training import sweep as sweeping
from catvton.training.loop import Recipe
from catvton.training.sweep import grid, sweep, table, write
from tests.fake_sets import write_vitonhd
from tests.tiny_pipeline import tiny_pipe
from tests.tiny_stages import Line


class Fit:
    """The line, swept over its learning rate. `steps` of each run; `made`: the stages that were built."""

    name, options = "line", ("learning_rate",)

    def __init__(self, steps: int = 6, *, seed: int = 0, poison: range = range(0)) -> None:
        self.steps, self.facts, self.poison, self.made = steps, {"seed": seed}, poison, 0

    def stage(self, options):
        self.made += 1
        return Line(poison=self.poison)

    def recipe(self, options):
        rate = options["learning_rate"]
        return Recipe(steps=self.steps, learning_rate=rate, warmup_steps=1, decay=0.0, ema=None, patience=2)


RATES = grid({"learning_rate": [1e-4, 0.1, 0.01]})


def test_a_grid_has_every_combination() -> None:
    found = grid({"a": [1.0, 2.0], "b": ["x", "y"]})
    assert found == [{"a": 1.0, "b": "x"}, {"a": 1.0, "b": "y"}, {"a": 2.0, "b": "x"}, {"a": 2.0, "b": "y"}]


def test_the_best_by_the_held_out_loss_comes_first(tmp_path: Path) -> None:
    outcomes = sweep(Fit(), RATES, tmp_path)
    assert [outcome.options["learning_rate"] for outcome in outcomes] == [0.1, 0.01, 1e-4]
    losses = [outcome.held_out for outcome in outcomes]
    assert losses == sorted(losses) and losses[0] < losses[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "learning_rate=0.0001", "learning_rate=0.01", "learning_rate=0.1",
    ]  # fmt: skip


def test_what_is_finished_is_not_run_again_and_what_is_not_goes_on(tmp_path: Path) -> None:
    first, seen = Fit(), []

    def stopping(name, trainer):
        if "0.1" in name and not trainer.state.step:
            trainer.recipe = Recipe(**{**vars(trainer.recipe), "steps": 3})
            state = trainer.run(export=False)
            trainer.recipe = Recipe(**{**vars(trainer.recipe), "steps": 6})
            return state
        seen.append(trainer.state.step)
        return trainer.run(export=False)

    assert sweep(first, RATES, tmp_path, train=stopping) is None  # asked to stop in the second run
    again = Fit()
    outcomes = sweep(again, RATES, tmp_path, train=stopping)
    assert (first.made, again.made) == (2, 2) and seen == [0, 3, 0]
    straight = sweep(Fit(), RATES, tmp_path / "straight")
    assert [o.held_out for o in outcomes] == [o.held_out for o in straight]


def test_a_run_that_diverges_is_an_outcome_and_comes_last(tmp_path: Path) -> None:
    class Half(Fit):
        def stage(self, options):
            return Line(poison=range(100) if options["learning_rate"] == 0.1 else ())

    outcomes = sweep(Half(), RATES, tmp_path)
    assert outcomes[-1].held_out is None and outcomes[-1].note == "diverged at step 2"
    assert "diverged at step 2" in table(outcomes)


def test_the_table_is_written_in_three_ways(tmp_path: Path) -> None:
    outcomes = sweep(Fit(), RATES, tmp_path)
    write(outcomes, tmp_path)
    rows = list(csv.DictReader((tmp_path / "sweep.csv").open()))
    told = json.loads((tmp_path / "sweep.json").read_text())
    assert [row["learning_rate"] for row in rows] == ["0.1", "0.01", "0.0001"]
    assert [one["held_out"] for one in told] == [outcome.held_out for outcome in outcomes]
    assert (tmp_path / "sweep.md").read_text() == table(outcomes) + "\n"
    assert all(float(row["hours"]) >= 0 and row["steps"] == "6" for row in rows)


def test_runs_of_other_facts_are_refused(tmp_path: Path) -> None:
    sweep(Fit(), RATES[:1], tmp_path)
    with pytest.raises(InputError, match="other seed"):
        sweep(Fit(seed=1), RATES[:1], tmp_path)
    with pytest.raises(InputError, match="has no --dream"):
        sweep(Fit(), grid({"dream": [1.0]}), tmp_path)


# -- the command -----------------------------------------------------------------------------------------------------


def test_the_published_recipe_is_swept_from_the_command_line(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("CATVTON_MODELS_DIR", str(tmp_path / "models"))
    tiny_pipe().save_pretrained(tmp_path / "base")
    data = f"vitonhd:{write_vitonhd(tmp_path / 'viton')}"
    fixed = ["--data", data, "--base", str(tmp_path / "base"), "--out", str(tmp_path / "s"), "--device", "cpu"]
    size = ["--resolution", "32", "--batch", "2", "--accumulate", "1", "--held-out", "0.3"]
    command = ["train", "sweep", "catvton", *fixed, *size]
    lists = ["--dream", "0,10", "--loss-region", "all,person", "--steps", "2"]
    assert main([*command, *lists, "--dry-run"]) == 0
    assert "4 runs" in capsys.readouterr().out and not (tmp_path / "s").exists()
    assert main([*command, *lists]) == 0
    printed = capsys.readouterr().out
    assert printed.count("\n") == 6 and "| dream | loss_region | held-out loss |" in printed
    assert (tmp_path / "s" / "sweep.md").read_text().strip() == printed.strip()


@pytest.mark.parametrize(
    ("lists", "said"),
    [
        ([], "Nothing to vary"),
        (["--dream", "0,10"], "has no --dream"),
        (["--learning-rate", "0"], "not possible"),
        (["--learning-rate", "fast"], "not possible"),
        (["--learning-rate", "1e-3", "--steps", "0"], "--steps 0"),
        (["--loss-region", "left"], "all, person"),
    ],
)
def test_what_cannot_be_swept_is_refused_in_words(lists: list[str], said: str, tmp_path: Path, capsys) -> None:
    command = ["train", "sweep", "compact", "--data", str(tmp_path), "--stage", "placement", "--device", "cpu"]
    assert main([*command, *lists]) == 2
    assert said in capsys.readouterr().err


def test_every_command_of_train_says_what_it_takes(capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", "--help"])
    listed = capsys.readouterr().out
    assert ended.value.code == 0
    for name in ("catvton", "compact", "deco", "distill", "fold", "maskfree", "prune", "sweep", "tradeoff"):
        assert f"    {name}" in listed
        with pytest.raises(SystemExit) as ended:
            main(["train", name, "--help"])
        assert ended.value.code == 0 and "options:" in capsys.readouterr().out


def test_names_of_folders_are_those_of_the_options() -> None:
    assert sweeping._folder_name({"learning_rate": 1e-5, "loss_region": "all"}) == "learning_rate=1e-05,loss_region=all"


@pytest.mark.parametrize("recipe", ["compact", "catvton", "deco", "maskfree"])
def test_each_recipe_says_what_can_be_swept(recipe: str, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", "sweep", recipe, "--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0 and "every combination is run" in said and "--learning-rate A,B" in said
