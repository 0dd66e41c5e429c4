"""What the page and the API do, without a browser and without gradio."""

import base64
import logging
import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from catvton.errors import Cancelled, InputError
from catvton.images import png_bytes
from catvton.result import TryOnRequest
from catvton.web.painting import painted_mask
from catvton.web.previews import Moment
from catvton.web.studio import Choices, Made, Studio
from catvton.web.tempfolder import TempFolder
from catvton.web.texts import Texts
from catvton.web.wishes import OUTFIT, Skipped
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
    *moments, made = studio.dress("me", Choices(part="upper", steps=3, seed=7))
    assert all(isinstance(moment, Moment) for moment in moments) and moments[-1].step == 3
    assert isinstance(made, Made) and made.look.info["seed"] == 7
    file = studio.download("me", made.number)
    result, photo = np.asarray(Image.open(file)), np.asarray(person_picture())
    assert file.name == "try-on-7.png" and result.shape == photo.shape and (result[:100] == photo[:100]).all()
    comparison = np.asarray(Image.open(studio.download("me", made.number, show="input & result")))
    assert comparison.shape == (400, 300 * 3 + 2 * 8, 3)
    assert (comparison[:, :300] == photo).all() and (comparison[:, -300:] == result).all()


def painted(number, box=(10, 300, 60, 390)):
    return f"{number} data:image/png;base64,{base64.b64encode(layer((300, 400), box)).decode()}"


def test_what_is_painted_wins_over_the_automatic_mask(studio):
    chosen(studio)
    number = studio.paint_on("me").number
    *_, made = studio.dress("me", Choices(part="upper", painted=painted(number)))
    changed = (np.asarray(made.look.image()) != np.asarray(person_picture())).any(-1)
    rows, columns = np.nonzero(changed)
    assert rows.min() >= 300 and columns.max() < 60


def test_strokes_of_another_sheet_or_another_photo_or_for_an_outfit_do_not_count(studio):
    chosen(studio)
    studio.choose("me", "below", upload(studio, garment_picture((0, 9, 0)), "below.png"))
    number = studio.paint_on("me").number
    list(studio.dress("me", Choices(part="upper", painted=painted("another"))))
    list(studio.dress("me", Choices(part=OUTFIT, painted=painted(number))))
    studio.choose("me", "person", upload(studio, person_picture(), "again.png"))
    list(studio.dress("me", Choices(part="upper", painted=painted(number))))
    assert [request.mask for request in studio.tryon.requests] == 4 * [None]


def test_a_person_is_laid_out_to_paint_on_once(studio):
    with pytest.raises(InputError, match="person"):
        studio.paint_on("me")
    chosen(studio)
    canvas = studio.paint_on("me")
    assert canvas.size == (300, 400) and canvas.layer is None and studio.sheet("me").part is None
    assert studio.paint_on("me") is None
    studio.choose("me", "garment", upload(studio, garment_picture((0, 9, 0)), "other.png"))
    assert studio.paint_on("me") is None
    studio.choose("me", "person", upload(studio, person_picture((90, 120)), "b.png"))
    assert studio.sheet("me") is None
    assert studio.paint_on("me").size == (90, 120)


def test_the_area_is_the_try_ons_own_and_lies_on_the_photo(studio):
    chosen(studio)
    canvas = studio.show_area("me", part="lower", engine=None)
    shown = painted_mask(canvas.layer, size=(300, 400))
    assert np.array_equal(shown, studio.tryon.mask(person_picture(), "lower").mask)
    assert studio.sheet("me").part == "lower" and studio.sheet("me").number == canvas.number
    with pytest.raises(InputError, match="No person"):
        studio.choose("me", "person", upload(studio, Image.new("RGB", (300, 400), "teal"), "flat.png"))
        studio.show_area("me", part="upper", engine=None)


def test_several_garments_one_by_one_and_one_that_fails_spoils_nothing(studio):
    chosen(studio)
    studio.add_garments("me", [str(upload(studio, garment_picture((0, 200, 0)), "more.png"))])
    assert studio.wished("me", Choices(part="upper", variations=3)) == 6
    studio.tryon.refuses = {1: InputError("Not this one.", code="garment.bad")}
    *_, made, skipped = studio.dress("me", Choices(part="upper"))
    assert isinstance(made, Made) and isinstance(skipped, Skipped) and skipped.run == 1
    studio.tryon.refuses = {3: InputError("Nor this.", code="x.y"), 4: InputError("Nor that.", code="x.y")}
    with pytest.raises(InputError, match="Nor this"):
        list(studio.dress("me", Choices(part="upper")))


def test_there_is_room_for_five_further_garments_and_what_is_removed_makes_room(studio):
    files = [str(upload(studio, garment_picture((number, 0, 0)), f"{number}.png")) for number in range(7)]
    with pytest.raises(InputError) as caught:
        studio.add_garments("me", files[:6])
    assert caught.value.code == "garment.full" and len(studio.more_garments("me")) == 5
    studio.remove_garment("me", 3)
    studio.add_garments("me", files[6:])
    assert list(studio.more_garments("me")) == [1, 2, 4, 5, 6]
    assert not any(path.exists() for path in map(type(studio.folder.path), files))


def test_an_outfit_puts_the_bottom_on_each_variation_of_the_top_with_its_seed(studio):
    chosen(studio)
    with pytest.raises(InputError, match="below"):
        list(studio.dress("me", Choices(part=OUTFIT)))
    studio.choose("me", "below", upload(studio, garment_picture((0, 9, 90)), "below.png"))
    items = list(studio.dress("me", Choices(part=OUTFIT, variations=2, seed=5)))
    made = [item.look for item in items if isinstance(item, Made)]
    assert [look.info["seed"] for look in made] == [5, 6, 5, 6]
    assert [len(look.garments) for look in made] == [1, 1, 2, 2] and {look.part for look in made} == {OUTFIT}
    assert [request.person for request in studio.tryon.requests[1:]] == [look.picture.data for look in made[:2]]
    area = np.asarray(Image.open(BytesIO(made[2].mask.data)))
    assert area[150, 150] and area[250, 150]  # what either may have changed


def test_leaving_forgets_the_pictures(studio):
    chosen(studio)
    *_, made = studio.dress("me", Choices(part="upper"))
    studio.leave("me")
    assert len(studio.shelf) == 0
    with pytest.raises(InputError, match="Try it on"):
        studio.download("me", made.number)


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
    ("person.missing", "There is no person yet: choose a photo of a person first.", "person"),
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
