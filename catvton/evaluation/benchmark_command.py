"""What `evaluate vitonhd` and `evaluate dresscode` do, from the data set's check to the text at the end."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catvton.errors import InputError
from catvton.evaluation.benchmark_arguments import RUNS, check_options, how_of

if TYPE_CHECKING:
    from accelerate import PartialState

    from catvton.cards import ModelCard
    from catvton.datasets import Case
    from catvton.datasets.listed import ListedSet
    from catvton.evaluation.benchmark import Benchmark
    from catvton.evaluation.benchmark_engine import How
    from catvton.evaluation.networks import Networks
    from catvton.evaluation.result_folder import ResultFolder
    from catvton.evaluation.suite import Watch
    from catvton.settings import Settings

Say = Callable[[str], None]

PATIENCE = timedelta(days=2)  # how long the processes of a run wait for the slowest


def run(args: argparse.Namespace, source: ListedSet, *, say: Say, warn: Say) -> int:
    """Check the set, make what is missing, score it. Returns the exit code: 2 for a set that cannot be used.

    Args:
        say: is told the figures; warn: is told what is wrong with the set.
    """
    from catvton.evaluation.suite import spread
    from catvton.settings import Settings

    check_options(args)
    settings = Settings()
    scene = Scene(args=args, source=source, settings=settings, state=processes(settings.device))
    if scene.main and not _fit(scene, warn):
        return 2
    cases = spread(source.cases(paired=args.paired), args.limit)
    folders = _found(scene, cases) if args.scores_only else _made(scene, cases)
    scene.state.wait_for_everyone()
    scene.state.destroy_process_group()
    if scene.main:
        say(_scored(scene, cases, folders))
    return 0


def processes(device: str) -> PartialState:
    """The processes of a run: those `accelerate launch` started, or this one alone. `device` as in the settings."""
    from accelerate import PartialState

    from catvton.devices import choose

    return PartialState(cpu=choose(device)[0].type == "cpu", timeout=PATIENCE)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What a run is about, and which of its processes this is."""

    args: argparse.Namespace
    source: ListedSet
    settings: Settings
    state: PartialState

    @property
    def main(self) -> bool:
        """Whether this is the process that checks, writes protocols and scores, and speaks."""
        return self.state.is_main_process

    @property
    def device(self) -> str:
        """Where this process computes, in the settings' words."""
        return self.settings.device if self.state.num_processes == 1 else str(self.state.device)

    @property
    def watch(self) -> Watch:
        """Progress bars, in one process only: the others' shares are as long."""
        from catvton.datasets.check import unwatched
        from catvton.evaluation.bar import bar

        return bar if self.main else unwatched

    @cached_property
    def networks(self) -> Networks:
        from catvton.evaluation.networks import Networks

        return Networks(device=self.device)


def _fit(scene: Scene, warn: Say) -> bool:
    """Whether the data set can be used; what is wrong with it is told. Masks that are missing are made later."""
    from catvton.datasets.faults import MASK_MISSING, fit

    # A photo cut short would end a run after hours; a short run is over before all photos are decoded.
    thorough = scene.args.limit is None and not scene.args.scores_only
    faults = scene.source.check(paired=scene.args.paired, thorough=thorough, watch=scene.watch)
    for fault in faults:
        if fault.kind != MASK_MISSING:
            warn(str(fault))
    return fit(faults)


# ---- making ----------------------------------------------------------------------------------------------------------


def _made(scene: Scene, cases: Sequence[Case]) -> dict[str, ResultFolder]:
    """Dress every case that has no result yet, together with the other processes. Returns {way: folder}."""
    from catvton.evaluation.benchmark import require_empty
    from catvton.evaluation.benchmark_engine import find_engine, with_weights
    from catvton.evaluation.benchmark_masks import masker_name
    from catvton.evaluation.benchmark_protocol import making
    from catvton.masking import Maskers

    args, maskers = scene.args, Maskers(device=scene.device, backend=scene.settings.densepose_backend)
    named = find_engine(args.engine, scene.settings)
    card = named if args.weights is None else with_weights(named, args.weights)
    card.require_files()
    out = args.out or RUNS / f"{scene.source.kind}-{'paired' if args.paired else 'unpaired'}-{card.id}"
    kept = (args.masks or out.parent / f"masks-{scene.source.kind}") / masker_name(named)
    if scene.main:
        if not args.resume:
            require_empty(out)
        scene.networks.files(paired=args.paired)  # it would be a pity to miss them only after hours
    how = how_of(args, card)
    benchmark = _benchmark(scene, cases, card, how, out=out, masks=kept)
    if scene.main:
        _begin(scene, benchmark, making(card, how, benchmark, masker=masker_name(named)))
    scene.state.wait_for_everyone()
    benchmark.make_masks(lambda photo, part: maskers(named)(photo, part), scene.watch)
    benchmark.generate(scene.watch)
    return dict(benchmark.folders)


def _benchmark(scene: Scene, cases: Sequence[Case], card: ModelCard, how: How, *, out: Path, masks: Path) -> Benchmark:
    """The run, its engine loaded."""
    from catvton.evaluation.benchmark import Benchmark, Share, ways
    from catvton.evaluation.benchmark_engine import dresser
    from catvton.evaluation.benchmark_masks import Masks
    from catvton.evaluation.result_folder import ResultFolder

    engine = dresser(card, how, device=scene.device, dtype=scene.settings.dtype)
    return Benchmark(
        cases=cases,
        folders={way: ResultFolder(out / way) for way in ways(scene.args.repaint, mask_free=engine.mask_free)},
        dresser=engine,
        masks=Masks(masks),
        size=how.size,
        seed=scene.args.seed,
        batch=scene.args.batch,
        share=Share(scene.state.process_index, scene.state.num_processes),
    )


def _begin(scene: Scene, benchmark: Benchmark, how: Mapping[str, Any]) -> None:
    """Write the protocols, or refuse to go on with other results."""
    from catvton.evaluation.benchmark import prepare
    from catvton.evaluation.benchmark_protocol import about, pasted

    told = {**about(scene.source, benchmark.cases, paired=scene.args.paired), **how}
    prepare({folder: {**told, **pasted(way)} for way, folder in benchmark.folders.items()})


# ---- scoring ---------------------------------------------------------------------------------------------------------


def _found(scene: Scene, cases: Sequence[Case]) -> dict[str, ResultFolder]:
    """The folders of finished results: those a run left in --out, else --out itself. Returns {name: folder}."""
    from catvton.evaluation.benchmark import ways
    from catvton.evaluation.benchmark_protocol import about, state_results
    from catvton.evaluation.result_folder import ResultFolder

    args = scene.args
    left = [way for way in ways(None) if (args.out / way).is_dir()]
    asked = [way for way in ways(args.repaint) if way in left]
    if left and not asked:
        raise InputError(f"{args.out} has {left[0]}/ only, which was not asked for.", code="results.folder")
    folders = {way: ResultFolder(args.out / way) for way in asked} or {args.out.resolve().name: ResultFolder(args.out)}
    if scene.main:
        for folder in folders.values():
            state_results(folder, about(scene.source, cases, paired=args.paired), repaint=args.repaint)
    return folders


def _scored(scene: Scene, cases: Sequence[Case], folders: Mapping[str, ResultFolder]) -> str:
    """Score the folders and put it into words, or into JSON where that is asked for."""
    from catvton.evaluation.benchmark import score
    from catvton.evaluation.benchmark_text import report

    truths = {case.name: scene.source.truth(case) for case in cases}
    scores = {way: score(folder, truths, networks=scene.networks, watch=scene.watch) for way, folder in folders.items()}
    found = {way: (folder.path, folder.protocol() or {}, scores[way]) for way, folder in folders.items()}
    if not scene.args.json:
        return report(found)
    # Figures of every image are in the folder's scores.json; thousands of them would bury the others here.
    return json.dumps({
        way: {"folder": str(path), "protocol": protocol, "scores": asdict(replace(total, each={}))}
        for way, (path, protocol, total) in found.items()
    })  # fmt: skip
