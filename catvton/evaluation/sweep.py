"""The parameter study: the same people in the same garments with each number of steps and each guidance.

Guidance above 1 asks the network twice at each step; at or below 1 there is no guidance and its value means nothing.
So all rows of one number of steps at or below 1 must be the same pictures: that is looked at, not taken for granted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageDraw

from catvton.errors import InputError
from catvton.evaluation.metrics import Likeness, likeness
from catvton.evaluation.sheets import sheet
from catvton.result import TryOnRequest

if TYPE_CHECKING:
    from catvton.cards import ModelCard
    from catvton.evaluation.protocol import Sample
    from catvton.tryon import TryOn

CELL = (144, 192)  # (W, H) of a picture in the grid


@dataclass(frozen=True, order=True)
class Setting:
    """One cell of the grid."""

    steps: int
    guidance: float

    @property
    def guided(self) -> bool:
        return self.guidance > 1


@dataclass(frozen=True)
class Plan:
    """What is run, by steps and then guidance, and sentences about what was asked for and left out."""

    settings: tuple[Setting, ...]
    left_out: tuple[str, ...] = ()

    @property
    def steps(self) -> list[int]:
        return sorted({setting.steps for setting in self.settings})

    @property
    def guidance(self) -> list[float]:
        return sorted({setting.guidance for setting in self.settings})


@dataclass(frozen=True)
class Wish:
    """One person in one garment: a sample of the paired protocol, or photos, of which no right answer is known."""

    name: str
    request: TryOnRequest
    sample: Sample | None = None


@dataclass(frozen=True)
class Run:
    """One wish with one setting: RGB picture, seconds of the whole try-on, and its figures where a truth is known."""

    wish: Wish
    setting: Setting
    image: Image.Image
    seconds: float
    region: Likeness | None = None
    mask: Likeness | None = None


@dataclass
class Sweep:
    """Every run, and what they say together."""

    plan: Plan
    runs: list[Run] = field(default_factory=list)

    def of(self, setting: Setting) -> list[Run]:
        """The runs of one setting."""
        return [run for run in self.runs if run.setting == setting]

    def seconds(self, setting: Setting) -> float:
        """The median over the wishes."""
        return median(run.seconds for run in self.of(setting))

    def mean(self, setting: Setting, area: str) -> Likeness | None:
        """The mean over the cases in an area ("region" or "mask"); None for photos."""
        found = [figures for run in self.of(setting) if (figures := getattr(run, area)) is not None]
        if not found:
            return None
        return Likeness(fmean(each.colour for each in found), fmean(each.structure for each in found))

    def unguided_are_equal(self) -> bool | None:
        """Whether runs that differ only in a guidance at or below 1 gave the same pixels; None: there are no two."""
        pictures: dict[tuple[str, int], list[bytes]] = {}
        for run in self.runs:
            if not run.setting.guided:
                pictures.setdefault((run.wish.name, run.setting.steps), []).append(run.image.tobytes())
        groups = [group for group in pictures.values() if len(group) > 1]
        return all(len(set(group)) == 1 for group in groups) if groups else None

    def grid(self, wish: Wish) -> Image.Image:
        """Steps downwards and guidance across, labelled; the first column shows what was asked for."""
        found = {run.setting: run.image for run in self.runs if run.wish == wish}
        guidance = self.plan.guidance
        rows = [
            [_label(f"{steps} steps"), *(found[Setting(steps, each)] for each in guidance)] for steps in self.plan.steps
        ]
        asked = [_label("asked for"), wish.request.person, wish.request.garment]
        return sheet([*rows, asked], cell=CELL, heads=["", *(f"guidance {each:g}" for each in guidance)])


def plan(card: ModelCard, steps: Sequence[int], guidance: Sequence[float]) -> Plan:
    """Every number of steps with every guidance, as far as the engine's card allows them.

    Raises:
        InputError: nothing of it is allowed.
    """
    ranges = {"steps": (steps, card.steps), "guidance": (guidance, card.guidance)}
    left_out, kept = [], {}
    for name, (values, allowed) in ranges.items():
        kept[name] = sorted({value for value in values if allowed.minimum <= value <= allowed.maximum})
        if outside := sorted(set(values) - set(kept[name])):
            shown = ", ".join(f"{value:g}" for value in outside)
            left_out.append(
                f"Left out, as {card.id} takes {name} from {allowed.minimum:g} to {allowed.maximum:g}: {shown}."
            )
        if not kept[name]:
            raise InputError(left_out[-1], code=f"option.{name}")
    settings = tuple(Setting(int(n), float(g)) for n in kept["steps"] for g in kept["guidance"])
    return Plan(settings, tuple(left_out))


def wish_of(sample: Sample, *, seed: int) -> Wish:
    """A case of the paired protocol as a wish: the mask is given, and what is under it is not."""
    request = TryOnRequest(
        person=sample.person,
        garment=sample.garment,
        mask=Image.fromarray(sample.mask),
        part=sample.case.part,
        seed=seed,
    )
    return Wish(sample.case.name, request, sample)


def sweep(
    tryon: TryOn,
    plan: Plan,
    wishes: Sequence[Wish],
    *,
    watch: Callable[[Iterable[Any], str, int], Iterable[Any]] = lambda things, what, count: things,
) -> Sweep:
    """Run everything. The first wish runs once beforehand and does not count, so that no row pays for the loading."""
    tryon.run(_request(wishes[0], plan.settings[0]))
    found, both = Sweep(plan), [(wish, setting) for wish in wishes for setting in plan.settings]
    for wish, setting in watch(both, "sweep", len(both)):
        result = tryon.run(_request(wish, setting))
        figures = (None, None) if wish.sample is None else _figures(wish.sample, result.image)
        found.runs.append(Run(wish, setting, result.image, sum(result.seconds.values()), *figures))
    return found


def _request(wish: Wish, setting: Setting) -> TryOnRequest:
    return replace(wish.request, steps=setting.steps, guidance=setting.guidance)


def _figures(sample: Sample, image: Image.Image) -> list[Likeness]:
    """In the garment's region and over the whole mask."""
    return likeness(sample.compose(image), sample.truth, sample.region, sample.hole)


def _label(text: str) -> Image.Image:
    cell = Image.new("RGB", CELL, "white")
    ImageDraw.Draw(cell).text((CELL[0] / 2, CELL[1] / 2), text, fill="black", anchor="mm")
    return cell


def figures(found: Sweep) -> dict[str, Any]:
    """Everything that is not a picture, ready for JSON."""
    rows = [
        {
            "steps": setting.steps,
            "guidance": setting.guidance,
            "guided": setting.guided,
            "seconds": round(found.seconds(setting), 3),
            **{area: _pair(found.mean(setting, area)) for area in ("region", "mask")},
            "each": {
                run.wish.name: {
                    "seconds": round(run.seconds, 3),
                    "region": _pair(run.region),
                    "mask": _pair(run.mask),
                }
                for run in found.of(setting)
            },
        }
        for setting in found.plan.settings
    ]
    unguided = found.unguided_are_equal()
    return {"rows": rows, "left_out": list(found.plan.left_out), "unguided_rows_equal": unguided}


def _pair(figures: Likeness | None) -> list[float] | None:
    """[CIEDE2000, SSIM]."""
    return None if figures is None else [round(figures.colour, 3), round(figures.structure, 4)]
