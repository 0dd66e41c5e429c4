"""`python -m catvton evaluate vitonhd`: an engine's SSIM, LPIPS, FID and KID on VITON-HD's test set."""

from __future__ import annotations

import argparse
import sys
from functools import partial

SUMMARY = "SSIM, LPIPS, FID and KID of an engine on VITON-HD's test set, by the protocol of the published figures"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from catvton.evaluation import benchmark_arguments

    benchmark_arguments.add_arguments(parser, name="vitonhd", root="zalando-hd-resized", engine="catvton@vitonhd")


def run(args: argparse.Namespace) -> int:
    """Check the data set, dress, score, print. Exit code 2 for a data set that cannot be used."""
    from catvton.datasets import VitonHD
    from catvton.evaluation import benchmark_command

    return benchmark_command.run(args, VitonHD(args.root), say=print, warn=partial(print, file=sys.stderr))
