"""What is asked of which picture, and when: the person photo and the garment photo before any work, then each result.

One question, "may this picture be used, or shown?", is put to every check that is on: the embedded one
(`catvton.safety.undress`), an image classifier the operator chose (`catvton.safety.classifier`), and for results the
checker that comes with an engine (`catvton.safety.folders`). Refusals are counted and logged by the name of what was
hit; no picture is kept, and none is logged.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from catvton.errors import InputError
from catvton.safety import Checker, Verdict
from catvton.settings import wanted

if TYPE_CHECKING:
    from PIL import Image

    from catvton.cards import ModelCard
    from catvton.safety.undress import Seen, UndressChecker
    from catvton.settings import Settings

log = logging.getLogger(__name__)

SENTENCES = {
    "moderation.person": (
        "This person photo is not used: the check took it for one that shows somebody with little on. It can be "
        "mistaken. A photo of the person in everyday clothes, in even light, will do."
    ),
    "moderation.garment": (
        "This garment photo is not used: the check took it for one that shows somebody with little on. It can be "
        "mistaken. A photo of the garment alone will do."
    ),
    "moderation.result": (
        "The picture is not shown: the check took it for one that shows somebody with little on. It can be mistaken. "
        "Try another seed, another garment or another photo."
    ),
}


class Refused(InputError):
    """A picture a check would not let through. `code` is one of `SENTENCES`, and the text is its sentence."""

    def __init__(self, code: str) -> None:
        super().__init__(SENTENCES[code], code=code)


class Refusals:
    """How many pictures were refused since the start, by code; for any number of threads."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter(dict.fromkeys(SENTENCES, 0))
        self._lock = threading.Lock()

    def add(self, code: str, count: int = 1) -> None:
        """Raises ValueError for a code that is not of `SENTENCES`."""
        if code not in SENTENCES:
            raise ValueError(f"unknown code {code!r}; codes are {', '.join(SENTENCES)}")
        with self._lock:
            self._counts[code] += count

    def counts(self) -> dict[str, int]:
        """{code: pictures}, every code, those never refused too."""
        with self._lock:
            return dict(self._counts)


refusals = Refusals()  # of this process, for its metrics


class Moderation:
    """The checks that are on. Loads nothing until it is first asked; one object serves any number of threads.

    Args:
        undress: the embedded check; None leaves it out.
        classifier: reads the operator's image classifier, at first use and once; None: there is none.
        counted: where refusals are counted.
    """

    def __init__(
        self,
        *,
        undress: UndressChecker | None = None,
        classifier: Callable[[], Checker] | None = None,
        counted: Refusals = refusals,
    ) -> None:
        self.undress, self.counted = undress, counted
        self._read, self._classifier = classifier, None
        self._reading = threading.Lock()

    @classmethod
    def from_settings(cls, settings: Settings, *, service: bool) -> Moderation:
        """As the settings say; without any check where they say off.

        Args:
            service: whether it is for a service, which checks unless the settings say no, or for one's own pictures.
        """
        if not wanted(settings.moderation, service=service):
            return cls()
        from catvton.masking import BuiltInMasker
        from catvton.safety.undress import UndressChecker

        # A masker of its own: what it remembers of garments and results pushes no person out of the other's memory.
        looker = BuiltInMasker(device=settings.device)
        read = (lambda: _read_classifier(settings)) if settings.moderation_model else None
        return cls(undress=UndressChecker(looker.parse), classifier=read)

    @property
    def on(self) -> bool:
        """Whether anything is asked at all."""
        return self.undress is not None or self._read is not None

    def screen(
        self, person: Image.Image, garment: Image.Image, *, parse: Callable[[Image.Image], Seen] | None = None
    ) -> Screened:
        """Ask about both photos (PIL RGB) of a request, before anything is made of them.

        Args:
            parse: a parser that remembers, whose findings in the person photo are needed later anyway.

        Returns:
            What judges half-made pictures of this person.

        Raises:
            Refused: one of them is not to be used; an InputError.
            WeightsError: a check that is on is not able to judge.
        """
        seen = self._look(person, parse)
        self._ask("moderation.person", person, seen)
        self._ask("moderation.garment", garment, self.undress.look_for_wearer(garment) if self.undress else None)
        return Screened(self.undress, seen)

    def results(self, own: Callable[[ModelCard], Checker | None]) -> Callable[[ModelCard], Checker | None]:
        """`TryOn`'s `safety`: an engine's own checker, if it has one, together with the checks that are on.

        Args:
            own: tells an engine's own checker, as `catvton.safety.folders.StableDiffusionCheckers` does.
        """
        return lambda card: self._joined(own(card))

    def judge(self, picture: Image.Image) -> Verdict:
        """What the checks that are on think of one picture (PIL RGB) together."""
        return self._judge(picture, self._look(picture))

    def classifier(self) -> Checker | None:
        """The operator's classifier, read at first use. Raises WeightsError or SettingsError where it cannot judge."""
        with self._reading:
            if self._classifier is None and self._read is not None:
                self._classifier = self._read()
            return self._classifier

    def _ask(self, code: str, picture: Image.Image, seen: Seen | None) -> None:
        verdict = self._judge(picture, seen)
        if verdict.flagged:
            raise self.refused(code, verdict)

    def _look(self, picture: Image.Image, parse: Callable[[Image.Image], Seen] | None = None) -> Seen | None:
        return self.undress.look(picture, parse) if self.undress else None

    def _judge(self, picture: Image.Image, seen: Seen | None) -> Verdict:
        classifier = self.classifier()
        verdicts = [self.undress.judge(picture, seen)] if self.undress else []
        return joined(*verdicts, *(classifier.check([picture]) if classifier else ()))

    def _joined(self, own: Checker | None) -> Checker | None:
        if not self.on:
            return own
        self.classifier()  # what cannot be checked is not made
        return ResultChecker(self, own)

    def refused(self, code: str, *verdicts: Verdict) -> Refused:
        """The error for as many pictures, counted and logged."""
        self.counted.add(code, len(verdicts))
        for verdict in verdicts:
            log.info("refused: %s for %s", code, ", ".join(verdict.hits) or "no name")
        return Refused(code)


@dataclass(frozen=True)
class Screened:
    """A request whose photos may be used.

    Half-made pictures of it are judged by who was seen in the person photo: what is not under the mask, face and arms
    among it, is the same there, and no picture has to be parsed for a preview.
    """

    undress: UndressChecker | None = None
    seen: Seen | None = None

    def lets(self, half_made: Image.Image) -> bool:
        """Whether a half-made picture (PIL RGB, of the person photo's size) may be shown as a preview."""
        return self.undress is None or not self.undress.judge(half_made, self.seen).flagged


class ResultChecker:
    """A `catvton.safety.Checker` for results: an engine's own and the moderation's, whichever flags a picture.

    `previews`: whether half-made pictures may be shown if `Screened` lets them; where more than the embedded check is
    asked of results, they may not.
    """

    def __init__(self, moderation: Moderation, own: Checker | None = None) -> None:
        self._moderation, self._own = moderation, own
        self.previews = own is None and moderation.classifier() is None

    def check(self, images: Sequence[Image.Image]) -> list[Verdict]:
        """One verdict per picture (PIL RGB).

        Raises:
            Refused: all are flagged, and not by the engine's own checker alone, which `catvton.safety.sieve` words.
            WeightsError: a check is not able to judge.
        """
        theirs = self._own.check(images) if self._own else [CLEAN] * len(images)
        mine = [self._moderation.judge(image) for image in images]
        both = [joined(*pair) for pair in zip(theirs, mine, strict=True)]
        flagged = [verdict for verdict in both if verdict.flagged]
        if flagged:
            error = self._moderation.refused("moderation.result", *flagged)
            if len(flagged) == len(images) and not all(verdict.flagged for verdict in theirs):
                raise error
        return both


CLEAN = Verdict(flagged=False, scores=MappingProxyType({}))


def joined(*verdicts: Verdict) -> Verdict:
    """One verdict of several on the same picture: flagged if any is."""
    return Verdict(
        flagged=any(verdict.flagged for verdict in verdicts),
        scores=MappingProxyType({name: score for verdict in verdicts for name, score in verdict.scores.items()}),
        hits=tuple(hit for verdict in verdicts if verdict.flagged for hit in verdict.hits),
    )


def may_preview(checker: Checker | None) -> bool:
    """Whether half-made pictures may be shown at all where results are checked so."""
    return checker is None or (isinstance(checker, ResultChecker) and checker.previews)


def _read_classifier(settings: Settings) -> Checker:
    from catvton.devices import choose
    from catvton.safety.classifier import ImageClassifier

    device, dtype = choose(settings.device, "float32")
    return ImageClassifier.from_source(
        settings.moderation_model,
        unsafe=[label.strip() for label in settings.moderation_labels.split(",") if label.strip()],
        threshold=settings.moderation_threshold,
        token=settings.hf_token.get_secret_value() if settings.hf_token else None,
        device=device,
        dtype=dtype,
    )
