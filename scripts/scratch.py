"""What the tests of these scripts begin with."""

import tempfile
import unittest
from pathlib import Path

ROOT = next(folder for folder in Path(__file__).resolve().parents if (folder / "Makefile").is_file())


class Scratch(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = Path(scratch.name).resolve()

    def file(self, name, text=""):
        path = self.scratch / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path
