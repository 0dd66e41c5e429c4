"""`doctor`: whether this deployment is in order, what is wrong with it, and what to do. Exit code 1 if something is."""

from __future__ import annotations

import argparse
import json
import textwrap

from catvton.doctor import FAILED, WARNING, Finding, examine, in_order, report

EPILOG = """Run it where the app runs, with the same settings. It looks at Python, packages, settings, weights, device,
memory, folders, database, Redis, accounts, limits, secrets and the address, asks a running server whether it is ready,
and changes nothing."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("--json", action="store_true", help="one JSON object on the output, for programs")


def run(args: argparse.Namespace) -> int:
    findings = []
    for finding in examine():
        findings.append(finding)
        if not args.json:
            print(_line(finding), flush=True)
    print(json.dumps(report(findings), indent=1) if args.json else _verdict(findings))
    return 0 if in_order(findings) else 1


def _line(finding: Finding) -> str:
    head = f"{finding.state.upper() if finding.state == FAILED else finding.state:<8} {finding.subject:<16} "
    text = textwrap.fill(finding.said, 118, initial_indent=head, subsequent_indent=" " * len(head))
    if not finding.mend:
        return text
    return f"{text}\n" + textwrap.fill(f"-> {finding.mend}", 118, initial_indent=" " * len(head),
                                       subsequent_indent=" " * (len(head) + 3))


def _verdict(findings: list[Finding]) -> str:
    states = [finding.state for finding in findings]
    wrong, better = states.count(FAILED), states.count(WARNING)
    if not wrong and not better:
        return "\nEverything is in order."
    return f"\n{wrong} failed, {better} could be better. What to do stands behind each ->."
