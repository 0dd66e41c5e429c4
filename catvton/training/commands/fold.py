"""`python -m catvton train fold`: the same model with fewer layers."""

from __future__ import annotations

import argparse
from pathlib import Path

SUMMARY = "the same model with fewer layers: norms folded into the layers beside them, exactly; nothing is trained"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL", help="a saved pipeline's folder, or a built-in parser's")
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="where the folded model goes")
    parser.add_argument("--threads", type=int, metavar="N", help="processor threads (default: torch's choice)")


def run(args: argparse.Namespace) -> int:
    """Fold, save, and say for each network how much its outputs and its time changed."""
    import torch

    from catvton.training.folded_folder import fold_folder

    if args.threads:
        torch.set_num_threads(args.threads)
    for name, effect in fold_folder(args.model, args.out).figures.items():
        print(f"{name}: {effect}")
    print(f"The folded model is in {args.out}")
    return 0
