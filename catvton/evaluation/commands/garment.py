"""`python -m catvton evaluate garment`: does a print survive, and is the seam between skin and cloth natural?"""

from __future__ import annotations

import argparse
from typing import Any

from catvton.errors import InputError
from catvton.evaluation import study

SUMMARY = "does a print survive, and is the garment's edge like a real one"
SIZE = (576, 768)  # of the person pictures
SHOWN = 12  # cases on the sheet
PRINTS = """T-shirts with a word on them are put on people. Ten words are looked for by their edges, in any size and a
little turned; the score is the best normalised cross-correlation, 1 being the same edges. "Right" is how often the
word that was printed scores highest of the ten: by chance 0.1. The shirt's own picture is as good as it can get, the
same without its word what chance gives. Where the row without the network equals the first, the placement alone is
measured. "Right" can be compared; the score falls with blur only at first, and not steadily."""
SEAMS = """How steep the lightness is (CIELAB, per pixel at 192x256) where the garment's edge is in the photo, as far as
it was made anew: in results of the paired protocol and in the untouched photos. The distance (Wasserstein) is between
the two mixtures of edges, 0 being the same. One half of the photos against the other is as good as it can get. An edge
that is real but lies some pixels off counts as a wrong one: the photo, moved, shows how much that costs, so a result's
distance is softness and place together. A flat colour pasted pixel by pixel into the true outline has its edges and no
shade, and comes out better than any result: the measure tells smeared edges from sharp ones, not pasted ones from real
ones."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    study.add_arguments(parser, limit=40)


def run(args: argparse.Namespace) -> int:
    """Dress, look, print."""
    study.check_arguments(args)
    if args.limit < 2:
        raise InputError("--limit 1 is not possible: at least 2 cases can be compared.", code="option.limit")
    from catvton.bench import machine
    from catvton.ccp import CCP
    from catvton.evaluation.bar import bar
    from catvton.evaluation.garment import edges, prints
    from catvton.evaluation.protocol import cases, samples
    from catvton.evaluation.subject import subject
    from catvton.evaluation.suite import spread
    from catvton.evaluation.unpaired import read_lists
    from catvton.evaluation.ways import WholePath, as_way
    from catvton.evaluation.words import words

    ccp, measured = CCP(args.data), subject(args.engine, folder=args.weights)
    generate, still, seen = WholePath(measured.tryon), WholePath(measured.network_off), []
    people = spread(read_lists().word_people, args.limit)
    printed = bar(words(ccp, generate, people, size=SIZE), "prints", len(people))
    found = prints(printed, words(ccp, still, people, size=SIZE))
    chosen = spread(cases(ccp), args.limit)
    ready = bar(samples(ccp, chosen, SIZE), "seams", len(chosen))
    seams = edges(ready, as_way(generate), still=as_way(still), on_case=lambda *pair: seen.append(pair))
    _write_sheet(args, [(sample.truth, made) for sample, made in spread(seen, SHOWN)])
    said = {"engine": measured.card.id, "machine": machine(), "prints": found.table(), "seams": seams.table()}
    print(study.hand_over(args, page(said), said))
    return 0


def _write_sheet(args: argparse.Namespace, seen: list[tuple[Any, Any]]) -> None:
    if args.out is None:
        return
    from PIL import Image

    from catvton.evaluation.sheets import sheet

    args.out.mkdir(parents=True, exist_ok=True)
    rows = [[Image.fromarray(picture) for picture in pair] for pair in seen]
    sheet(rows, heads=("photo", "result")).save(args.out / "seams.png")


def page(said: dict[str, Any]) -> str:
    """The study in Markdown."""
    from catvton.bench import machine_lines

    keys = ("results", "right", "score", "others")
    prints = [[name, *(row[key] for key in keys)] for name, row in said["prints"].items()]
    medians = said["seams"]["median"]
    seams = [[name, medians.get(name), value] for name, value in said["seams"]["distance"].items()]
    return "\n".join(
        [
            f"# Prints and seams: {said['engine']}\n",
            "## Does a print survive?\n",
            PRINTS,
            "",
            study.table(["", "results", "right", "score", "best other word"], prints),
            "\n## Is the seam natural?\n",
            SEAMS,
            f"{said['seams']['cases']} cases; the photos' own median is {medians['photo']:.3f}.",
            "",
            study.table(["", "median", "distance from the photos"], seams),
            "",
            *machine_lines(said["machine"]),
            "",
        ]
    )
