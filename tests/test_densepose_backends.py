"""The real Detectron2 behind the same face, with a stand-in for it: what it is asked, what is made of its answers."""

from __future__ import annotations

import json
import pickle
import textwrap
from pathlib import Path

import numpy as np
import pytest

from densepose import BackendMissing, DensePose, DensePoseError, load
from densepose.compare import compare, main
from densepose.detectron2_backend import INSTALL, Detectron2DensePose
from densepose.errors import WeightsFileError
from densepose.results import Instance
from tests import densepose_tiny as tiny

# Detectron2 and its DensePose project as far as the worker uses them. It finds what `found.npz` says, and notes what it
# was given.
FAKES = {
    "detectron2/__init__.py": "",
    "detectron2/engine/__init__.py": "",
    "detectron2/config.py": """
        class Node(dict):
            __setattr__ = dict.__setitem__
            def __getattr__(self, name):
                return self.setdefault(name, Node())
            def merge_from_file(self, path):
                self.file = path
        get_cfg = Node
    """,
    "detectron2/engine/defaults.py": """
        import json, os
        import numpy as np
        from pathlib import Path

        HERE = Path(__file__).parents[2]

        class Tensor:
            def __init__(self, values): self.values = values
            def numpy(self): return self.values

        class Boxes:
            def __init__(self, values): self.tensor = Tensor(values)
            def __getitem__(self, index): return Boxes(self.tensor.values[index])

        class Instances:
            def __init__(self, boxes, scores, densepose):
                self.pred_boxes, self.scores, self.pred_densepose = Boxes(boxes), Tensor(scores), densepose
            def __len__(self): return len(self.scores.values)
            def __getitem__(self, some):
                return Instances(self.pred_boxes.tensor.values[some], self.scores.values[some],
                                 self.pred_densepose[some])
            def to(self, device):
                assert device == "cpu"
                return self

        class DefaultPredictor:
            def __init__(self, cfg):
                (HERE / "cfg.json").write_text(json.dumps(cfg))
            def __call__(self, bgr):
                print("a line of log on the standard output")
                if (HERE / "die").exists():
                    os._exit(3)
                np.save(HERE / "seen.npy", bgr)
                with np.load(HERE / "found.npz") as found:
                    labels = [found[f"labels_{n}"] for n in range(len(found["scores"]))]
                    return {"instances": Instances(found["boxes"], found["scores"], labels)}
    """,
    "densepose/__init__.py": """
        def add_densepose_config(cfg):
            cfg.added = True
    """,
    "densepose/converters.py": """
        from detectron2.engine.defaults import Tensor

        class ToChartResultConverter:
            @staticmethod
            def convert(output, box):
                assert box.tensor.values.shape == (1, 4)
                result = ToChartResultConverter()
                result.labels = Tensor(output)
                return result
    """,
}


@pytest.fixture
def fake(tmp_path, monkeypatch) -> Path:
    """A folder with the stand-ins, on the search path of processes started from here."""
    root = tmp_path / "site"
    for name, text in FAKES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(textwrap.dedent(text))
    monkeypatch.setenv("PYTHONPATH", str(root))
    return root


@pytest.fixture
def folder(tmp_path) -> Path:
    return tiny.write_folder(tmp_path / "weights")


def says(fake: Path, boxes, scores, labels) -> None:
    """Let the stand-in find this."""
    maps = {f"labels_{n}": values for n, values in enumerate(labels)}
    np.savez(fake / "found.npz", boxes=np.array(boxes, np.float32).reshape(-1, 4), scores=np.array(scores), **maps)


def test_what_it_is_asked_and_what_it_answers(fake, folder):
    first, second = np.full((20, 10), 7, np.int64), np.full((5, 5), 23, np.int64)
    says(fake, [[4.9, 10.2, 15, 30.5], [0, 0, 5, 5]], [0.97, 0.9], [first, second])
    photo = tiny.photo()
    model = Detectron2DensePose.from_pretrained(folder, device="cuda:1", min_score=0.7)
    one, other = model.instances(photo)
    assert one.score == pytest.approx(0.97)
    assert one.box == pytest.approx((4.9, 10.2, 15, 30.5))
    expected = np.zeros((90, 60), np.uint8)
    expected[10:30, 4:14] = 7
    np.testing.assert_array_equal(one.labels, expected)
    assert one.labels.dtype == np.uint8
    assert other.labels.sum() == 23 * 25
    np.testing.assert_array_equal(model(photo), expected)
    assert len(model.instances(photo, at_most=1)) == 1
    np.testing.assert_array_equal(np.load(fake / "seen.npy"), np.asarray(photo)[:, :, ::-1])  # blue first
    cfg = json.loads((fake / "cfg.json").read_text())
    assert cfg["added"]
    assert cfg["file"] == str(folder / "tiny.yaml")
    assert cfg["MODEL"]["WEIGHTS"] == str(folder / "model_final_0.pkl")
    assert cfg["MODEL"]["DEVICE"] == "cuda:1"
    assert cfg["MODEL"]["ROI_HEADS"]["SCORE_THRESH_TEST"] == 0.7
    model.close()


def test_nobody_and_large_photos(fake, folder):
    says(fake, [], [], [])
    model = Detectron2DensePose.from_pretrained(folder)
    assert model.instances(tiny.photo()) == ()
    assert not model(tiny.photo()).any()
    says(fake, [[512, 0, 600, 1024]], [0.9], [np.full((1024, 88), 3)])
    (person,) = model.instances(tiny.photo(2048, 4096))
    assert np.load(fake / "seen.npy").shape == (1024, 512, 3)
    assert person.box == (2048, 0, 2400, 4096)
    assert person.labels.shape == (4096, 2048)
    model.close()


def test_it_is_not_installed(fake, folder):
    (fake / "detectron2" / "config.py").write_text("raise ImportError('no module named fvcore')")
    with pytest.raises(BackendMissing, match="no module named fvcore") as error:
        Detectron2DensePose.from_pretrained(folder)
    assert INSTALL in str(error.value)
    assert "requirements-detectron2.txt" in INSTALL


def test_its_python_is_not_there(folder):
    with pytest.raises(BackendMissing, match="nowhere/python cannot be started"):
        Detectron2DensePose.from_pretrained(folder, python="nowhere/python")


def test_its_process_dies(fake, folder):
    says(fake, [], [], [])
    model = Detectron2DensePose.from_pretrained(folder)
    (fake / "die").touch()
    for _ in range(2):
        with pytest.raises(BackendMissing, match="process has ended"):
            model(tiny.photo())


def test_a_malicious_file_is_not_handed_on(fake, folder):
    (folder / "model_final_0.pkl").write_bytes(pickle.dumps({"model": {"w": Path("x")}}, protocol=2))
    with pytest.raises(WeightsFileError, match="asks for pathlib"):
        Detectron2DensePose.from_pretrained(folder)
    assert not (fake / "cfg.json").exists()


def test_the_setting_chooses(fake, folder):
    says(fake, [], [], [])
    theirs = load(folder, backend="detectron2", min_score=0.7)
    assert isinstance(theirs, Detectron2DensePose)
    theirs.close()
    ours = load(folder, min_score=0.6, device="cpu")
    assert isinstance(ours, DensePose)
    assert ours.min_score == 0.6
    with pytest.raises(
        DensePoseError, match=r'Unknown DensePose backend "tensorflow": choose one of torch, detectron2'
    ):
        load(folder, backend="tensorflow")


def person(box, score, labels) -> Instance:
    return Instance(box, score, np.array(labels, np.uint8))


def test_two_people_compared():
    ours = [person((0, 0, 10, 10), 0.9, [[1, 1, 0, 2]]), person((5, 5, 6, 6), 0.8, [[0, 0, 0, 0]])]
    theirs = [person((0, 0.5, 10, 9.9), 0.85, [[1, 3, 4, 2]]), person((5, 5, 6, 6), 0.8, [[0, 0, 0, 0]])]
    first, second = compare(ours, theirs)
    assert (first.box, first.score, first.agreement) == (0.5, pytest.approx(0.05), 0.5)
    assert (second.box, second.score, second.agreement) == (0, 0, 1)


@pytest.fixture
def photo_file(tmp_path) -> str:
    tiny.photo().save(tmp_path / "photo.png")
    return str(tmp_path / "photo.png")


def agree(fake: Path, folder: Path) -> None:
    """Let the stand-in find what this package finds."""
    people = DensePose.from_pretrained(folder, min_score=0.6).instances(tiny.photo())
    labels = [one.labels[int(one.box[1]) :, int(one.box[0]) :] for one in people]
    says(fake, [one.box for one in people], [one.score for one in people], labels)


def test_the_check_by_hand(fake, folder, photo_file, capsys):
    agree(fake, folder)
    assert main([photo_file, str(folder), "--min-score", "0.6"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "people: 20 here, 20 by Detectron2"
    assert lines[1] == "1: box 0.000 px apart, score 0.000000 apart, 100.0000% of pixels alike"
    assert len(lines) == 21


def test_the_check_by_hand_fails_where_they_differ(fake, folder, photo_file, capsys):
    says(fake, [[0, 0, 10, 10]], [0.9], [np.full((10, 10), 5)])
    assert main([photo_file, str(folder), "--min-score", "0.6"]) == 1
    assert "people: 20 here, 1 by Detectron2" in capsys.readouterr().out


def test_the_check_by_hand_without_detectron2(fake, folder, photo_file, capsys):
    (fake / "detectron2" / "config.py").write_text("raise ImportError('no fvcore')")
    assert main([photo_file, str(folder)]) == 2
    assert INSTALL in capsys.readouterr().err
