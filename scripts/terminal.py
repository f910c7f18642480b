#!/usr/bin/env python3
"""Draws a terminal as an SVG: what `fanfold submit` and `fanfold status` print of a small and a large batch.

The texts are what the commands printed on standard output; the progress on standard error, which a terminal overwrites, is left out.
Prints the id of the large batch, which may still run.
"""

import interrupts  # noqa: F401, I001: before all others

import argparse
import json
import subprocess
import time
from pathlib import Path
from xml.sax.saxutils import escape

from toolbox import Failure, run

# In pixels: the font, a line of it, and what is left free around the text. A character's width is that of most monospaced fonts;
# a line is stretched to it where the reader's font has another.
FONT, LINE, EDGE = 14, 20, 20
CHARACTER = 0.6 * FONT

# The share of the large batch that is done when its status is printed.
SHARE = 0.1
PATIENCE = 120

SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">
<title>{title}</title>
<style>
text {{ font: {font}px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #e7ecee; white-space: pre; }}
.command {{ fill: #ecc65f; }}
</style>
<rect width="100%" height="100%" rx="8" fill="#14191b"/>
{lines}
</svg>
"""


def drawn(session):
    """The SVG of pairs of a command and what it printed."""
    lines = []
    for command, printed in session:
        lines += [("", "")] if lines else []
        lines += [(' class="command"', f"$ {command}"), *(("", line) for line in printed.splitlines())]
    texts = []
    for number, (kind, line) in enumerate(lines):
        if line:
            at = f'x="{EDGE}" y="{EDGE + FONT + number * LINE}" textLength="{len(line) * CHARACTER:g}"'
            texts.append(f'<text {at} xml:space="preserve"{kind}>{escape(line)}</text>')
    width = round(2 * EDGE + CHARACTER * max(len(line) for _, line in lines))
    title = escape("In a terminal: " + "; ".join(command for command, _ in session))
    return SVG.format(width=width, height=2 * EDGE + len(lines) * LINE, title=title, font=FONT, lines="\n".join(texts))


class Shell:
    """Runs commands of fanfold in a folder, and keeps what they print."""

    def __init__(self, command, folder):
        self.command, self.folder, self.session = command, folder, []

    def call(self, words):
        return subprocess.run([self.command, *words.split()], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, words):
        done = self.call(words)
        # 3: some records failed, as they should.
        if done.returncode not in (0, 3):
            raise Failure(f"fanfold {words} ended with status {done.returncode}:\n{done.stderr.strip()}")
        self.session.append((f"fanfold {words}", done.stdout))
        return done.stdout.strip()

    def wait_for_some(self, words):
        """Waits until some of a batch is done and its time left is known."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            done = self.call(words)
            # Until it is scattered, the batch is not known.
            view = json.loads(done.stdout) if done.returncode == 0 else {}
            if view.get("finishedAt"):
                raise Failure("the large batch was over before its status could be seen; give it more RECORDS")
            if view.get("timeLeft") and view["chunks"]["done"] >= SHARE * view["chunks"]["total"]:
                return
            time.sleep(0.2)
        raise Failure(f"the large batch was not under way within {PATIENCE} s:\n{done.stdout}{done.stderr}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("svg", type=Path)
    parser.add_argument("--command", type=lambda path: Path(path).resolve(), required=True, help="the executable fanfold")
    parser.add_argument("--folder", type=Path, required=True, help="where the files are")
    parser.add_argument("--pipeline", required=True)
    parser.add_argument("--small", required=True, help="a file that is waited for")
    parser.add_argument("--large", required=True, help="a file whose batch is seen while it runs")
    options = parser.parse_args()
    shell, pipeline = Shell(options.command, options.folder), f"--pipeline {options.pipeline}"
    shell.run(f"submit {options.small} {pipeline} --wait")
    batch = shell.run(f"submit {options.large} {pipeline}")
    shell.wait_for_some(f"status {batch} {pipeline} --json")
    shell.run(f"status {batch} {pipeline}")
    options.svg.write_text(drawn(shell.session))
    print(batch)


if __name__ == "__main__":
    run(main)
