"""`python -m catvton train catvton`: the published network by its published recipe."""

from __future__ import annotations

import argparse

from catvton.training import tryon_command, tryon_options

SUMMARY = "the published network: its self-attentions, on Stable Diffusion's inpainting base"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    tryon_options.add_arguments(parser, preset="catvton", base="sd15-inpainting")


def run(args: argparse.Namespace) -> int:
    return tryon_command.run(args, preset="catvton", say=print)
