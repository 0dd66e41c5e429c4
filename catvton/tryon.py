"""The try-on, from two photos to a picture, read top to bottom. Knows nothing of Gradio, HTTP or the command line."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from catvton.engines import Engine, StepReport, by_name
from catvton.errors import SettingsError
from catvton.framing import paste_back
from catvton.images import Limits, open_mask, open_picture
from catvton.masking import (
    BuiltInMasker,
    Masker,
    Region,
    View,
    bare,
    drawn_region,
    find_region,
    sentences,
    whole_region,
)
from catvton.options import Options, check_mask_options, check_options
from catvton.progress import Listener, Progress, as_stream
from catvton.records import Ledger, Recorder
from catvton.result import PARTS, TryOnRequest, TryOnResult
from catvton.safety.marking import Marker
from catvton.safety.moderation import Moderation, Screened, may_preview
from catvton.safety.sieve import Sifted, sift
from catvton.safety.statement import Signer, Statement
from catvton.start import Placer, Start

if TYPE_CHECKING:
    from catvton.cards import ModelCard
    from catvton.safety import Checker
    from catvton.safety.watermark import Watermark
    from catvton.settings import Settings
    from model import Mask

log = logging.getLogger(__name__)

FEATHER = 10  # pixels of soft edge inside the mask, at a frame 1024 high


class TryOn:
    """Dresses a person. Loads nothing until the first run; one object serves any number of threads.

    Args:
        engines: the engines on offer, the default first.
        masker: finds what may change in a photo.
        maskers: an engine's own masker, asked for at each run; None: `masker` for all.
        safety: the safety checker of an engine, asked for at each run: it returns the same one every time, or None
            for an engine that needs none. None: no engine needs one.
        moderation: the checks both photos and every result must pass, whatever the engine; None: there are none.
        default: name of the engine used when a request names none; None is the first.
        limits: how large a picture may be.
        watermark: puts the job's number into every result and preview, invisibly; None leaves their pixels alone.
        label: whether results get a visible tag.
        recorder: is told of every job, however it ends; None: nobody is.
        signer: signs the files that results are written to.
    """

    def __init__(
        self,
        engines: Iterable[Engine],
        masker: Masker,
        *,
        maskers: Callable[[ModelCard], Masker] | None = None,
        safety: Callable[[ModelCard], Checker | None] | None = None,
        moderation: Moderation | None = None,
        default: str | None = None,
        limits: Limits | None = None,
        watermark: Watermark | None = None,
        label: bool = False,
        recorder: Recorder | None = None,
        signer: Signer | None = None,
    ) -> None:
        self._engines = by_name(engines)
        self._placers = {name: Placer(engine.card) for name, engine in self._engines.items() if engine.card.placement}
        self._masker = masker
        self._masker_of = maskers or (lambda card: masker)
        self._moderation = moderation or Moderation()
        self._checker_of = self._moderation.results(safety or (lambda card: None))
        self._default = default or next(iter(self._engines))
        if self._default not in self._engines:
            raise SettingsError(f'There is no engine "{default}": choose one of {", ".join(self._engines)}.')
        self._limits = limits or Limits()
        self._marker, self._recorder, self._signer = Marker(watermark=watermark, label=label), recorder, signer

    @classmethod
    def from_settings(cls, settings: Settings | None = None, *, service: bool = False) -> TryOn:
        """A try-on with the engines on offer, each with its own masker and safety checker, as the settings say.

        Args:
            service: whether it serves others: results are then marked and jobs recorded, unless the settings say no.
        """
        from catvton.settings import Settings
        from catvton.startup import parts

        return cls(**parts(settings or Settings(), service=service))

    @property
    def cards(self) -> dict[str, ModelCard]:
        """{engine name: card}, the default engine first: what to offer, and which ranges hold."""
        names = sorted(self._engines, key=lambda name: name != self._default)
        return {name: self._engines[name].card for name in names}

    def load(self, engine: str | None = None) -> None:
        """Load the weights now instead of at the first run (a server warming up). Raises WeightsError."""
        name = engine or self._default
        self._engines[name].load()
        if name in self._placers:
            self._placers[name].load()
        card = self._engines[name].card
        self._checker_of(card)
        for masker in (self._masker, self._masker_of(card)):
            if isinstance(masker, BuiltInMasker):
                masker.load()

    def close(self) -> None:
        """Finish writing the records. Call it when no run is under way; may be called twice."""
        if self._recorder is not None:
            self._recorder.close()

    def run(self, request: TryOnRequest, on_step: Listener | None = None) -> TryOnResult:
        """Make the picture.

        Args:
            on_step: called at the start of each stage and after each step, in this thread; may raise `Cancelled`.
                Where the engine has a safety checker, previews show the photo: half-made pictures are not checked by
                one. The embedded check of `moderation` is asked about each.

        Raises:
            InputError: something in the request its author can mend.
            Refused: the moderation refuses a photo, or every picture; an InputError.
            ResultWithheld: the safety checker flagged every picture; an InputError.
            WeightsError: files of the engine or its safety checker are missing or damaged.
            Cancelled: `on_step` asked for it.
        """
        with Ledger(self._recorder, account=request.account).open() as job:
            return self._run(request, on_step, job)

    def _run(self, request: TryOnRequest, on_step: Listener | None, job: Ledger) -> TryOnResult:
        options = job.options = check_options(request, self.cards, default=self._default)
        card, engine = options.card, self._engines[options.card.name]
        track = Progress(on_step, steps=options.steps * len(options.seeds))
        job.seconds = track.seconds

        with track.stage("open"):
            photo = open_picture(request.person, what="person photo", limits=self._limits)
            garment = open_picture(request.garment, what="garment photo", limits=self._limits)
            drawn = None if request.mask is None else open_mask(request.mask, size=photo.size, limits=self._limits)

        screened = self._screened(photo, garment, track)

        with track.stage("mask", preview=photo):
            region = self._region(photo, drawn, options)
            base = photo if card.mask_free else bare(photo, region.mask)
            view = View.of(base, region, size=options.size)

        with track.stage("place", preview=photo):
            placer = self._placers.get(card.name)
            start = placer(garment, view) if placer else Start(garment=garment)
            region, view, start = start.narrow(photo, region, view)
            base = photo if card.mask_free else bare(photo, region.mask)

        def paste(generated: Image.Image) -> Image.Image:
            refined = np.asarray(start.refine(generated, view.frame))
            pasted = paste_back(np.asarray(base), refined, mask=region.mask, frame=view.frame, feather=FEATHER)
            return Image.fromarray(pasted)

        def preview(half_made: Image.Image) -> Image.Image:
            if not may_preview(checker):
                return photo
            shown = paste(half_made)
            return self._marker.picture(shown, job.number) if screened.lets(shown) else photo

        with track.stage("generate", preview=photo):
            checker, said = self._checker_of(card), []  # before the work: what cannot be checked is not made
            generated = {
                seed: engine.generate(
                    view.person,
                    start.garment,
                    view.hole,
                    masked_image=start.masked_image,
                    steps=options.steps,
                    guidance=options.guidance,
                    generator=_generator(seed),
                    on_step=track.steps(finish=preview),
                    say=said.append,
                )
                for seed in options.seeds
            }

        with track.stage("paste", preview=photo):
            shown = Sifted(pictures={seed: paste(picture) for seed, picture in generated.items()})

        if checker is not None:
            with track.stage("check", preview=photo):
                # The frame and not the photo, of which the checker would see the middle, wherever the person is.
                shown = sift(checker, shown.pictures, look=view.frame.cut, job_id=job.id)

        if self._marker or self._recorder is not None:
            with track.stage("record", preview=photo):
                shown = self._marker.all(shown, job.number)
                job.done(shown.pictures.values(), shown.flags)

        seeds, images = tuple(shown.pictures), tuple(shown.pictures.values())
        log.info("job %s: %s, %d steps, %.1f s", job.id, card.id, options.steps, sum(track.seconds.values()))
        return TryOnResult(
            image=images[0],
            images=images,
            mask=region.mask,
            person=photo,
            garment=garment,
            part=options.part,
            seed=seeds[0],
            seeds=seeds,
            steps=options.steps,
            guidance=options.guidance,
            size=options.size,
            engine=card.id,
            seconds=track.seconds,
            flags=shown.flags,
            notes=(*region.notes, *said, *shown.notes),
            job_id=job.id,
            statement=Statement(engine=card.id, job_id=job.id, signer=self._signer),
        )

    def stream(self, request: TryOnRequest) -> Iterator[StepReport | TryOnResult]:
        """The same as `run`, as a generator of reports that ends with the result.

        Without news the last report comes again every second; closing the generator stops the run.
        """
        return as_stream(lambda listener: self.run(request, listener))

    def mask(self, person: Any, part: str = PARTS[0], *, engine: str | None = None) -> Mask:
        """Only the automatic mask of a person photo: .mask (uint8 HxW {0, 255}), .notes and the label maps.

        Args:
            engine: whose masker; None is the default engine's.

        Raises:
            InputError: the photo cannot be used, the part is unknown, or the photo does not show it.
        """
        cards = self.cards
        part, name = check_mask_options(cards, part=part, engine=engine)
        photo = open_picture(person, what="person photo", limits=self._limits)
        with sentences():
            return self._masker_of(cards[name])(photo, part)

    def _screened(self, photo: Image.Image, garment: Image.Image, track: Progress) -> Screened:
        """Both photos, asked about before anything is made of them.

        By the built-in masker for every engine, as the check is measured with it; it remembers what it saw in a photo.
        """
        if not self._moderation.on:
            return Screened()
        with track.stage("screen", preview=photo):
            return self._moderation.screen(photo, garment, parse=self._masker.parse)

    def _region(self, photo: Image.Image, drawn: np.ndarray | None, options: Options) -> Region:
        """What may change: what was drawn; else what the engine's masker finds, or all a mask-free engine sees."""
        if drawn is not None:
            return drawn_region(self._masker, photo, drawn)
        if options.card.mask_free:
            return whole_region(self._masker, photo, size=options.size)
        return find_region(self._masker_of(options.card), photo, options.part, fitted=options.card.placement)


def _generator(seed: int) -> Any:
    """A request's only source of chance. On the CPU for every device: one seed, one start."""
    import torch

    return torch.Generator("cpu").manual_seed(seed)
