"""`evaluate compare`'s page in a real browser: opened from disk it asks nobody, and it fits a phone."""

import json

import pytest
from PIL import Image

from catvton.evaluation.compare import compare
from catvton.evaluation.compare_folders import read_folders
from catvton.evaluation.compare_page import as_page
from catvton.evaluation.published import read_published


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    root = tmp_path_factory.mktemp("compare")
    folder = root / "a-folder-of-results-with-a-rather-long-name"
    folder.mkdir()
    protocol = {"dataset": "vitonhd", "paired": True, "engine": "compact@2", "size": [288, 384], "repaint": False}
    each = {"00006_00": {"ssim": 0.9, "lpips": 0.04}, "00008_00": {"ssim": 0.7, "lpips": 0.2}}
    scores = {"images": 2, "ssim": 0.8, "lpips": 0.12, "fid": 14.0, "kid": 6.0, "fid_interval": [13, 15], "each": each}
    (folder / "protocol.json").write_text(json.dumps(protocol))
    (folder / "scores.json").write_text(json.dumps(scores))
    Image.new("RGB", (30, 40), "teal").save(folder / "00006_00.jpg")
    folders = read_folders([folder])
    file = root / "compare.html"
    file.write_text(as_page(compare(folders, read_published(), keys=[("vitonhd", True)]), folders), encoding="utf-8")
    return file


def test_the_page_opens_from_disk_and_fits_the_screen(chromium, page_file, screen):
    context = chromium.new_context(**screen.context)
    page = context.new_page()
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda line: said.append(line.text))
    page.goto(page_file.as_uri())
    assert [url for url in asked if not url.startswith("data:")] == [page_file.as_uri()] and said == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("document.images[0].naturalWidth") == 120
    widths = page.evaluate("[...document.querySelectorAll('.ours .bar')].map(bar => bar.getBoundingClientRect().width)")
    assert len(widths) == 4 and min(widths) > 10
    ink, paper = page.evaluate("(s => [s.color, s.backgroundColor])(getComputedStyle(document.body))")
    assert (ink, paper) == (("rgb(244, 242, 240)", "rgb(19, 18, 17)") if screen.dark else
                            ("rgb(29, 27, 25)", "rgb(244, 242, 240)"))  # fmt: skip
    context.close()
