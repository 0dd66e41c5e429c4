"""`python -m catvton evaluate WHAT`: everything that is measured, by the name of what is asked."""

from __future__ import annotations

import argparse

from catvton.subcommands import add_commands


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_commands(parser, "catvton.evaluation.commands")


def run(args: argparse.Namespace) -> int:
    """Measure and print. Exit code 0 whether or not a figure is reached: the tables say which are."""
    return args.subcommand(args)
