"""The server of kind "promises": FooInit whose methods end in tail calls to the caller's objects and
whose results are promises.

Every object that it hands out, and every thread, is a promise at first. Those of makeCallbacks
and passCallback stay promises until callFn is called; the others are kept after a moment.
"""

import asyncio

import peer
from peer import say


async def name_of(thread):
    return (await thread.getName()).result


def back(context):
    """The context of a call to the caller, on the thread that waits for this call."""
    return {"thread": context.callbackThread, "callbackThread": context.thread}


def init():
    """FooInit, for one connection."""
    schema = peer.load_foo()
    threads = peer.Threads(schema.FooInit)
    own = threads.thread("python-worker")
    kept = asyncio.Event()

    class Callback(schema.FooCallback.Server):
        def __init__(self, add):
            self.add = add

        async def destroy(self, context, _context):
            say("destroy", self.add)

        async def call(self, context, arg, _context):
            say("called", arg)
            return arg + self.add

    class Forward(Callback):
        """Has its calls answered by an object of the caller's, which it hears of with a thread that
        can take them."""

        def __init__(self, target):
            self.add = "forward"
            self.target = target

        async def call_context(self, context):
            params = context.params
            say("called", params.arg)
            request = self.target.call_request(context=back(params.context), arg=params.arg)
            await peer.tail_call(context, request)

    class Later(schema.FooInterface.Server):
        """Makes what the promises are of, once they are to be kept."""

        async def makeCallbacks(self, arg, **_):
            await kept.wait()
            if arg < 0:
                raise ValueError("no such callbacks")
            return Callback(arg), Callback(-arg)

        async def passCallback(self, callback, **_):
            await kept.wait()
            return callback

    later = schema.FooInterface._new_client(Later())

    class Foo(schema.FooInterface.Server):
        saved = None

        async def add(self, a, b, _context):
            return a + b

        async def callFn(self, _context):
            kept.set()

        async def callback_context(self, context):
            # The caller's object answers the caller.
            params = context.params
            request = params.callback.call_request(context=back(params.context), arg=params.arg)
            await peer.tail_call(context, request)

        async def callbackShared_context(self, context):
            # On a thread of the caller's that it has not made yet.
            params = context.params
            made = self.map.makeThread("python-maker").result
            on = {"thread": made, "callbackThread": own}
            await peer.tail_call(context, params.callback.call_request(context=on, arg=params.arg))

        async def saveCallback(self, context, callback, _context):
            self.saved = callback

        async def callbackSaved(self, context, arg, _context):
            # Many calls at once on a thread of the caller's that it has not made yet.
            made = self.map.makeThread("python-maker").result
            on = {"thread": made, "callbackThread": own}
            calls = [self.saved.call(context=on, arg=number) for number in range(arg)]
            return sum([(await call).result for call in calls])

        async def passCallback_context(self, context):
            # A promise that becomes the caller's object, or a new one that forwards to it.
            callback = context.params.callback
            if self.saved is not None:
                callback = schema.FooCallback._new_client(Forward(callback))
            context.results.result = later.passCallback(callback=callback).result

        async def makeCallbacks_context(self, context):
            made = later.makeCallbacks(arg=context.params.arg)
            context.results.first = made.first
            context.results.second = made.second

        async def passFn_context(self, context):
            # The thread of the call has the name of one of the caller's, which the caller lent.
            say("on", await name_of(context.params.context.thread))
            request = context.params.fn.call_request(context=back(context.params.context))
            await peer.tail_call(context, request)

    class LaterInit(schema.FooInit.Server):
        def __init__(self, map):
            self.map = map

        async def makeFoo(self, _context, **_):
            await asyncio.sleep(0.02)
            made = Foo()
            made.map = self.map
            return made

    class LaterMap(threads.map):
        async def makeThread(self, name, _context):
            await asyncio.sleep(0.02)
            return await super().makeThread(name, _context)

    class Map(threads.map):
        def __init__(self, theirs):
            self.later = peer.interface(threads.map.schema)._new_client(LaterMap())
            self.theirs = theirs

        async def makeThread(self, name, _context):
            if "/lends-" in name:
                # A promise of the caller's own: where what it will have answered is.
                return self.theirs.makeThread("python-lends").result
            return self.later.makeThread(name).result

    class Init(schema.FooInit.Server):
        async def construct(self, threadMap, _context):
            self.map = threadMap
            return Map(threadMap)

        async def makeFoo_context(self, context):
            later_init = schema.FooInit._new_client(LaterInit(self.map))
            context.results.result = later_init.makeFoo().result

    return Init()
