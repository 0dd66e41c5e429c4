"""Step distillation: the arithmetic against independent ones, and the command from a folder to a folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, LCMScheduler
from torch import nn

from catvton.cli import main
from catvton.denoising import Conditions, denoise
from catvton.layout import Layout
from catvton.pipeline import CatVTONPipeline
from catvton.training.consistency import END, answer, boundary, pseudo_huber, split
from catvton.training.consistency import Path as TeachersPath
from catvton.training.distill_stage import COMPACT, OFFICIAL, DistillStage, Plan, few_step_scheduler
from catvton.training.lessons import Lesson, SourceLessons, asked, judged
from catvton.training.students import digest
from catvton.training.unet_stage import compact_scheduler
from tests.tiny_pipeline import DDIM, inputs, seeded, tiny_pipe
from tests.tiny_students import compact_data, compact_teacher, official_data, official_teacher

KINDS = ("epsilon", "sample", "v_prediction")


def latents(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape or (3, 4, 6, 5), generator=torch.Generator().manual_seed(seed))


def scheduler(kind: str, **options: object) -> DDIMScheduler:
    """DDIM whose last step ends without noise, at the steps of a `Path`."""
    fixed = {"set_alpha_to_one": True, "steps_offset": 0, "timestep_spacing": "trailing"}
    return DDIMScheduler(**{**DDIM, **fixed, "prediction_type": kind, **options})


def a_network(noisy: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
    """Any smooth function of both."""
    return torch.tanh(noisy * 0.8 + torch.sin(timesteps / 300)[:, None, None, None])


# -- arithmetic ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_at_the_paths_end_the_function_is_its_input(kind: str) -> None:
    """Whatever the network says there."""
    noisy, end = latents(0), torch.full((3,), END)
    path = TeachersPath.of(scheduler(kind), 4)
    assert torch.allclose(path.consistency(a_network, noisy, end), noisy, atol=1e-7)


def test_the_boundary_is_the_samplers() -> None:
    """Students are run by `LCMScheduler`, which mixes by its own formula."""
    theirs = LCMScheduler()
    for time in (0, 1, 19, 259, 999):
        mine = [float(part) for part in boundary(torch.tensor([time]))]
        assert mine == pytest.approx([float(v) for v in theirs.get_scalings_for_boundary_condition_discrete(time)])
    kept, estimated = boundary(torch.tensor([0, 999]))
    assert kept[0] == 1 and estimated[0] == 0 and kept[1] < 1e-8 and estimated[1] == pytest.approx(1)


@pytest.mark.parametrize("kind", KINDS)
def test_split_undoes_answer(kind: str) -> None:
    clean, noise = latents(1).double(), latents(2).double()
    signal = torch.tensor([0.9, 0.5, 0.1]).double()[:, None, None, None]
    level = (1 - signal**2).sqrt()
    found = split(kind, answer(kind, clean, noise, signal, level), signal * clean + level * noise, signal, level)
    assert torch.allclose(found[0], clean) and torch.allclose(found[1], noise)
    with pytest.raises(ValueError, match="nothing"):
        split("nothing", clean, clean, signal, level)


@pytest.mark.parametrize("steps", [4, 10, 50])
@pytest.mark.parametrize("kind", KINDS)
def test_the_path_is_ddims(kind: str, steps: int) -> None:
    """One step, and the whole way down, against diffusers' own sampler without fresh noise."""
    ddim = scheduler(kind)
    ddim.set_timesteps(steps)
    path = TeachersPath.of(ddim, steps)
    assert path.timesteps.flip(0).tolist() == ddim.timesteps.tolist()
    noisy = latents(3)
    for way, time in enumerate(ddim.timesteps):
        start = torch.full((3,), steps - 1 - way)
        mine = path.follow(a_network, noisy, start, hops=1)
        if way == 0:
            whole = path.follow(a_network, noisy, start, hops=steps)
        noisy = ddim.step(a_network(noisy, time.expand(3)), time, noisy, eta=0.0).prev_sample
        assert torch.allclose(mine, noisy, atol=2e-5)
    assert torch.allclose(whole, noisy, atol=1e-3)


def test_rows_start_where_they_are_told_and_stop_at_the_end() -> None:
    path, noisy, start = TeachersPath.of(scheduler("epsilon"), 8), latents(4), torch.tensor([7, 0, 3])
    together = path.follow(a_network, noisy, start, hops=5)
    alone = [path.follow(a_network, noisy[i : i + 1], start[i : i + 1], hops=5) for i in range(3)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-6)
    assert torch.equal(path.follow(a_network, noisy, torch.full((3,), END), hops=2), noisy)


def test_noised_is_the_schedulers_noising() -> None:
    ddim = scheduler("epsilon")
    path, clean, noise, index = TeachersPath.of(ddim, 20), latents(5), latents(6), torch.tensor([0, 7, 19])
    assert torch.allclose(
        path.noised(clean, noise, index), ddim.add_noise(clean, noise, path.timesteps[index]), atol=1e-6
    )


def test_pseudo_huber_is_round_at_zero_and_straight_beyond() -> None:
    zero = torch.zeros(1)
    assert float(pseudo_huber(zero, zero)) == 0
    assert float(pseudo_huber(zero, torch.tensor([3.0]))) == pytest.approx(3, abs=0.002)
    assert float(pseudo_huber(zero, torch.tensor([1e-4]))) == pytest.approx(1e-8 / 2 / 1e-3, rel=0.01)


class Recorder(nn.Module):
    """A network that keeps what it was shown, and takes one time step or one for each row."""

    dtype = torch.float32

    def __init__(self) -> None:
        super().__init__()
        self.mix, self.seen = nn.Conv2d(9, 4, 1), []

    def forward(self, rows: torch.Tensor, time: torch.Tensor, **_: object) -> tuple[torch.Tensor]:
        times = torch.as_tensor(time).expand(len(rows))
        self.seen.append((rows, times))
        return (self.mix(rows) + torch.sin(times / 100)[:, None, None, None],)


@pytest.mark.parametrize("layout", [
    Layout(), Layout(garment_noise="clean", uncond="zero_garment"),
    Layout(garment_noise="renoise", concat_axis="width"),
])  # fmt: skip
@pytest.mark.parametrize("guidance", [1.0, 2.5])
def test_the_network_is_asked_what_the_pipeline_asks(layout: Layout, guidance: float) -> None:
    """The first denoising step of the pipeline's own loop shows the network the same rows and gives the same result."""
    network = seeded(Recorder)
    person, garment, mask = latents(7), latents(8), (latents(9, 3, 1, 6, 5) > 0).float()
    noise = layout.join(latents(10), latents(11))
    ddim = scheduler("epsilon")
    ddim.set_timesteps(1)
    conditions = Conditions(person, garment, mask)
    options = {"conditions": conditions, "noise": noise, "guidance_scale": guidance, "step_options": {"eta": 0.0}}
    theirs = denoise(network, ddim, layout, **options)
    ask = asked(network, layout, ddim, Lesson(layout.join(person, garment), conditions, noise), guidance=guidance)
    mine = TeachersPath.of(ddim, 1).follow(ask, noise, torch.zeros(3).long(), hops=1)
    assert all(torch.equal(one, other) for one, other in zip(*network.seen, strict=True))
    assert torch.allclose(judged(layout, mine), judged(layout, theirs), atol=1e-4)


# -- the stage ---------------------------------------------------------------------------------------------


def official_stage(tmp_path: Path, plan: Plan) -> DistillStage:
    from catvton.datasets import open_source

    folder = official_teacher(tmp_path / "teacher")
    pipe = CatVTONPipeline.from_pretrained(folder)
    pipe.unet.requires_grad_(False)
    lessons = SourceLessons(open_source(official_data(tmp_path / "data")), pipe, batch_size=2)
    return DistillStage(pipe, folder, lessons, plan)


def test_the_loss_is_the_distance_from_the_teachers_next_step(tmp_path: Path) -> None:
    """Against a plain computation with diffusers' sampler, guidance by hand, and the student's own formula."""
    plan = Plan(steps=(4,), path=10, hops=1, guidance=2.5)
    stage = official_stage(tmp_path, plan)
    batch = stage.batch(np.random.default_rng(0)) | {"start": torch.tensor([6, 6])}
    loss, _ = stage.loss(stage.module, batch)

    pipe, ddim = stage.teacher, stage.teacher.scheduler
    clean = torch.cat([batch["person"], batch["garment"]], 2)
    time, before = 699, 599
    noisy = ddim.add_noise(clean, batch["noise"], torch.tensor([time]))
    zero = torch.zeros_like(batch["garment"])
    mask = torch.cat([batch["mask"], torch.zeros_like(batch["mask"])], 2)

    def predict(network: nn.Module, x: torch.Tensor, t: int, garment: torch.Tensor) -> torch.Tensor:
        rows = torch.cat([x, mask, torch.cat([batch["shown"], garment], 2)], 1)
        return network(rows, t, None, return_dict=False)[0]

    def estimate(x: torch.Tensor, eps: torch.Tensor, t: int) -> torch.Tensor:
        kept = ddim.alphas_cumprod[t]
        return (x - (1 - kept).sqrt() * eps) / kept.sqrt()

    with torch.no_grad():
        without, eps = predict(pipe.unet, noisy, time, zero), predict(pipe.unet, noisy, time, batch["garment"])
        guided = without + 2.5 * (eps - without)
        kept = ddim.alphas_cumprod[before]
        reached = kept.sqrt() * estimate(noisy, guided, time) + (1 - kept).sqrt() * guided
        goal = estimate(reached, predict(pipe.unet, reached, before, batch["garment"]), before)
        mine = estimate(noisy, eps, time)
    assert float(loss.detach()) == pytest.approx(float((mine - goal).abs().mean()), rel=0.01)


def test_only_the_student_learns_and_the_averaged_one_follows(tmp_path: Path) -> None:
    stage = official_stage(tmp_path, Plan(steps=(4,), path=10, hops=1, guidance=2.5, target=0.75))
    batch = stage.batch(np.random.default_rng(1))
    loss, _ = stage.loss(stage.module, batch)
    loss.backward()
    assert all(p.grad is None for p in (*stage.teacher.unet.parameters(), *stage.module.target.parameters()))
    assert sum(float(p.grad.abs().sum()) for p in stage.module.network.parameters() if p.grad is not None) > 0
    before = stage.module.target.conv_in.weight.clone()
    with torch.no_grad():
        stage.module.network.conv_in.weight += 1
    stage.loss(stage.module, batch)
    assert torch.allclose(stage.module.target.conv_in.weight - before, torch.tensor(0.25))


def test_a_student_is_asked_where_it_will_be_run() -> None:
    """The compact student at the steps its sampler takes for 1 and 2 of them; the other at every step of the path."""
    ddim = compact_scheduler()
    path, run = TeachersPath.of(ddim, COMPACT.path), set()
    for count in COMPACT.steps:
        ddim.set_timesteps(count)
        run |= set(ddim.timesteps.tolist())
    assert {int(path.timesteps[i]) for i in COMPACT.starts()} == run == {999, 499}
    assert OFFICIAL.starts() == list(range(50))


@pytest.mark.parametrize("steps", OFFICIAL.steps)
def test_the_saved_sampler_runs_at_steps_of_the_path(steps: int) -> None:
    saved = few_step_scheduler(DDIMScheduler(**DDIM), OFFICIAL)
    saved.set_timesteps(steps)
    path = TeachersPath.of(DDIMScheduler(**DDIM), OFFICIAL.path)
    assert isinstance(saved, LCMScheduler) and len(saved.timesteps) == steps and int(saved.timesteps[0]) == 999
    assert set(saved.timesteps.tolist()) <= set(path.timesteps.tolist())
    assert few_step_scheduler(compact_scheduler(), COMPACT).config == compact_scheduler().config


# -- the command ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("distill")
    return {
        "compact": str(compact_teacher(root / "compact")),
        "ccp": str(compact_data(root / "ccp-data")),
        "official": str(official_teacher(root / "official")),
        "csv": official_data(root / "pairs"),
    }


def distill(world: dict[str, str], kind: str, out: Path, *more: str) -> int:
    data = world["ccp" if kind == "compact" else "csv"]
    fixed = ["--out", str(out), "--device", "cpu", "--batch", "2", "--figures", "1"]
    return main(["train", "distill", world[kind], "--data", data, *fixed, *more])


def test_a_compact_student_from_command_to_picture(world: dict[str, str], tmp_path: Path, capsys) -> None:
    assert distill(world, "compact", tmp_path, "--iterations", "3", "--learning-rate", "0.5", "--bf16") == 0
    assert "step     1  loss" in capsys.readouterr().out
    model = tmp_path / "model"
    pipe = CatVTONPipeline.from_pretrained(model)
    assert isinstance(pipe.scheduler, DDIMScheduler) and (model / "parser").is_dir() and (model / "placement").is_dir()
    before = CatVTONPipeline.from_pretrained(world["compact"]).unet.state_dict()
    assert any((before[key] - value).abs().max() > 2e-3 for key, value in pipe.unet.state_dict().items())
    for steps in (1, 2):
        given = inputs(num_inference_steps=steps, guidance_scale=1.0)
        assert pipe(**given).images.shape == (1, 384, 288, 3)
    facts = json.loads((model / "made.json").read_text())
    assert facts["training"]["steps"] == 3 and facts["teacher"]["sha256"] == digest(Path(world["compact"]))
    assert "distilled to 1 or 2 steps" in (model / "README.md").read_text()


def test_an_official_student_from_command_to_picture(world: dict[str, str], tmp_path: Path) -> None:
    assert distill(world, "official", tmp_path, "--iterations", "2", "--low-memory") == 0
    pipe = CatVTONPipeline.from_pretrained(tmp_path / "model")
    assert isinstance(pipe.scheduler, LCMScheduler)
    for steps in (4, 8):
        picture = pipe(**inputs(num_inference_steps=steps, guidance_scale=1.0)).images
        assert (picture == pipe(**inputs(num_inference_steps=steps, guidance_scale=1.0)).images).all()
        assert not (picture == pipe(**inputs(seed=5, num_inference_steps=steps, guidance_scale=1.0)).images).all()


def test_a_resumed_run_is_the_uninterrupted_one(world: dict[str, str], tmp_path: Path) -> None:
    """The averaged student that says what to agree with is taken up too."""
    rate = ("--learning-rate", "0.5")
    distill(world, "official", tmp_path / "whole", "--iterations", "3", *rate)
    stop_after(world, tmp_path / "cut", 2, rate)
    distill(world, "official", tmp_path / "cut", "--iterations", "3", "--resume", *rate)
    assert digest(tmp_path / "whole" / "model") == digest(tmp_path / "cut" / "model")


def stop_after(world: dict[str, str], out: Path, steps: int, rate: tuple[str, ...]) -> None:
    """A run of three steps stopped after some, as ctrl-C would."""
    from catvton.training.loop import Trainer

    plain = Trainer.step

    def step(self: Trainer) -> dict[str, float]:
        figures = plain(self)
        if self.state.step == steps:
            self._request_stop()
        return figures

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "step", step)
        distill(world, "official", out, "--iterations", "3", *rate)


@pytest.mark.parametrize(("option", "value", "said"), [
    ("--steps", "one", "whole numbers with commas"), ("--steps", "3", "multiple of each"),
    ("--path", "2000", "up to 1000"),
    ("--batch", "0", "more than 0"),
])  # fmt: skip
def test_a_plan_that_cannot_work_is_refused(world, tmp_path, capsys, option, value, said) -> None:
    assert distill(world, "compact", tmp_path, option, value) == 2
    assert said in capsys.readouterr().err


def test_a_teacher_without_a_mask_is_refused(world: dict[str, str], tmp_path: Path, capsys) -> None:
    tiny_pipe(use_mask=False).save_pretrained(tmp_path / "maskfree")
    assert distill(world | {"official": str(tmp_path / "maskfree")}, "official", tmp_path / "out") == 2
    assert "shown the answer" in capsys.readouterr().err
