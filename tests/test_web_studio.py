"""What the page and the API do, without a browser and without gradio."""

import logging
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from catvton.engines import StepReport
from catvton.errors import Cancelled, InputError
from catvton.images import png_bytes
from catvton.result import TryOnRequest
from catvton.web.painting import Painted
from catvton.web.studio import Choices, Done, Studio
from catvton.web.tempfolder import TempFolder
from catvton.web.texts import Texts
from tests.web_fakes import FakeTryOn, garment_picture, layer, person_picture


@pytest.fixture
def studio(tmp_path):
    folder = TempFolder(tmp_path)
    yield Studio(tryon=FakeTryOn(), folder=folder, texts=Texts.read())
    folder.close()


def upload(studio, picture, name="photo.png"):
    path = studio.folder.path / f"up-{name}"
    path.write_bytes(png_bytes(picture))
    studio.folder.uploads.update([str(path)])
    return path


def chosen(studio, session="me", size=(300, 400)):
    studio.choose(session, "person", upload(studio, person_picture(size)))
    studio.choose(session, "garment", upload(studio, garment_picture(), "garment.png"))


def test_a_chosen_picture_comes_back_as_a_checked_upright_small_copy(studio, tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    path = studio.folder.path / "turned.jpg"
    person_picture((1600, 1200)).save(path, exif=turned)
    copy = Image.open(studio.choose("me", "person", path))
    assert copy.size == (576, 768) and copy.format == "PNG" and not copy.getexif()


def test_a_picture_that_cannot_be_used_takes_the_place_of_none(studio):
    chosen(studio)
    bad = studio.folder.path / "bad.png"
    bad.write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    with pytest.raises(InputError, match="person photo"):
        studio.choose("me", "person", bad)
    with pytest.raises(InputError, match="choose a photo of a person"):
        list(studio.dress("me", Choices(part="upper")))


def test_dressing_reports_steps_and_ends_with_exact_pixels(studio):
    chosen(studio)
    *reports, done = studio.dress("me", Choices(part="upper", steps=3, seed=7, show="input & result"))
    assert all(isinstance(report, StepReport) for report in reports) and reports[-1].step == 3
    assert isinstance(done, Done) and done.info["seed"] == 7
    shown = np.asarray(Image.open(done.path))
    assert shown.shape == (400, 300 * 3 + 2 * 8, 3)
    assert np.array_equal(shown[:, :300], np.asarray(person_picture()))
    again = studio.download("me")
    assert again != done.path and again.read_bytes() == done.path.read_bytes() and again.name == "try-on-7.png"


def test_what_is_painted_wins_over_the_automatic_mask(studio):
    chosen(studio)
    files = [studio.folder.path / name for name in ("layer.png", "background.png", "composite.png")]
    for path in files:
        path.write_bytes(layer((300, 400), (10, 300, 60, 390)))
    painted = Painted(layers=(str(files[0]),), rest=(str(files[1]), str(files[2])))
    *_, done = studio.dress("me", Choices(part="upper", painted=painted))
    assert not any(path.exists() for path in files)
    changed = (np.asarray(Image.open(done.path)) != np.asarray(person_picture())).any(-1)
    rows, columns = np.nonzero(changed)
    assert rows.min() >= 300 and columns.max() < 60


def test_the_painter_is_given_its_photo_once_per_person(studio):
    with pytest.raises(InputError, match="person"):
        studio.paint_on("me")
    chosen(studio)
    assert Image.open(studio.paint_on("me")).size == (300, 400)
    assert studio.paint_on("me") is None
    studio.choose("me", "garment", upload(studio, garment_picture((0, 9, 0)), "other.png"))
    assert studio.paint_on("me") is None
    studio.choose("me", "person", upload(studio, person_picture((90, 120)), "b.png"))
    assert Image.open(studio.paint_on("me")).size == (90, 120)


def test_leaving_forgets_the_pictures(studio):
    chosen(studio)
    list(studio.dress("me", Choices(part="upper")))
    studio.leave("me")
    assert len(studio.shelf) == 0
    with pytest.raises(InputError, match="Try it on"):
        studio.download("me")


def test_closing_stops_the_model_without_making_the_closer_wait(studio):
    chosen(studio)
    studio.tryon.gate.clear()
    run = studio.dress("me", Choices(part="upper", steps=50))
    next(run)
    run.close()  # returns although the step has not ended
    assert not studio.tryon.ended.is_set()
    studio.tryon.gate.set()
    assert studio.tryon.ended.wait(30)
    assert studio.tryon.steps_done == 1


def test_an_api_request_leaves_no_upload_behind_whatever_happens(studio):
    paths = [upload(studio, person_picture()), upload(studio, garment_picture(), "g.png")]
    with pytest.raises(InputError, match="mask"):
        studio.receive(person={"path": str(paths[0])}, mask="nonsense", garment={"path": str(paths[1])})
    assert not any(path.exists() for path in paths)
    with pytest.raises(InputError, match="garment photo is missing"):
        studio.receive(garment=None, mask=None)


def test_an_api_request_is_answered_with_a_file_of_exact_pixels(studio):
    request = TryOnRequest(person=png_bytes(person_picture()), garment=png_bytes(garment_picture()), seed=3)
    *reports, (path, info) = studio.answer_tryon(request)
    assert reports and info["seed"] == 3 and path.name == "try-on-3.png"
    assert np.array_equal(np.asarray(Image.open(path))[:100], np.asarray(person_picture())[:100])


@pytest.mark.parametrize(("code", "sentence", "place"), [
    ("image.broken", "The person photo is damaged.", "person"),
    ("image.broken", "The garment photo is damaged.", "garment"),
    ("person.not_found", "No person.", "person"),
    ("part.not_visible", "No trousers.", "person"),
    ("mask.full", "The mask covers everything.", "mask"),
    ("option.steps", "Steps 0 is not possible.", "run"),
    ("person.missing", "There is no person yet.", "person"),
])
def test_an_error_belongs_where_it_happened(studio, code, sentence, place):
    trouble = studio.trouble(InputError(sentence, code=code))
    assert (trouble.sentence, trouble.place, trouble.stopped) == (sentence, place, False)


def test_a_fault_of_ours_is_logged_under_the_number_its_reader_is_told(studio, caplog):
    with caplog.at_level(logging.ERROR):
        trouble = studio.trouble(ZeroDivisionError("/secret/path"))
    number = caplog.records[0].args[0]
    assert number in trouble.sentence and "secret" not in trouble.sentence
    assert caplog.records[0].exc_info
    assert studio.trouble(Cancelled("x")).stopped


def test_only_the_web_package_needs_gradio_and_only_once_it_serves():
    code = "import sys, catvton.web, catvton.web.server, catvton.web.studio; print('gradio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
