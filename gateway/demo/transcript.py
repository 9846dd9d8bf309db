"""How the story looks: one left margin, one mark per kind of line, nothing that needs a terminal.

With a terminal there is colour; in a pipe or a log file the same text stands plain and unwrapped, and where the
encoding has no check mark an ASCII one takes its place. This file prints; it must never decide what is true.
"""

import io
import sys

from rich.console import Console
from rich.syntax import Syntax
from rich.text import Text
from rich.tree import Tree

WIDTH = 108
"""Wide enough for the longest line of code in the story; a narrower terminal wraps."""


class Transcript:
    def __init__(self, console: Console | None = None) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # an odd locale costs a glyph, not the demo
        self._console = console or Console(highlight=False)
        self._console.width = min(self._console.width, WIDTH) if self._console.is_terminal else WIDTH
        self._fancy = self._console.encoding.lower().startswith("utf")
        self._chapters = 0

    def title(self, text: str, subtitle: str) -> None:
        self._console.print()
        self._console.print(Text(text, style="bold"))
        self._console.print(Text(subtitle, style="dim"))
        self._console.print()

    def chapter(self, text: str) -> None:
        self._chapters += 1
        self._console.print()
        self._console.print(Text(f"{self._chapters:>2}  {text}", style="bold cyan"))

    def code(self, text: str) -> None:
        """A line that the agent, or somebody else on stage, really runs."""
        line = Syntax("", "python", theme="ansi_dark", background_color="default").highlight(text)
        line.rstrip()
        self._console.print(Text("    ") + line, soft_wrap=True)

    def raised(self, kind: str, sentence: str) -> None:
        """What the SDK raised: what a model would read."""
        self._line("»" if self._fancy else ">", "yellow", f"{kind}: {sentence}")

    def good(self, text: str) -> None:
        self._line("✓" if self._fancy else "ok", "green", text)

    def note(self, text: str) -> None:
        self._line("·" if self._fancy else "-", "dim", text, body="dim")

    def bad(self, text: str) -> None:
        self._console.print()
        self._line("✗" if self._fancy else "NO", "bold red", text)

    def block(self, text: str) -> None:
        """Output of a command, as it came."""
        for line in text.rstrip().splitlines():
            self._console.print(Text.from_ansi(f"      {line}".rstrip()), soft_wrap=True)

    def tree(self, tree: Tree) -> None:
        """Line by line: drawn as a whole, every line would be as long as the longest, by blanks."""
        for segments in self._console.render_lines(tree, self._console.options.update(width=self._console.width - 4)):
            line = Text.assemble(*((segment.text, segment.style or "") for segment in segments))
            line.rstrip()
            self._console.print(Text("    ") + line, soft_wrap=True)

    def end(self, text: str) -> None:
        self._console.print()
        self._console.print(Text(text, style="bold green"))
        self._console.print()

    def _line(self, mark: str, style: str, text: str, body: str = "") -> None:
        """The mark stands in a gutter of its own; what wraps, wraps beside it."""
        room = max(40, self._console.width - 7)
        for number, part in enumerate(Text(text, style=body).wrap(self._console, room)):
            part.rstrip()
            gutter = f"    {mark:<2} " if number == 0 else " " * 7
            self._console.print(Text.assemble((gutter, style), part), soft_wrap=True)
