"""Cap'n Proto's C++ as the server of Rust clients.

server.py KIND SOCKET listens there; server.py KIND -ipcfd N serves the parent that spawned it. KIND being a generation of Core ("30", "31", "31.99", "32"), "bare" (32
without mining and RPC), "mute" (accepts and answers nothing) "foo", or "promises" (foo with tail calls and promises, see promises.py). Each line on stdout is
something that happened; the first is `ready`, or nothing when this is a spawned process: its stdout is its parent's.
"""

import asyncio
import functools
import itertools
import socket
import sys

import capnp

import peer
import plain
import promises
from peer import say

NUMBERS = itertools.count(1)
TIP = bytes(range(32))


async def name_of(thread):
    return (await thread.getName()).result


class Objects:
    """Says what happens to the objects of one kind: made, called, destroyed and let go of."""

    def __init__(self, kind):
        self.label = f"{kind}-{next(NUMBERS)}"
        say("made", self.label)

    def __del__(self):
        say("freed", self.label)

    async def destroy(self, context, _context):
        # A C++ server has a thread for this, as for each call with a context.
        await name_of(context.thread)
        say("destroy", self.label)

    async def called(self, method, context):
        thread = await name_of(context.thread)
        callback = await name_of(context.callbackThread)
        say("call", self.label, method, "on", thread, "back", callback)


def telling(schema, server):
    """The server, which says for each call which method of its schema it reaches."""

    def told(name, ordinal, run):
        @functools.wraps(run)
        async def method(self, *args, **kwargs):
            say("arrived", schema.node.displayName.split(":")[1], f"@{ordinal}", name)
            return await run(self, *args, **kwargs)

        return method

    def missing(name):
        async def method(self, **_):
            raise NotImplementedError(name)

        return method

    for ordinal, method in enumerate(schema.node.interface.methods):
        name = method.name
        found = [known for known in (name, f"{name}_context") if hasattr(server, known)]
        run = getattr(server, found[0]) if found else missing(name)
        setattr(server, found[0] if found else name, told(name, ordinal, run))
    return server


# A dummy coinbase as Core 30 makes it: version, flag, one input that spends nothing, the height 102
# and OP_0, sequence, the reward and the witness commitment, the witness, the lock time.
COMMITMENT = bytes(8) + b"\x26\x6a\x24\xaa\x21\xa9\xed" + bytes(32)
DUMMY = (
    b"\x02\0\0\0\0\1\1" + bytes(32) + b"\xff" * 4 + b"\3\1\x66\0" + b"\xfe\xff\xff\xff\2"
    + (5_000_000_000).to_bytes(8, "little") + b"\1\x51" + COMMITMENT
    + b"\1\x20" + bytes(32) + b"\x65\0\0\0"
)


def core(kind):
    """The Init of a generation, for one connection."""
    generation = "32" if kind == "bare" else kind
    schema = peer.load_core(generation)
    threads = peer.Threads(schema.Init)
    init_schema = schema.Init
    made = functools.partial(peer.made_by, init_schema.schema)

    class Echo(Objects, made("makeEcho").Server):
        async def echo(self, context, echo, _context):
            await self.called("echo", context)
            if echo == "hang":
                await asyncio.Event().wait()
            if echo == "fail":
                raise ValueError("this echo fails")
            if echo == "invalid":
                return b"\xff"
            return echo

    mining = made("makeMining")
    template = peer.made_by(mining.schema, "createNewBlock")

    class BlockTemplate(Objects, template.Server):
        async def getBlockHeader(self, context, _context):
            await self.called("getBlockHeader", context)
            return b"\x01" * 80

        async def getTxFees(self, context, _context):
            return [1, -2, 2**62]

        async def getCoinbaseTx(self, context, _context):
            if generation == "30":
                return DUMMY
            return {
                "version": 2,
                "sequence": 0xFFFFFFFE,
                "scriptSigPrefix": b"\1\x66",
                "witness": bytes(32),
                "blockRewardRemaining": 5_000_000_000,
                "requiredOutputs": [COMMITMENT],
                "lockTime": 101,
            }

        async def getCoinbaseMerklePath(self, context, _context):
            return [TIP, TIP]

        async def waitNext(self, context, options, _context):
            say("waitNext", options.timeout, options.feeThreshold)
            if options.feeThreshold == 1:
                return BlockTemplate("BlockTemplate")
            # Null: none came in time.

        async def interruptWait(self, _context):
            say("interruptWait")

        async def submitSolution(self, context, version, timestamp, nonce, coinbase, _context):
            await self.called("submitSolution", context)
            say("solution", version, timestamp, nonce, bytes(coinbase).hex())
            if generation == "32":
                return "bad-cb", "too short", False
            return version == 1

        async def submitSolutionOld7(self, context, **_):
            raise ValueError("old submitSolution")

    class Mining(Objects, mining.Server):
        tips = itertools.count()
        interrupted = asyncio.Event()

        async def isTestChain(self, context, _context):
            await self.called("isTestChain", context)
            return True

        async def isInitialBlockDownload(self, context, _context):
            await self.called("isInitialBlockDownload", context)
            return False

        async def getTip(self, context, _context):
            # None is known at first.
            if next(self.tips) == 0:
                return None
            return {"hash": TIP, "height": 101}, True

        async def waitTipChanged(self, context, currentTip, timeout, _context):
            say("waitTipChanged", timeout)
            if currentTip == b"\xff" * 32:
                try:
                    await asyncio.wait_for(self.interrupted.wait(), timeout / 1000)
                except asyncio.TimeoutError:
                    return {"hash": currentTip, "height": 7}
                say("waitTipChanged interrupted")
                return {}
            return {"hash": currentTip, "height": 7}

        async def createNewBlock_context(self, context):
            params, options = context.params, context.params.options
            reserved = options.blockReservedWeight, options.coinbaseOutputMaxAdditionalSigops
            say("options", options.useMempool, *reserved, getattr(params, "cooldown", "none"))
            context.results.result = BlockTemplate("BlockTemplate")

        async def checkBlock(self, block, options, _context, context=None):
            say("check", options.checkMerkleRoot, options.checkPow)
            return "bad-blk", f"{len(block)} bytes", False

        async def interrupt(self, _context):
            say("interrupt")
            self.interrupted.set()

        async def submitBlock(self, context, block, _context):
            return "inconclusive", "", True

        async def getTransactionsByTxID(self, context, txids, _context):
            return [bytes(id)[::-1] for id in txids]

        async def getTransactionsByWitnessID(self, context, wtxids, _context):
            return [b"" for _ in wtxids]

    class Init(init_schema.Server):
        async def construct(self, threadMap, _context):
            say("construct")
            return threads.map()

        async def makeEcho(self, context, _context):
            say("thread", await name_of(context.thread))
            return Echo("Echo")

        async def makeMining(self, context, _context):
            if kind != "bare":
                return Mining("Mining")

        async def makeMiningOld2(self, _context):
            raise ValueError("Old mining interface (@2) not supported.")

        async def makeRpc(self, context, _context):
            if kind != "bare":

                class Rpc(made("makeRpc").Server):
                    async def executeRpc(self, context, request, uri, user, _context):
                        return f"{user}@{uri}: {request}"

                return Rpc()

    telling(template.schema, BlockTemplate)
    telling(mining.schema, Mining)
    return telling(init_schema.schema, Init)()


def foo():
    """FooInit, for one connection."""
    schema = peer.load_foo()
    threads = peer.Threads(schema.FooInit)
    own = threads.thread("python-worker")

    class Callback(Objects, schema.FooCallback.Server):
        def __init__(self, add):
            super().__init__("FooCallback")
            self.add = add

        async def call(self, context, arg, _context):
            return arg + self.add

    class Foo(schema.FooInterface.Server):
        saved = None

        async def add(self, a, b, _context):
            return a + b

        async def callback(self, context, callback, arg, _context):
            # The caller's thread waits for this call: there the callback runs.
            here = {"thread": context.callbackThread, "callbackThread": context.thread}
            return (await callback.call(context=here, arg=arg)).result

        async def callbackUnique(self, context, callback, arg, _context):
            here = {"thread": context.callbackThread, "callbackThread": context.thread}
            await callback.destroy(context=here)
            say("destroyed")
            return arg

        async def callbackShared(self, context, callback, arg, _context):
            # On a thread that waits for nothing.
            thread = (await self.map.makeThread("python-maker")).result
            say("made", await name_of(thread))
            on = {"thread": thread, "callbackThread": own}
            return (await callback.call(context=on, arg=arg)).result

        async def callbackExtended(self, context, callback, arg, _context):
            here = {"thread": context.callbackThread, "callbackThread": context.thread}
            first = (await callback.call(context=here, arg=arg)).result
            return (await callback.callExtended(context=here, arg=first)).result

        async def saveCallback(self, context, callback, _context):
            self.saved = callback

        async def callbackSaved(self, context, arg, _context):
            here = {"thread": context.callbackThread, "callbackThread": context.thread}
            return (await self.saved.call(context=here, arg=arg)).result

        async def passCallback(self, context, callback, _context):
            if _context.params._has("callback"):
                return callback

        async def makeCallbacks(self, context, arg, _context):
            return Callback(arg), Callback(-arg)

        async def passFn(self, context, fn, _context):
            here = {"thread": context.callbackThread, "callbackThread": context.thread}
            return (await fn.call(context=here)).result

        async def passTextFn(self, context, fn, arg, _context):
            here = {"thread": context.callbackThread, "callbackThread": context.thread}
            custom = {"v1": "v", "v2": 2}
            call = fn.call(context=here, text=arg, data=b"\0\xff", numbers=[1, 2], value=custom)
            return (await call).result

        async def raiseOr_context(self, context):
            if getattr(context.params, "raise"):
                context.results.error = str(context.params.arg)
            else:
                context.results.result = context.params.arg

        async def passData(self, arg, _context):
            return arg

        async def passText(self, arg, _context):
            return arg

        async def passNumbers(self, arg, _context):
            return arg

        async def passLists(self, arg, _context):
            return arg

        async def passOptional(self, arg, hasArg, _context):
            return arg, hasArg

        async def passDefaults(self, count, timeout, name, on, _context):
            return f"{count} {timeout:g} {name} {on}"

    class FooInit(schema.FooInit.Server):
        async def construct(self, threadMap, _context):
            self.map = threadMap
            return threads.map()

        async def makeFoo(self, context, _context):
            made = Foo()
            made.map = self.map
            return made

    return FooInit()


def init_of(kind):
    if kind == "promises":
        return promises.init()
    if kind == "plain":
        return plain.desk()
    return foo() if kind == "foo" else core(kind)


async def spawned(kind, fd):
    stream = await capnp.AsyncIoStream.create_unix_connection(sock=socket.socket(fileno=fd))
    await capnp.TwoPartyServer(stream, bootstrap=init_of(kind)).on_disconnect()


async def listening(kind, path):
    connections = []

    async def connected(stream):
        connections.append(stream)
        if kind == "mute":
            await asyncio.Event().wait()
        await capnp.TwoPartyServer(stream, bootstrap=init_of(kind)).on_disconnect()
        say("disconnected")

    server = await capnp.AsyncIoStream.create_unix_server(connected, path)
    say("ready")
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    match sys.argv[1:]:
        case [kind, "-ipcfd", fd]:
            sys.stdout = sys.stderr
            peer.run(lambda: spawned(kind, int(fd)), watch=False)
        case [kind, path]:
            peer.run(lambda: listening(kind, path))
        case words:
            sys.exit(f"usage: server.py KIND SOCKET, not {words}")
