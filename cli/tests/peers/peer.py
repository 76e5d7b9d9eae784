"""What client.py and server.py share: schemas, threads and the life of the process.

Cap'n Proto's own C++ does the RPC; what libmultiprocess adds to it (threads, contexts) is written
here once more, so that a mistake of the Rust side is not repeated.
"""

import asyncio
import functools
import os
import re
import sys
import tempfile
import threading
from pathlib import Path

import capnp

capnp.remove_import_hook()

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = ROOT / "schema"
PROXY = ROOT / "codegen" / "schema"


def load(path, *imports):
    return capnp.load(str(path), imports=[str(folder) for folder in imports])


@functools.cache
def load_core(generation):
    """The Init, Echo, Mining, Rpc and proxy schemas of "30", "31", "31.99" or "32"."""
    if generation == "31.99":
        return load_between()
    folder = SCHEMA / f"core{generation}"
    proxy = PROXY if generation == "32" else folder
    return load(folder / "init.capnp", folder, proxy)


def load_between():
    """Builds between 31 and 32: 32's Init and Mining with 31's BlockTemplate."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in (SCHEMA / "core32").glob("*.capnp"):
            (folder / file.name).write_text(file.read_text())
        block = re.compile(r"^interface BlockTemplate \{.*?^\}", re.M | re.S)
        old = block.search((SCHEMA / "core31" / "mining.capnp").read_text()).group()
        new = (folder / "mining.capnp").read_text()
        (folder / "mining.capnp").write_text(block.sub(lambda _: old, new))
        return load(folder / "init.capnp", folder, PROXY)


def load_later():
    """A Core 32 whose Init has one method more."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in (SCHEMA / "core32").glob("*.capnp"):
            (folder / file.name).write_text(file.read_text())
        text = (folder / "init.capnp").read_text()
        later = "    makeLater @5 (context :Proxy.Context) -> (result :Echo.Echo);\n}"
        (folder / "init.capnp").write_text(text.rstrip().removesuffix("}") + later + "\n")
        return load(folder / "init.capnp", folder, PROXY)


@functools.cache
def load_foo():
    return load(SCHEMA / "test" / "foo.capnp", SCHEMA / "test", PROXY)


def interface(schema):
    """What `capnp.load` gives for an interface, from its schema alone."""
    return capnp.lib.capnp._InterfaceModule(schema, schema.node.displayName)


def made_by(schema, method):
    """The interface that a method's `result` is of."""
    return interface(schema.methods[method].result_type.fields["result"].schema)


class Threads:
    """This process's threads for the peer. There is one in truth: the event loop's."""

    def __init__(self, init):
        threads = self
        construct = init.schema.methods["construct"].param_type
        thread_map = interface(construct.fields["threadMap"].schema)
        thread = made_by(thread_map.schema, "makeThread")
        self.made = []

        class Thread(thread.Server):
            def __init__(self, name):
                self.name = name

            async def getName(self, _context):
                return self.name

        class ThreadMap(thread_map.Server):
            async def makeThread(self, name, _context):
                threads.made.append(name)
                return Thread(f"py-{os.getpid()}/{len(threads.made)} (from {name})")

        self.map = ThreadMap
        self.thread = lambda name: thread._new_client(Thread(name))


def say(*words):
    """A line for the test that started this process."""
    print(*words, flush=True)


async def tail_call(context, request):
    """Ends a method with a call whose results are the method's own.

    pycapnp 2.2.4 aborts its process when a tail call over RPC is answered while someone waits for
    it, also when both sides are pycapnp. So the wait is given up at once, which finishes the call
    early; its results belong to the caller by then.
    """
    call = context.tail_call(request)
    await asyncio.sleep(0)
    call.cancel()


def run(main, watch=True):
    """Runs main() until it is done or, when it watches for that, who started this process is gone."""

    def watched():
        sys.stdin.read()
        os._exit(70)

    if watch:
        threading.Thread(target=watched, daemon=True).start()
    asyncio.run(capnp.run(main()))
    sys.stdout.flush()
    os._exit(0)
