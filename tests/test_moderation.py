"""What the moderation refuses is made into nothing, shown to nobody, kept nowhere, and counted."""

import logging
import threading
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from catvton.engines import PipelineEngine
from catvton.errors import WeightsError
from catvton.images import png_bytes
from catvton.masking import BuiltInMasker
from catvton.result import TryOnRequest
from catvton.safety import Verdict
from catvton.safety.moderation import SENTENCES, Moderation, Refusals, Refused, refusals
from catvton.safety.undress import UndressChecker
from catvton.service.codes import CODES
from catvton.settings import Settings
from catvton.startup import parts
from catvton.training.figures import render_figure
from catvton.training.figures_style import Style
from catvton.tryon import TryOn
from catvton.web.texts import Texts
from tests import tiny
from tests.rest_client import door, problem
from tests.test_watermark_tryon import Notebook


def same(a: Image.Image, b: Image.Image) -> bool:
    return a.size == b.size and np.array_equal(np.asarray(a), np.asarray(b))


class Eye:
    """In place of the embedded check: flags what it is told to."""

    def __init__(self, flags: Callable[[Image.Image], bool]) -> None:
        self._flags, self.looked = flags, []

    def look(self, image, parse=None):
        self.looked.append(image)
        return parse(image) if parse else None

    def look_for_wearer(self, image):
        return self.look(image)

    def judge(self, image, seen):
        flagged = self._flags(image)
        return Verdict(flagged=flagged, scores={"bare": 0.25}, hits=("bare",) if flagged else ())


class Everything:
    """A classifier that flags all, or nothing."""

    def __init__(self, flags: bool) -> None:
        self._flags = flags

    def check(self, images):
        return [Verdict(flagged=self._flags, scores={"nsfw": 0.1}, hits=("nsfw",) * self._flags) for _ in images]


def dresser(flags: Callable[[Image.Image], bool] | None = None, **options) -> tuple[TryOn, Refusals]:
    """A try-on whose moderation flags those pictures, and what it counted."""
    counted, masker = Refusals(), options.pop("masker", tiny.TinyMasker())
    safety = options.pop("safety", None)
    recorder = options.pop("recorder", None)
    moderation = Moderation(undress=Eye(flags) if flags else None, counted=counted, **options)
    made = TryOn([tiny.tiny_engine()], masker, moderation=moderation, safety=safety, recorder=recorder)
    return made, counted


def request(**changes) -> TryOnRequest:
    return TryOnRequest(**({"person": tiny.person(), "garment": tiny.garment(), "steps": 2} | changes))


def is_person(image):
    return same(image, tiny.person())


def is_garment(image):
    return same(image, tiny.garment())


def is_made(image):
    return not is_person(image) and not is_garment(image)


def refusal(call: Callable[[], object]) -> Refused:
    with pytest.raises(Refused) as caught:
        call()
    assert str(caught.value) == SENTENCES[caught.value.code]
    return caught.value


# ---- the photos ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("flags", "code"), [(is_person, "moderation.person"), (is_garment, "moderation.garment")])
@pytest.mark.parametrize("mask", [None, tiny.mask()], ids=["automatic", "drawn"])
def test_a_refused_photo_ends_the_run_before_any_work(monkeypatch, flags, code, mask):
    class Idle(tiny.TinyMasker):
        def __call__(self, image, part):
            pytest.fail("it masked")

    monkeypatch.setattr(PipelineEngine, "generate", lambda *args, **options: pytest.fail("it generated"))
    notebook = Notebook()
    tryon, counted = dresser(flags, masker=Idle(), recorder=notebook)
    stages = []
    error = refusal(lambda: tryon.run(request(mask=mask), on_step=lambda report: stages.append(report.stage)))
    assert error.code == code and stages == ["screen"]
    assert counted.counts() == dict.fromkeys(SENTENCES, 0) | {code: 1}
    (job,) = notebook.jobs
    assert (job.outcome, job.pictures, notebook.pictures) == (f"refused {code}", 0, [[]])


def test_what_passes_is_the_same_as_without_the_check():
    plain, (tryon, counted) = tiny.tiny_tryon().run(request()), dresser(lambda image: False)
    result = tryon.run(request())
    assert same(result.image, plain.image) and result.flags == () and result.notes == plain.notes
    assert list(result.seconds) == ["open", "screen", *list(plain.seconds)[1:], "check"]
    assert sum(counted.counts().values()) == 0


def test_each_picture_of_a_run_is_parsed_once(monkeypatch):
    """The person's parse is the masker's own: it is asked for by the check first, and then remembered."""
    import model.automasker as automasker

    parsed, parse_photo = [], automasker.parse_photo

    def counted(parser, photo):
        parsed.append(photo)
        return parse_photo(parser, photo)

    monkeypatch.setattr(automasker, "parse_photo", counted)
    photo = Image.fromarray(render_figure(np.random.default_rng(3), size=(192, 256), style=Style()).image)
    moderation = Moderation.from_settings(Settings(moderation="on", device="cpu"), service=False)
    tryon = TryOn([tiny.tiny_engine()], BuiltInMasker(device="cpu"), moderation=moderation)
    result = tryon.run(request(person=photo))
    assert sum(same(each, photo) for each in parsed) == 1
    assert len(parsed) == 3  # and the garment, and the frame of the result
    tryon.run(request(person=photo, part="overall"))
    assert sum(same(each, photo) for each in parsed) == 1
    assert result.flags == ()


# ---- results and previews --------------------------------------------------------------------------------------------


def test_a_refused_result_is_not_handed_out():
    tryon, counted = dresser(is_made)
    for variations in (1, 3):
        assert refusal(lambda count=variations: tryon.run(request(variations=count))).code == "moderation.result"
    assert counted.counts()["moderation.result"] == 4


def test_only_the_refused_variations_are_withheld():
    plain = tiny.tiny_tryon().run(request(variations=3))
    calls = []

    def second(image):
        if is_made(image) and image.size == tiny.SIZE:  # a result's frame; previews are of the photo's size
            calls.append(image)
            return len(calls) == 2
        return False

    tryon, counted = dresser(second)
    result = tryon.run(request(variations=3))
    assert result.seeds == (42, 44) and result.flags == ("withheld:1",)
    assert all(same(a, b) for a, b in zip(result.images, (plain.images[0], plain.images[2]), strict=True))
    assert counted.counts()["moderation.result"] == 1


@pytest.mark.parametrize("flagged", [True, False])
def test_half_made_pictures_are_shown_only_if_the_check_lets_them(flagged):
    tryon, _ = dresser(lambda image: flagged and is_made(image) and image.size == tiny.person().size)
    shown = []
    tryon.run(request(), on_step=lambda report: shown.append((report.stage, report.step, report.preview())))
    halves = [preview for stage, step, preview in shown if stage == "generate" and step]
    assert len(halves) == 2 and all(same(half, tiny.person()) == flagged for half in halves)


def test_no_picture_is_parsed_for_a_preview():
    tryon, _ = dresser(lambda image: False)
    eye = tryon._moderation.undress
    tryon.run(request(), on_step=lambda report: report.preview())
    assert len(eye.looked) == 3  # person, garment, result


def test_a_classifier_is_asked_too_and_leaves_no_previews():
    tryon, counted = dresser(lambda image: False, classifier=lambda: Everything(False))
    shown = []
    tryon.run(request(), on_step=lambda report: shown.append(report.preview()))
    assert all(is_person(preview) for preview in shown)
    tryon, counted = dresser(classifier=lambda: Everything(True))
    assert refusal(lambda: tryon.run(request())).code == "moderation.person"
    assert counted.counts()["moderation.person"] == 1


def test_an_engines_own_checker_is_still_asked():
    from catvton.errors import ResultWithheld

    tryon, counted = dresser(lambda image: False, safety=lambda card: Everything(True))
    with pytest.raises(ResultWithheld):
        tryon.run(request())
    assert counted.counts()["moderation.result"] == 1


def test_a_check_that_cannot_judge_passes_nothing(monkeypatch):
    def broken():
        raise WeightsError("The image classifier lacks config.json.")

    monkeypatch.setattr(PipelineEngine, "generate", lambda *args, **options: pytest.fail("it generated"))
    tryon, _ = dresser(classifier=broken)
    for call in (lambda: tryon.run(request()), tryon.load):
        with pytest.raises(WeightsError, match=r"lacks config\.json"):
            call()


# ---- counting --------------------------------------------------------------------------------------------------------


def test_the_log_has_what_was_hit_and_no_picture(caplog):
    tryon, _ = dresser(is_person)
    with caplog.at_level(logging.DEBUG, logger="catvton"):
        refusal(lambda: tryon.run(request()))
    said = [record.getMessage() for record in caplog.records]
    assert "refused: moderation.person for bare" in said and not any("Image" in line for line in said)


def test_counts_hold_with_many_threads_and_the_classifier_is_read_once():
    counted, read, found = Refusals(), [], []
    moderation = Moderation(classifier=lambda: read.append(1) or Everything(False), counted=counted)

    def work():
        found.append(moderation.classifier())
        for _ in range(500):
            counted.add("moderation.garment")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert counted.counts()["moderation.garment"] == 4000
    assert len(read) == 1 and len(found) == 8 and len({id(checker) for checker in found}) == 1
    with pytest.raises(ValueError, match=r"moderation\.hat"):
        counted.add("moderation.hat")


def test_many_threads_get_the_verdict_of_one():
    bare = Image.fromarray(
        render_figure(np.random.default_rng(3), size=(192, 256), style=Style(top=None, bottom=None)).image
    )
    checker, verdicts = UndressChecker(BuiltInMasker(device="cpu").parse), []
    alone = checker.check([bare])[0]
    threads = [threading.Thread(target=lambda: verdicts.extend(checker.check([bare]))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert alone.flagged and verdicts == [alone] * 4


def test_the_rest_door_says_it_and_the_figures_count_it():
    moderation = Moderation(undress=Eye(is_person))
    before = refusals.counts()["moderation.person"]
    tryon = TryOn([tiny.tiny_engine()], tiny.TinyMasker(), moderation=moderation)
    files = {"person": ("p.png", png_bytes(tiny.person())), "garment": ("g.png", png_bytes(tiny.garment()))}
    with door(tryon) as rest:
        said = problem(rest.client.post("/v1/tryon", files=files), 422)
        assert (said["code"], said["message"]) == ("moderation.person", SENTENCES["moderation.person"])
        figures = rest.get("/metrics").text
    assert 'catvton_refusals_total{code="moderation.person"} 1.0' in figures
    assert f'catvton_refused_pictures{{code="moderation.person"}} {before + 1}.0' in figures


def test_every_code_is_explained_and_spoken_in_both_languages():
    indonesian = Texts.read("id")
    for code, sentence in SENTENCES.items():
        assert code in CODES and Texts.read("en").of_error(Refused(code)) == sentence
        assert indonesian.of_error(Refused(code)) != sentence


# ---- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("moderation", "service", "on"), [
    ("auto", True, True), ("auto", False, False), ("on", False, True), ("off", True, False),
])  # fmt: skip
def test_it_is_on_where_others_are_served_unless_the_settings_say_otherwise(tmp_path, moderation, service, on):
    made = parts(Settings(moderation=moderation, records_days=0, data_dir=tmp_path, device="cpu"), service=service)
    assert made["moderation"].on is on


def test_off_means_nothing_is_asked():
    moderation = Moderation.from_settings(Settings(moderation="off", moderation_model="owner/name"), service=True)
    assert not moderation.on and moderation.classifier() is None
    assert moderation.results(lambda card: None)(tiny.CARD) is None
