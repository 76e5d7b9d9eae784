"""A program of plain Cap'n Proto, without threads or an Init, for tests/pycapnp/plain.rs."""

import tempfile
from pathlib import Path

import peer
from peer import say

FILE = peer.ROOT / "cli" / "tests" / "data" / "foreign" / "kinds.capnp"

# Cap'n Proto's own, which pycapnp does not have.
STREAM = "@0x86c366a91393f3f8;\nstruct StreamResult @0x995f9a3377c0b16e {}\n"

with tempfile.TemporaryDirectory() as name:
    (Path(name) / "capnp").mkdir()
    (Path(name) / "capnp" / "stream.capnp").write_text(STREAM)
    kinds = peer.load(FILE, name)


class Stamp(kinds.Stamp.Server):
    async def press(self, _context):
        say("pressed")


class Paper(kinds.Paper.Server):
    def __init__(self, text):
        self.words = text

    async def text(self, _context):
        return self.words


class Drawer(kinds.Drawer.Server):
    def __init__(self, number):
        self.number = number

    async def pull(self, kind, _context):
        return Paper(f"{kind} paper of {self.number}")


class Entry(kinds.Entry.Server):
    def __init__(self, text):
        self.words = text

    async def read(self, _context):
        return self.words


class Ledger(kinds.Ledger.Server):
    def __init__(self, title):
        self.title = title

    async def entry(self, name, at, _context):
        return Entry(f"{self.title}: {name} at {at}")

    async def append(self, line, _context):
        say(f"appended {line.hex()}")

    async def name(self, _context):
        return self.title


class Desk(kinds.Desk.Server):
    async def open(self, name, pages, _context):
        return Ledger(f"{name} of {len(pages)}")

    async def drawers(self, _context):
        return [Drawer(1), Drawer(2)]

    async def watch(self, bell, times, _context):
        for number in range(times):
            await bell.ring(loud=number % 2 == 0)

    async def wait(self, timeout, _context):
        say(f"waits {timeout}")

    async def plain(self, _context):
        return Stamp()


def desk():
    return Desk()
