"""Folding: the folded networks are the unfolded ones to rounding, come back from their folders, and fold only once."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from catvton.cli import main
from catvton.compact_unet import CompactUNet
from catvton.errors import InputError
from catvton.folded_unet import FoldedTryOnUNet
from catvton.pipeline import CatVTONPipeline
from catvton.training.folding import fold_compact, fold_official, fold_parser, fold_warp
from catvton.training.students import digest
from catvton.warp_net import GRID, WarpNet
from catvton.weights import load_strictly
from densepose.config import Config
from densepose.config_files import fill
from densepose.model import DensePoseNet
from model import schp_network
from model.compact_parser import WINDOW, CompactParser
from model.fold import fold_norms
from tests import densepose_tiny
from tests.tiny_pipeline import inputs, seeded, tiny_unet
from tests.tiny_students import compact_teacher, compact_unet, official_teacher, shaken


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compact_teacher(tmp_path_factory.mktemp("compact") / "tiny")


def same(one: nn.Module, other: nn.Module, *inputs: object, atol: float = 1e-11) -> None:
    """Both give the same, relative to the largest number they give."""
    with torch.no_grad():
        for a, b in zip(tensors(one(*inputs)), tensors(other(*inputs)), strict=True):
            assert a.shape == b.shape and (a - b).abs().max() <= atol * a.abs().max()


def tensors(output: object) -> list[torch.Tensor]:
    if isinstance(output, torch.Tensor):
        return [output]
    return [t for part in (output.values() if isinstance(output, dict) else output) for t in tensors(part)]


def random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def norms(network: nn.Module) -> int:
    return sum(hasattr(part, "running_mean") for part in network.modules())


def folded_in_place(network: nn.Module) -> nn.Module:
    folded = copy.deepcopy(network)
    assert fold_norms(folded) == norms(network) > 0 == norms(folded)
    assert fold_norms(folded) == 0
    return folded


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("conv", [
    lambda bias: nn.Conv2d(6, 8, 3, stride=2, padding=1, groups=2, bias=bias),
    lambda bias: nn.ConvTranspose2d(6, 8, 4, stride=2, bias=bias),
])  # fmt: skip
def test_a_norm_goes_into_its_convolution(conv, bias: bool) -> None:
    network = shaken(seeded(lambda: nn.Sequential(conv(bias), nn.BatchNorm2d(8), nn.ReLU()))).double()
    same(network, folded_in_place(network), random(2, 6, 9, 7))


def test_schp_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schp_network, "DEPTHS", (1, 1, 2, 1))
    network = schp_network.AugmentCE2P(3).eval().double()
    generator = torch.Generator().manual_seed(0)
    for name, tensor in network.state_dict().items():
        tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.05 + float(tensor.ndim == 1))
        if name.endswith("running_var"):
            tensor.abs_()
    same(network, folded_in_place(network), random(1, 3, 41, 33))


@pytest.mark.parametrize("tree", ["RESNET", "HRNET"])
def test_densepose_folds(tree: str) -> None:
    config = fill(Config(), getattr(densepose_tiny, tree), where="tiny")
    network = shaken(seeded(lambda: DensePoseNet(config).backbone)).double()
    same(network, folded_in_place(network), random(1, 3, 96, 128))


def test_what_cannot_be_folded_is_refused() -> None:
    with pytest.raises(ValueError, match="evaluation mode"):
        fold_norms(nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)))
    with pytest.raises(ValueError, match="follows no convolution"):
        fold_norms(nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3)).eval())


def test_the_parser_and_the_placement_network_fold() -> None:
    parser = shaken(seeded(lambda: CompactParser(widths=(8, 16, 16, 16, 16)))).double()
    folded, count = fold_parser(parser)
    same(parser, folded, random(1, 3, WINDOW[1], WINDOW[0]))
    assert count == norms(parser) and norms(folded) == 0 and fold_parser(folded) == (folded, 0)
    warp = shaken(seeded(lambda: WarpNet(widths=(8, 8, 16)))).double()
    folded, count = fold_warp(warp)
    same(warp, folded, random(1, 8, GRID[1], GRID[0]))
    assert count == norms(warp) and norms(folded) == 0 and fold_warp(folded) == (folded, 0)


@pytest.mark.parametrize("config", [{}, {"kept_groups": (8, 3, 0, 2, 8, 1, 8, 8, 4), "kept_heads": (1, 2, 0, 2)}])
def test_the_built_in_network_folds_pruned_or_not(config: dict) -> None:
    network = compact_unet(**config).double()
    folded, count = fold_compact(network)
    same(network, folded, random(2, 13, 64, 24), torch.tensor([3, 999]))
    assert count == 4 - (0 in config.get("kept_heads", ()))
    assert sum(p.numel() for p in folded.parameters()) < sum(p.numel() for p in network.parameters())
    assert fold_compact(folded) == (folded, 0)


def test_a_norms_factor_of_nearly_zero_is_refused() -> None:
    network = compact_unet()
    with torch.no_grad():
        network.coarse_attention[1].norm.weight[3] = 1e-6
    with pytest.raises(InputError, match=r"coarse_attention\.1"):
        fold_compact(network)


def test_the_published_network_folds() -> None:
    network = shaken(tiny_unet()).double()
    folded, count = fold_official(network)
    same(network, folded, random(2, 9, 32, 12), torch.tensor([5, 700]), None, atol=1e-12)
    names = set(folded.state_dict())
    assert count == 8 and any("attn1.to_qkv.weight" in name for name in names)
    assert not any(part in name for part in ("to_q.", "to_k.", "to_v.", "norm3.", "blocks.0.norm1.") for name in names)
    assert fold_official(folded) == (folded, 0)


def test_a_folded_pipeline_comes_back_from_its_folder(teacher: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "folded"
    assert main(["train", "fold", str(teacher), "--out", str(out)]) == 0
    assert "unet: 4 norms folded" in capsys.readouterr().out
    pipe = CatVTONPipeline.from_pretrained(out)
    assert pipe.unet.config.folded and CompactParser.from_pretrained(out / "parser").config["folded"]
    warps = [load_strictly(WarpNet, folder / "placement", dtype=torch.float32) for folder in (teacher, out)]
    assert warps[1].config.folded and norms(warps[1]) == 0
    same(*warps, random(1, 8, GRID[1], GRID[0]).float(), atol=0.01)
    unets = [load_strictly(CompactUNet, folder, subfolder="unet", dtype=torch.float32) for folder in (teacher, out)]
    same(*unets, random(1, 13, 64, 24).float(), torch.tensor(999), atol=0.01)  # fp16 on disk


def test_the_card_says_what_it_cost(teacher: Path, tmp_path: Path) -> None:
    out = tmp_path / "folded"
    main(["train", "fold", str(teacher), "--out", str(out)])
    facts, page = json.loads((out / "made.json").read_text()), (out / "README.md").read_text()
    assert facts["teacher"] == {"name": "tiny", "sha256": digest(teacher)} and digest(teacher) in page
    before, after = facts["parts"]["parser"]["parameters"]
    parser = CompactParser.from_pretrained(teacher / "parser")
    channels = sum(len(part.running_mean) for part in parser.modules() if hasattr(part, "running_mean"))
    assert after == before - 3 * channels  # weight, bias, mean and variance go, the convolution's bias comes
    assert "Group norms cannot be folded" in page and "Nothing was trained" in page


def test_folding_twice_changes_nothing(teacher: Path, tmp_path: Path, capsys) -> None:
    for source, name in ((teacher, "once"), (tmp_path / "once", "twice")):
        assert main(["train", "fold", str(source), "--out", str(tmp_path / name)]) == 0
    assert "unet: 0 norms folded, outputs differ by 0.0e+00" in capsys.readouterr().out
    assert digest(tmp_path / "once") == digest(tmp_path / "twice")
    assert "Teacher: tiny, folded, sha256" in (tmp_path / "twice" / "README.md").read_text()


def test_the_published_pipeline_folds_and_runs(tmp_path: Path) -> None:
    source, out = official_teacher(tmp_path / "official"), tmp_path / "folded"
    assert main(["train", "fold", str(source), "--out", str(out)]) == 0
    pipes = [CatVTONPipeline.from_pretrained(folder) for folder in (source, out)]
    assert isinstance(pipes[1].unet, FoldedTryOnUNet)
    plain, folded = (pipe(**inputs()).images for pipe in pipes)
    assert abs(plain - folded).max() < 0.02


def test_a_folder_of_something_else_is_refused(teacher: Path, tmp_path: Path, capsys) -> None:
    assert main(["train", "fold", str(tmp_path), "--out", str(tmp_path / "x")]) == 2
    assert main(["train", "fold", str(teacher), "--out", str(teacher)]) == 2
    assert "neither a saved pipeline nor" in (said := capsys.readouterr().err) and "another --out" in said
