"""What `bench --write` leaves for readers."""

import json

from catvton.bench import machine, markdown
from catvton.commands import bench

FIGURES = {
    "machine": machine(), "engine": "tiny@0", "size": [48, 64], "steps": 3, "guidance": 2.5, "photo": [90, 150],
    "repeat": 2, "load_seconds": 1.25, "seconds": 0.75,
    "stages": {"mask": {"seconds": 0.25, "peak_mb": 300}, "generate": {"seconds": 0.5, "peak_mb": None}},
}  # fmt: skip


def test_the_page_names_machine_engine_photo_and_every_stage():
    page = markdown(FIGURES)
    assert FIGURES["machine"]["torch"] in page and f"{FIGURES['machine']['cores']} cores" in page
    assert "tiny@0 at 48x64, 3 steps, guidance 2.5" in page
    assert "photo of 90x150; median of 2 runs; loading took 1.2 s" in page
    assert "| mask | 0.25 | 300 |\n| generate | 0.50 |  |\n| all | 0.75 | |\n" in page


def test_both_files_are_written_from_one_measurement(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "measure", lambda *_, **__: dict(FIGURES))
    parser = bench.argparse.ArgumentParser()
    bench.add_arguments(parser)
    out = tmp_path / "new" / "bench.json"
    assert bench.run(parser.parse_args(["--write", str(out), "--person", "p.png", "--garment", "g.png"])) == 0
    assert markdown(json.loads(out.read_text())) == out.with_suffix(".md").read_text()
    assert "tiny@0" in capsys.readouterr().out
