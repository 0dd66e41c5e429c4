"""Pruning: what is cut is what matters least, what is left computes what it did, and the command teaches it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from catvton.cli import main
from catvton.compact_unet import CompactUNet
from catvton.errors import InputError
from catvton.pipeline import CatVTONPipeline
from catvton.training.compact_cuts import CompactCuts
from catvton.training.cuts import Cuts, Kept, Part
from catvton.training.lessons import SourceLessons
from catvton.training.official_cuts import OfficialCuts
from catvton.training.prune import choose, cuts_of, importance
from catvton.training.prune_stage import PruneStage, feature_distance, watched
from catvton.unet import TryOnUNet
from catvton.weights import load_strictly
from tests.tiny_pipeline import inputs, seeded, tiny_unet
from tests.tiny_students import (
    compact_data,
    compact_teacher,
    compact_unet,
    official_data,
    official_teacher,
    shaken,
)

TIMES = torch.tensor([3, 999])


def random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def official_unet() -> TryOnUNet:
    """Three levels of three layers, two of them with attention."""
    return shaken(
        seeded(
            lambda: TryOnUNet(
                in_channels=9,
                out_channels=4,
                block_out_channels=(8, 16, 24),
                down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
                up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
                layers_per_block=3,
                cross_attention_dim=8,
                attention_head_dim=2,
                norm_num_groups=4,
            )
        )
    )


def answer(network: nn.Module) -> torch.Tensor:
    shape = (2, 13, 64, 24) if isinstance(network, CompactUNet) else (2, 9, 32, 12)
    with torch.no_grad():
        return network(random(*shape), TIMES, None, return_dict=False)[0]


def gates(cuts: Cuts, kept: Kept) -> dict[str, torch.Tensor]:
    """1 for what stays, 0 for what goes."""
    return {
        name: torch.tensor([float(unit in kept[name]) for unit in range(part.units)], dtype=torch.float64)
        for name, part in cuts.parts.items()
    }


def silenced(cuts: Cuts, kept: Kept) -> torch.Tensor:
    with cuts.gated(gates(cuts, kept)):
        return answer(cuts.network)


COMPACT_DROPS = [(), ("fine_in",), ("coarse.1", "middle_attention.0"), ("middle_out.1", "coarse_attention.1")]


@pytest.mark.parametrize("drop", COMPACT_DROPS)
def test_the_pruned_network_is_the_full_one_silenced(drop: tuple[str, ...]) -> None:
    cuts = CompactCuts(compact_unet().double())
    rng = np.random.default_rng(len(drop))
    kept = {
        name: sorted(rng.permutation(p.units)[: rng.integers(1, p.units + 1)].tolist())
        for name, p in cuts.parts.items()
    }
    kept |= {name: [] for name in drop}
    smaller, full = cuts.without(kept), answer(cuts.network)
    assert (answer(smaller) - silenced(cuts, kept)).abs().max() < 1e-12 * full.abs().max()
    assert (answer(smaller) - full).abs().max() > 1e-3 * full.abs().max()
    assert sum(p.numel() for p in smaller.parameters()) < sum(p.numel() for p in cuts.network.parameters())


@pytest.mark.parametrize(
    "drop", [("level0",), ("level1", "level2"), ("middle",), ("level0", "level1", "level2", "middle")]
)
def test_the_published_network_too(drop: tuple[str, ...]) -> None:
    cuts = OfficialCuts(official_unet().double())
    kept = {name: [] if name in drop else [0] for name in cuts.parts}
    smaller, full = cuts.without(kept), answer(cuts.network)
    assert (answer(smaller) - silenced(cuts, kept)).abs().max() < 1e-12 * full.abs().max()
    assert (answer(smaller) - full).abs().max() > 1e-4 * full.abs().max()
    assert list(smaller.config.layers_per_block) == [1 if f"level{i}" in drop else 3 for i in range(3)]


def test_a_pruned_network_can_be_pruned_again() -> None:
    once = CompactCuts(compact_unet().double()).without({**_all(compact_unet()), "fine_in": [1, 4, 6], "coarse.0": []})
    cuts = CompactCuts(once)
    kept = {name: list(range(part.units)) for name, part in cuts.parts.items()} | {"fine_in": [0, 2]}
    twice = cuts.without(kept)
    assert tuple(twice.config.kept_groups)[:4] == (2, 8, 8, 0)
    assert (answer(twice) - silenced(cuts, kept)).abs().max() < 1e-12


def _all(network: CompactUNet) -> Kept:
    return {name: list(range(part.units)) for name, part in CompactCuts(network).parts.items()}


@pytest.mark.parametrize("make", [compact_unet, official_unet])
def test_nothing_cut_is_the_same_network(make) -> None:
    cuts = cuts_of(make().double())
    kept = {name: list(range(part.units)) for name, part in cuts.parts.items()}
    assert torch.equal(answer(cuts.without(kept)), answer(cuts.network))


def test_importance_is_the_derivative_by_the_gates() -> None:
    """Against a finite difference; a unit nobody reads is worth nothing."""
    network = compact_unet().double()
    with torch.no_grad():
        network.fine_in.conv2.weight[:, 4:6] = 0  # the third group's channels
        network.coarse_attention[0].out.weight[:, 12:] = 0  # the second head's
    cuts, target = CompactCuts(network), random(2, 6, 64, 24)

    def loss() -> torch.Tensor:
        return (network(random(2, 13, 64, 24), TIMES)[0] - target).square().mean()

    scores = importance(cuts, [loss, loss])
    assert scores["fine_in"][2] == 0 == scores["coarse_attention.0"][1]
    assert (scores["fine_in"] > 0).sum() == 7
    ones = {name: torch.ones(part.units, dtype=torch.float64) for name, part in cuts.parts.items()}
    for name, unit in (("fine_in", 5), ("middle_attention.1", 0), ("fine_out.0", 7)):
        moved = []
        for gate in (1 + 1e-5, 1 - 1e-5):
            with torch.no_grad(), cuts.gated(ones | {name: ones[name].index_fill(0, torch.tensor(unit), gate)}):
                moved.append(float(loss()))
        assert float(scores[name][unit]) == pytest.approx(abs(moved[0] - moved[1]) / 2e-5, rel=1e-3)


def test_the_size_of_weights_judges_too() -> None:
    network = compact_unet()
    with torch.no_grad():
        network.fine_in.conv1.weight[4:6] = 0
        network.coarse_attention[0].out.weight[:, 12:] = 0
    norms = CompactCuts(network).norms()
    assert norms["fine_in"][2] == 0 == norms["coarse_attention.0"][1]
    one = network.fine_in
    by_hand = one.conv1.weight[10:12].norm() * one.conv2.weight[:, 10:12].norm()
    assert float(norms["fine_in"][5]) == pytest.approx(float(by_hand.detach()))
    assert set(OfficialCuts(official_unet()).norms()) == {"level0", "level1", "level2", "middle"}


def test_what_is_worth_least_for_its_cost_goes_first() -> None:
    parts = {"cheap": Part(4, 1.0), "dear": Part(2, 10.0, least=0), "fixed": Part(2, 1.0, least=2)}
    scores = {"cheap": torch.tensor([4.0, 3.0, 2.0, 1.0]), "dear": torch.tensor([5.0, 50.0]), "fixed": torch.zeros(2)}
    assert choose(parts, scores, keep=1.0) == {"cheap": [0, 1, 2, 3], "dear": [0, 1], "fixed": [0, 1]}
    assert choose(parts, scores, keep=0.7) == {"cheap": [0, 1, 2, 3], "dear": [1], "fixed": [0, 1]}
    assert choose(parts, scores, keep=0.55) == {"cheap": [0, 1], "dear": [1], "fixed": [0, 1]}
    assert choose(parts, scores, keep=0.0) == {"cheap": [0], "dear": [], "fixed": [0, 1]}
    assert choose(parts, scores, keep=1.0, drop=["dear"])["dear"] == []


@pytest.mark.parametrize(("wish", "said"), [
    ({"keep": 1.5}, "from 0 to 1"), ({"keep": 0.5, "drop": ["cheap"]}, "can: dear"),
    ({"keep": 0.5, "drop": ["x"]}, "left out: x"),
])  # fmt: skip
def test_a_wish_that_cannot_be_met_is_refused(wish: dict, said: str) -> None:
    parts = {"cheap": Part(4, 1.0), "dear": Part(2, 10.0, least=0)}
    with pytest.raises(InputError, match=said):
        choose(parts, {name: torch.ones(part.units) for name, part in parts.items()}, **wish)


def test_only_known_networks_are_cut() -> None:
    with pytest.raises(InputError, match="CompactUNet and TryOnUNet"):
        cuts_of(nn.Linear(1, 1))


@pytest.mark.parametrize("config", [
    {"kept_groups": (8,) * 8}, {"kept_groups": (8,) * 8 + (9,)}, {"kept_heads": (2, 2, 2, 3)},
    {"kept_groups": (8, 8, 8, 8, 8, 0, 8, 8, 8)},
])  # fmt: skip
def test_a_configuration_that_cannot_be_built_is_refused(config: dict) -> None:
    with pytest.raises(ValueError, match="kept_"):
        compact_unet(**config)


def test_a_folder_saved_before_there_was_pruning_loads_the_same(tmp_path: Path) -> None:
    network = compact_unet()
    network.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    old = {k: v for k, v in json.loads(path.read_text()).items() if k not in ("kept_groups", "kept_heads", "folded")}
    path.write_text(json.dumps(old))
    assert torch.equal(answer(load_strictly(CompactUNet, tmp_path, dtype=torch.float64)), answer(network.double()))


# -- the stage ---------------------------------------------------------------------------------------------------------


def test_features_are_compared_level_by_level() -> None:
    network, other = compact_unet().double(), compact_unet(seed=1).double()
    with watched(network) as mine:
        answer(network)
    with watched(other) as theirs:
        answer(other)
    assert list(mine) == ["down1", "down2", "middle_out.1", "fine_out.1"]
    assert float(feature_distance(mine, mine)) == 0
    shares = [float((mine[n] - theirs[n]).square().mean() / theirs[n].square().mean()) for n in theirs]
    assert float(feature_distance(mine, theirs)) == pytest.approx(np.mean(shares), rel=1e-5)
    assert not any(module._forward_hooks for module in network.modules())


def test_a_student_like_its_teacher_has_nothing_to_learn_and_another_has(tmp_path: Path) -> None:
    from catvton.datasets import open_source

    folder = official_teacher(tmp_path / "teacher")
    pipe = CatVTONPipeline.from_pretrained(folder)
    lessons = SourceLessons(open_source(official_data(tmp_path / "data")), pipe, batch_size=2)
    twin = load_strictly(TryOnUNet, folder, subfolder="unet", dtype=torch.float32)
    stage = PruneStage(pipe, folder, twin, lessons)
    batch = stage.batch(np.random.default_rng(0))
    assert float(stage.loss(twin, batch)[0].detach()) == 0
    assert float(stage.task_loss(twin, batch).detach()) > 0.1  # it does not know the noise
    other = tiny_unet()
    loss, figures = stage.loss(shaken(other), batch)
    assert float(loss.detach()) == pytest.approx(figures["teacher"] + 0.5 * figures["features"], rel=1e-5)
    loss.backward()
    assert other.conv_in.weight.grad is not None and pipe.unet.conv_in.weight.grad is None


# -- the command -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("prune")
    return {
        "compact": str(compact_teacher(root / "compact")),
        "ccp": str(compact_data(root / "ccp-data")),
        "official": str(official_teacher(root / "official")),
        "csv": official_data(root / "pairs"),
    }


def prune(world: dict[str, str], kind: str, out: Path, *more: str) -> int:
    data = world["ccp" if kind == "compact" else "csv"]
    fixed = ["--out", str(out), "--device", "cpu", "--batch", "2", "--figures", "1", "--batches", "1"]
    return main(["train", "prune", world[kind], "--data", data, *fixed, *more])


def test_a_compact_student_from_command_to_picture(world: dict[str, str], tmp_path: Path) -> None:
    length = ("--iterations", "2", "--keep", "0.5", "--drop-blocks", "coarse.1")
    assert prune(world, "compact", tmp_path, *length) == 0
    pipe = CatVTONPipeline.from_pretrained(tmp_path / "model")
    assert pipe.unet.config.kept_groups[4] == 0
    assert pipe(**inputs(num_inference_steps=1, guidance_scale=1.0)).images.shape == (1, 384, 288, 3)
    page, facts = (
        (tmp_path / "model" / "README.md").read_text(),
        json.loads((tmp_path / "model" / "made.json").read_text()),
    )
    before, after = facts["parts"]["unet"]["parameters"]
    assert 0.3 < after / before < 0.8 and "coarse.1 0 of 8" in page
    assert after == sum(p.numel() for p in pipe.unet.parameters())
    kept = (tmp_path / "kept.json").read_text()
    assert prune(world, "compact", tmp_path, "--iterations", "3", "--resume", "--importance", "weights") == 0
    assert (tmp_path / "kept.json").read_text() == kept
    assert json.loads((tmp_path / "model" / "made.json").read_text())["training"]["steps"] == 3


def test_an_official_student_from_command_to_picture(world: dict[str, str], tmp_path: Path) -> None:
    assert prune(world, "official", tmp_path, "--iterations", "1", "--keep", "1", "--drop-blocks", "middle") == 0
    pipe = CatVTONPipeline.from_pretrained(tmp_path / "model")
    assert pipe.unet.config.mid_block_type is None and pipe(**inputs()).images.shape == (1, 32, 24, 3)


def test_a_wrong_name_is_answered_with_the_right_ones(world: dict[str, str], tmp_path: Path, capsys) -> None:
    assert prune(world, "official", tmp_path, "--iterations", "1", "--drop-blocks", "bottom") == 2
    assert "Those that can: middle" in capsys.readouterr().err
