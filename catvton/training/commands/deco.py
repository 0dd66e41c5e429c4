"""`python -m catvton train deco`: the same network trained whole, as DeCo-VTON does it."""

from __future__ import annotations

import argparse

from catvton.training import tryon_command, tryon_options

SUMMARY = "the same network trained whole, with a loss on the person alone, as DeCo-VTON does it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    tryon_options.add_arguments(parser, preset="deco", base="sd15-inpainting")


def run(args: argparse.Namespace) -> int:
    return tryon_command.run(args, preset="deco", say=print)
