"""More scenarios of client.py: the client pipelines on the server's answers, passes promises, and
answers with tail calls and with promises.
"""

import asyncio
import re

import client as base
import peer
from client import Callback, Client, fails, foo_capnp, name_of, scenario, tid_of, with_foo
from peer import say

import capnp

ROUNDS = 50


@scenario
async def promised_parameters_keep_the_order(path):
    """A call that waits for a promised parameter is overtaken by no call on the same object."""
    client, on, foo = await with_foo(path)
    other = client.on(await client.thread("other"))
    calls = []
    for number in range(ROUNDS):
        made = foo.makeCallbacks(context=other, arg=number)
        calls.append(foo.saveCallback(context=on, callback=made.first))
        calls.append(foo.callbackSaved(context=on, arg=1))
    answers = [await call for call in calls]
    assert [answer.result for answer in answers[1::2]] == [1 + n for n in range(ROUNDS)]
    await foo.saveCallback(context=on)


@scenario
async def embargoed_calls_keep_the_order(path):
    """Calls on a promise that becomes this process's own object go through the server; those made
    once that is known do not, and come after them."""
    client, on, foo = await with_foo(path)
    seen = []

    async def function(context, arg):
        seen.append(arg)
        return arg

    here = {"thread": client.own, "callbackThread": client.own}
    for _ in range(10):
        seen.clear()
        callback = foo_capnp.FooCallback._new_client(Callback(function))
        passed = foo.passCallback(context=on, callback=callback)
        back = passed.result
        calls = [back.call(context=here, arg=number) for number in range(10)]
        await passed
        calls += [back.call(context=here, arg=number) for number in range(10, 20)]
        assert [(await call).result for call in calls] == list(range(20))
        assert seen == list(range(20)), seen


@scenario
async def pipelined_calls_keep_the_order(path):
    """Everything is sent before the first answer: the thread, the object, and calls of it."""
    client = await base.connect_foo(path)
    on = client.on(client.map.makeThread("early").result)
    foo = client.init.makeFoo(context=on).result
    second = foo.makeCallbacks(context=on, arg=3).second
    order = {foo: [], second: []}

    async def call(on, number, promise):
        order[on].append((number, (await promise).result))

    calls = []
    for number in range(ROUNDS):
        calls.append(call(foo, number, foo.callIntFnAsync(context=on, arg=base.COUNT)))
        calls.append(call(second, number, second.call(context=on, arg=number)))
    await asyncio.gather(*calls)
    assert order[foo] == [(number, 1) for number in range(ROUNDS)], order[foo]
    assert order[second] == [(number, 3 * number) for number in range(ROUNDS)], order[second]
    # An answer without an object, and one that is an error, fail what is called on them.
    nothing = foo.passCallback(context=on).result
    await fails(nothing.call(context=on, arg=1), "FAILED")
    unknown = foo.makeCallbacks(context={"thread": client.own}, arg=1)
    await fails(unknown.first.call(context=on, arg=1), "FAILED", "invalid thread handle")
    await fails(unknown, "FAILED", "invalid thread handle")
    assert (await foo.add(a=1, b=2)).result == 3
    say("tid", tid_of(await name_of(on["thread"])))


class Tail(foo_capnp.FooCallback.Server):
    """Has its calls answered by another object: `request` makes the call."""

    def __init__(self, request):
        self.request = request

    async def destroy(self, context, _context):
        pass

    async def call_context(self, context):
        await peer.tail_call(context, self.request(context.params))


@scenario
async def callbacks_end_in_tail_calls(path):
    client, on, foo = await with_foo(path)

    def back(params):
        # On the thread that waits for the callback.
        return client.on(params.context.callbackThread)

    def counted(params):
        return foo.callIntFnAsync_request(context=back(params), arg=base.TID)

    tid = tid_of(await name_of(on["thread"]))
    for _ in range(ROUNDS):
        assert (await foo.callback(context=on, callback=Tail(counted), arg=1)).result == tid

    # Each ends in a call of the server whose callback does again.
    def nested(params):
        if params.arg == 0:
            return counted(params)
        again = Tail(nested)
        return foo.callback_request(context=back(params), callback=again, arg=params.arg - 1)

    assert (await foo.callback(context=on, callback=Tail(nested), arg=10)).result == tid

    # An exception arrives the same way.
    def fails_there(params):
        return foo.divide_request(a=1, b=0)

    await fails(foo.callback(context=on, callback=Tail(fails_there), arg=1), "FAILED", "division")
    # The answer is another object's, which this process has not heard of yet.
    made = foo.makeCallbacks(context=on, arg=5)

    def promised(params):
        return made.first.call_request(context=back(params), arg=params.arg)

    assert (await foo.callback(context=on, callback=Tail(promised), arg=2)).result == 7


async def save_callback(foo, on):
    """Gives the server a callback that answers six times its argument; returns the names of the
    threads that it is called on."""
    names = []

    async def function(context, arg):
        names.append(await name_of(context.thread))
        return arg * 6

    await foo.saveCallback(context=on, callback=Callback(function))
    return names


@scenario
async def a_made_thread_is_a_promise_of_the_servers_own(path):
    """makeThread answers with a place in what the server has not answered yet."""
    stream = await capnp.AsyncIoStream.create_unix_connection(path)
    client = Client(stream, foo_capnp.FooInit)

    class Map(client.threads.map):
        async def makeThread(self, name, _context):
            lent = client.map.makeThread("lent").result
            # Not known at the time of the answer.
            asyncio.get_running_loop().create_task(tell(lent))
            return lent

    async def tell(lent):
        say("tid", tid_of(await name_of(lent)))

    client.threads.map = Map
    await client.construct()
    on = client.on(await client.thread())
    foo = (await client.init.makeFoo(context=on)).result
    names = await save_callback(foo, on)
    assert (await foo.callIntFnAsync(context=on, arg=base.SAVED)).result == 42
    assert names[0].endswith("(from lent)"), names
    await foo.saveCallback(context=on)


@scenario
async def a_thread_map_is_a_promise_of_the_servers_own(path):
    """The server's calls of makeThread come back to it, as tail calls."""
    stream = await capnp.AsyncIoStream.create_unix_connection(path)
    client = Client(stream, foo_capnp.FooInit)
    known = asyncio.Event()

    class LaterInit(foo_capnp.FooInit.Server):
        async def construct(self, **_):
            await known.wait()
            return client.map

    promise = foo_capnp.FooInit._new_client(LaterInit()).construct().threadMap
    client.map = (await client.init.construct(threadMap=promise)).threadMap
    on = client.on(await client.thread())
    foo = (await client.init.makeFoo(context=on)).result
    names = await save_callback(foo, on)
    for number in range(10):
        asyncio.get_running_loop().call_later(0.02, known.set)
        assert (await foo.callIntFnAsync(context=on, arg=base.SAVED)).result == 42
    # Made there, for a thread there.
    for name in names:
        say("tid", tid_of(name))
        assert re.fullmatch(r"mptest-\d+/\S+ \(from mptest-\d+/saved-\d+\)", name), name
    await foo.saveCallback(context=on)


class Later(foo_capnp.FooInterface.Server):
    """Makes what promises of this process are of, once `kept` is set."""

    def __init__(self):
        self.kept = asyncio.Event()

    async def passCallback(self, callback, **_):
        await self.kept.wait()
        return callback

    async def makeCallbacks(self, **_):
        await self.kept.wait()
        raise ValueError("broken promise")


@scenario
async def callbacks_that_are_promises(path):
    client, on, foo = await with_foo(path)
    other = client.on(await client.thread("other"))
    seen = []

    async def function(context, arg):
        seen.append(arg)
        return arg + 1

    def promise(callback):
        server = Later()
        local = foo_capnp.FooInterface._new_client(server)
        return server, local.passCallback(callback=callback).result

    async def answer(promise):
        return (await promise).result

    # One that becomes an object here: it is called before it has, and after.
    server, callback = promise(foo_capnp.FooCallback._new_client(Callback(function)))
    early = asyncio.ensure_future(answer(foo.callback(context=on, callback=callback, arg=1)))
    assert (await foo.callIntFnAsync(context=other, arg=base.COUNT)).result == 1
    assert seen == []
    server.kept.set()
    assert await early == 2
    assert (await foo.callback(context=on, callback=callback, arg=2)).result == 3
    assert seen == [1, 2]

    # One that becomes an object of the server's: the calls go back there, and fail for the thread
    # that they name, which is none of the server's.
    made = await foo.makeCallbacks(context=on, arg=5)
    server, callback = promise(made.first)
    early = asyncio.ensure_future(answer(foo.callback(context=on, callback=callback, arg=1)))
    assert (await foo.callIntFnAsync(context=other, arg=base.COUNT)).result == 1
    server.kept.set()
    await fails(early, "FAILED", "invalid thread handle")
    # Passed once more, it is the server's own.
    assert (await foo.callback(context=on, callback=callback, arg=2)).result == 7

    # One that is broken.
    server = Later()
    broken = foo_capnp.FooInterface._new_client(server).makeCallbacks(arg=1).first
    early = asyncio.ensure_future(answer(foo.callback(context=on, callback=broken, arg=1)))
    assert (await foo.callIntFnAsync(context=other, arg=base.COUNT)).result == 1
    server.kept.set()
    await fails(early, "FAILED", "broken promise")
    await fails(foo.callback(context=on, callback=broken, arg=1), "FAILED", "broken promise")
    assert (await foo.add(a=1, b=2)).result == 3


if __name__ == "__main__":
    peer.run(base.main)
