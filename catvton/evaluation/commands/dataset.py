"""`python -m catvton evaluate dataset`: whether a data set on disk is fit to be used, and what is wrong with it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from catvton.errors import InputError

if TYPE_CHECKING:
    from catvton.datasets import Fault
    from catvton.datasets.listed import ListedSet

SUMMARY = "check a data set: every missing, damaged or mismatched file by name"
EPILOG = """Without --paired or --unpaired both test lists are checked. Exit code 0: fit; 2: something has to be mended.
A harmless fault is named and does not count: missing masks can be made, pairs are made by name."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("set", choices=("vitonhd", "dresscode"), help="which data set it is")
    parser.add_argument("--root", required=True, type=Path, metavar="FOLDER", help="where it is")
    parser.add_argument("--split", choices=("test", "train"), default="test", help="which part of it (default: test)")
    lists = parser.add_mutually_exclusive_group()
    lists.add_argument("--paired", action="store_true", help="only everyone in their own garment")
    lists.add_argument("--unpaired", action="store_true", help="only everyone in another's garment")
    parser.add_argument(
        "--thorough", action="store_true", help="decode every photo, which finds those that are cut short"
    )
    parser.add_argument(
        "--truth", type=Path, metavar="FOLDER", help="also check a folder of real photos to take FID against"
    )
    parser.add_argument("--all", action="store_true", help="print every fault, not the first ten of each kind")
    parser.add_argument("--json", action="store_true", help="one JSON object on the output, for programs")


def run(args: argparse.Namespace) -> int:
    from catvton.datasets import DressCode, VitonHD
    from catvton.datasets.faults import fit

    source = {"vitonhd": VitonHD, "dresscode": DressCode}[args.set](args.root)
    faults = _faults(args, source)
    print(_json(args, source, faults) if args.json else _text(args, source, faults))
    return 0 if fit(faults) else 2


def _faults(args: argparse.Namespace, source: ListedSet) -> list[Fault]:
    from catvton.evaluation.bar import bar

    found = [
        fault
        for paired in _ways(args)
        for fault in source.check(args.split, paired=paired, thorough=args.thorough, watch=bar)
    ]
    return list(dict.fromkeys(found + _truth_faults(args.truth, source)))  # both lists name the same people


def _ways(args: argparse.Namespace) -> list[bool]:
    """Whether paired, for each list that is to be checked."""
    if args.paired or args.unpaired:
        return [args.paired]
    return [True] if args.split == "train" else [True, False]


def _truth_faults(folder: Path | None, source: ListedSet) -> list[Fault]:
    if folder is None:
        return []
    if not folder.is_dir():
        raise InputError(f"--truth {folder} is no folder.", code="option.truth")
    return source.check_truth(folder)


def _json(args: argparse.Namespace, source: ListedSet, faults: list[Fault]) -> str:
    from catvton.datasets.faults import fit

    rows = [
        {"kind": fault.kind, "path": str(fault.path), "message": fault.message, "harmless": fault.harmless}
        for fault in faults
    ]
    said = {"set": args.set, "split": args.split, "cases": _counts(args, source), "fit": fit(faults), "faults": rows}
    return json.dumps(said, indent=1)


def _text(args: argparse.Namespace, source: ListedSet, faults: list[Fault]) -> str:
    from catvton.datasets.faults import described, fit

    counts = ", ".join(f"{count} {way} cases" for way, count in _counts(args, source).items())
    head = f"{args.set} in {source.root}, {args.split} split: {counts}"
    stopping = sum(not fault.harmless for fault in faults)
    verdict = "It is fit to use." if fit(faults) else f"It is not fit to use. Faults to be mended: {stopping}."
    return "\n\n".join(filter(None, [head, described(faults, shown=None if args.all else 10), verdict]))


def _counts(args: argparse.Namespace, source: ListedSet) -> dict[str, int]:
    """How many cases each of the checked lists has."""
    ways = _ways(args)
    return {"paired" if paired else "unpaired": len(source.readable(args.split, paired=paired)) for paired in ways}
