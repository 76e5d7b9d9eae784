"""Scenarios in which Cap'n Proto's C++ is the client of a Rust server.

client.py SCENARIO SOCKET, or a program's path for one that this is to be the parent of: status 0 when everything was as it must be. A line `tid N` names a
thread that the server made and that must be gone when this process is.
"""

import asyncio
import os
import re
import socket
import subprocess
import sys

import capnp

import peer
from peer import say

TIME = 30

# What the test's callIntFnAsync does; a negative argument asks whether that thread runs.
ALIVE, TID, MEET, COUNT, SAVED, HOLD, HELD, PANIC = range(8)

SCENARIOS = {}

foo_capnp = peer.load_foo()


def scenario(function):
    SCENARIOS[function.__name__] = function
    return function


class Client:
    """A connection after its construct."""

    def __init__(self, stream, init):
        self.client = capnp.TwoPartyClient(stream)
        self.stream = stream
        self.init = self.client.bootstrap().cast_as(init)
        self.threads = peer.Threads(init)
        self.own = self.threads.thread("python")

    async def construct(self):
        answer = await self.init.construct(threadMap=self.threads.map())
        self.map = answer.threadMap
        return self

    async def thread(self, name="py"):
        thread = (await self.map.makeThread(name)).result
        say("tid", tid_of((await thread.getName()).result))
        return thread

    def on(self, thread):
        """The context of a call that runs on `thread` and calls back to this process."""
        return {"thread": thread, "callbackThread": self.own}


async def connect_foo(path):
    stream = await capnp.AsyncIoStream.create_unix_connection(path)
    return await Client(stream, foo_capnp.FooInit).construct()


async def connect_core(path, schema, **more):
    stream = await capnp.AsyncIoStream.create_unix_connection(path, **more)
    return await Client(stream, schema.Init).construct()


async def with_foo(path):
    """A connection, one thread and the object under test."""
    client = await connect_foo(path)
    thread = await client.thread()
    made = await client.init.makeFoo(context=client.on(thread))
    return client, client.on(thread), made.result


class Callback(foo_capnp.FooCallback.Server):
    def __init__(self, function):
        self.function = function
        self.destroyed = asyncio.Queue()

    async def destroy(self, context, _context):
        await self.destroyed.put(await name_of(context.thread))

    async def call(self, context, arg, _context):
        return await self.function(context, arg)


async def name_of(thread):
    return (await thread.getName()).result


def tid_of(name):
    return int(re.search(r"-(\d+)(?: \(from .*\))?$", name).group(1))


async def fails(promise, type, *texts):
    """The description of the exception that a call must end with."""
    try:
        await promise
    except capnp.KjException as error:
        text = error.description
        assert error.type == type, (error.type, text)
        for part in texts:
            assert part in text, text
        return text
    raise AssertionError("the call was answered")


@scenario
async def thread_names(path):
    client = await connect_foo(path)
    thread = (await client.map.makeThread("bitcoin-gui-7/main-8")).result
    name = await name_of(thread)
    form = r"mptest-(\d+)/\S+-(\d+) \(from bitcoin-gui-7/main-8\)"
    assert re.fullmatch(form, name), name
    made = (await client.init.makeFoo(context=client.on(thread))).result
    # What the thread is called is what a call runs on.
    ran_on = (await made.callIntFnAsync(context=client.on(thread), arg=TID)).result
    assert ran_on == tid_of(name), (ran_on, name)
    other = await client.thread("other")
    ran_on = (await made.callIntFnAsync(context=client.on(other), arg=TID)).result
    assert ran_on == tid_of(await name_of(other))


@scenario
async def two_threads_run_at_once(path):
    client, _, foo = await with_foo(path)
    one, two = await client.thread("one"), await client.thread("two")
    # Each waits on the server until the other is there.
    met = await asyncio.gather(
        foo.callIntFnAsync(context=client.on(one), arg=MEET),
        foo.callIntFnAsync(context=client.on(two), arg=MEET),
    )
    assert [answer.result for answer in met] == [2, 2]


@scenario
async def one_thread_is_sequential(path):
    client, on, foo = await with_foo(path)
    order = []

    async def call(number):
        order.append((number, (await foo.callIntFnAsync(context=on, arg=COUNT)).result))

    await asyncio.gather(*(call(number) for number in range(8)))
    # One at a time, and first come, first served.
    assert order == [(number, 1) for number in range(8)], order


@scenario
async def callbacks(path):
    client, on, foo = await with_foo(path)

    async def function(context, arg):
        # On the thread that the call named for it, for a caller that can be called in turn.
        assert await name_of(context.thread) == "python"
        assert await name_of(context.callbackThread) == await name_of(on["thread"])
        return arg * 2

    for method in (foo.callback, foo.callbackUnique, foo.callbackShared):
        callback = Callback(function)
        assert (await method(context=on, callback=callback, arg=21)).result == 42
        # Destroyed once, before the answer: only then does the thread still wait.
        assert callback.destroyed.get_nowait() == "python"
        assert callback.destroyed.empty()
    for _ in range(300):
        callback = Callback(function)
        await foo.callback(context=on, callback=callback, arg=1)
        assert callback.destroyed.get_nowait() == "python"
    assert client.threads.made == []


@scenario
async def nested_callbacks(path):
    client, on, foo = await with_foo(path)
    depth = 20
    tids = set()

    async def function(context, arg):
        back = client.on(context.callbackThread)
        tids.add((await foo.callIntFnAsync(context=back, arg=TID)).result)
        if arg == 0:
            return 0
        callback = Callback(function)
        return (await foo.callback(context=back, callback=callback, arg=arg - 1)).result + 1

    answer = await foo.callback(context=on, callback=Callback(function), arg=depth)
    assert answer.result == depth
    # The thread that waits for the innermost callback is the one that made the outermost.
    assert tids == {tid_of(await name_of(on["thread"]))}, tids


@scenario
async def extended_callback(path):
    client, on, foo = await with_foo(path)

    class Extended(foo_capnp.ExtendedCallback.Server):
        async def destroy(self, context, _context):
            pass

        async def call(self, context, arg, _context):
            return arg

        async def callExtended(self, context, arg, _context):
            return arg + 1000

    answer = await foo.callbackExtended(context=on, callback=Extended(), arg=1)
    assert answer.result == 1001
    assert (await foo.callback(context=on, callback=Extended(), arg=1)).result == 1


@scenario
async def saved_callbacks(path):
    client, on, foo = await with_foo(path)
    called_on = []

    async def function(context, arg):
        called_on.append(await name_of(context.thread))
        return arg + 1

    callback = Callback(function)
    await foo.saveCallback(context=on, callback=callback)
    assert (await foo.callbackSaved(context=on, arg=1)).result == 2
    assert called_on == ["python"]
    # From a thread of the server that executes no request of this client: it has one made here.
    assert (await foo.callIntFnAsync(context=on, arg=SAVED)).result == 8
    [made] = client.threads.made
    assert re.fullmatch(r"mptest-\d+/saved-\d+", made), made
    assert called_on[1].endswith(f"(from {made})"), called_on
    # Another takes its place: it is destroyed, once.
    other = Callback(function)
    await foo.saveCallback(context=on, callback=other)
    await asyncio.wait_for(callback.destroyed.get(), TIME)
    assert (await foo.callbackSaved(context=on, arg=2)).result == 3
    assert callback.destroyed.empty() and other.destroyed.empty()
    # The object that holds it goes, and it with it.
    del foo
    await asyncio.wait_for(other.destroyed.get(), TIME)


@scenario
async def callback_errors(path):
    client, on, foo = await with_foo(path)

    async def function(context, arg):
        raise ValueError("no such arg")

    call = foo.callback(context=on, callback=Callback(function), arg=1)
    await fails(call, "FAILED", "ValueError: no such arg")
    call = foo.callback(context=on, arg=1)
    await fails(call, "FAILED", "an object is needed")
    # An object that is no callback.
    wrong = client.own.cast_as(foo_capnp.FooCallback)
    call = foo.callback(context=on, callback=wrong, arg=1)
    await fails(call, "UNIMPLEMENTED")
    # No callback thread: the server makes itself one.
    async def function(context, arg):
        return len(await name_of(context.thread))

    without = {"thread": on["thread"]}
    call = foo.callback(context=without, callback=Callback(function), arg=1)
    assert (await call).result > 0
    assert len(client.threads.made) == 1, client.threads.made


@scenario
async def objects_come_back(path):
    client, on, foo = await with_foo(path)
    calls = []

    async def function(context, arg):
        calls.append(await name_of(context.thread))
        return arg

    # This process's own object: called here, not by way of the server.
    callback = foo_capnp.FooCallback._new_client(Callback(function))
    back = (await foo.passCallback(context=on, callback=callback)).result
    here = {"thread": client.own, "callbackThread": client.own}
    assert (await back.call(context=here, arg=5)).result == 5
    assert calls == ["python"]
    # The server's objects.
    made = await foo.makeCallbacks(context=on, arg=3)
    back = (await foo.passCallback(context=on, callback=made.first)).result
    assert (await back.call(context=on, arg=4)).result == 7
    assert (await made.second.call(context=on, arg=4)).result == 12
    assert (await foo.callback(context=on, callback=made.second, arg=4)).result == 12
    # A null one.
    back = await foo.passCallback(context=on)
    assert not back._has("result")
    back = (await foo.passCallbacks(context=on, arg=[made.first, made.second])).result
    assert [(await one.call(context=on, arg=4)).result for one in back] == [7, 12]
    # The same object twice, and null members, in structs.
    holder = {"name": "h", "many": [made.first], "holders": [{"name": "inner", "one": made.second}]}
    back = (await foo.passHolder(context=on, arg=holder)).result
    assert back.name == "h" and not back._has("one")
    assert (await back.many[0].call(context=on, arg=4)).result == 7
    assert (await back.holders[0].one.call(context=on, arg=4)).result == 12


@scenario
async def errors(path):
    client, on, foo = await with_foo(path)
    none = "no thread specified and no pool configured"
    await fails(foo.callFnAsync(), "FAILED", none)
    await fails(foo.callFnAsync(context={"callbackThread": client.own}), "FAILED", none)
    invalid = "invalid thread handle"
    own = {"thread": client.own, "callbackThread": client.own}
    await fails(foo.callFnAsync(context=own), "FAILED", invalid)
    no_thread = {"thread": foo.cast_as(client.own.schema), "callbackThread": client.own}
    await fails(foo.callFnAsync(context=no_thread), "FAILED", invalid)
    # Another connection's thread.
    other = await connect_foo(path)
    await fails(foo.callFnAsync(context=client.on(await other.thread())), "FAILED", invalid)
    # The implementation's own.
    await fails(foo.divide(a=1, b=0), "FAILED", "division by zero")
    # Declared ones are results.
    answer = await foo.raiseOr(**{"raise": True, "arg": 3})
    assert answer.error == "3" and answer._has("error")
    assert (await foo.raiseOr(arg=3)).result == 3
    # Interfaces and methods that the object does not have.
    missing = foo.cast_as(foo_capnp.FooCallback).call(context=on, arg=1)
    await fails(missing, "UNIMPLEMENTED", "not implemented")
    # A method that panics fails alone.
    await fails(foo.callIntFnAsync(context=on, arg=PANIC), "FAILED", "panicked")
    # The connection goes on after all of these.
    assert (await foo.add(a=1, b=2)).result == 3
    assert (await foo.callIntFnAsync(context=on, arg=TID)).result > 0


@scenario
async def pool(path):
    client, on, foo = await with_foo(path)
    await client.map.makePool(count=2)
    second = "makePool called on connection with existing pool"
    await fails(client.map.makePool(count=2), "FAILED", second)
    # Both threads of the pool at once.
    met = await asyncio.gather(*(foo.callIntFnAsync(arg=MEET) for _ in range(2)))
    assert [answer.result for answer in met] == [2, 2]
    tids = {(await foo.callIntFnAsync(arg=TID)).result for _ in range(10)}
    for tid in tids:
        say("tid", tid)
    assert len(tids) <= 2 and tid_of(await name_of(on["thread"])) not in tids
    # A call that names a thread goes to that.
    named = (await foo.callIntFnAsync(context=on, arg=TID)).result
    assert named == tid_of(await name_of(on["thread"]))

    # Callbacks of a call to the pool come to the thread that it names for them.
    async def function(context, arg):
        assert await name_of(context.thread) == "python"
        back = client.on(context.callbackThread)
        assert (await foo.callIntFnAsync(context=back, arg=TID)).result in tids
        return arg

    context = {"callbackThread": client.own}
    assert (await foo.callback(context=context, callback=Callback(function), arg=6)).result == 6


@scenario
async def destroy_frees_at_once(path):
    client, on, foo = await with_foo(path)
    objects = [(await client.init.makeFoo(context=on)).result for _ in range(3)]
    assert await alive(foo, on) == 4
    made = await foo.makeCallbacks(context=on, arg=1)
    # In the order in which the thread was given the calls.
    count = asyncio.gather(
        made.first.call(context=on, arg=1),
        made.first.destroy(context=on),
        foo.callIntFnAsync(context=on, arg=TID),
    )
    await count
    destroyed = "called after its destroy"
    await fails(made.first.call(context=on, arg=1), "FAILED", destroyed)
    await fails(made.first.destroy(context=on), "FAILED", destroyed)
    call = foo.passCallback(context=on, callback=made.first)
    await fails(call, "FAILED", "FooInterface.passCallback.callback", "FooCallback")
    # The connection and other objects go on.
    assert (await made.second.call(context=on, arg=5)).result == 5
    # One without destroy goes with its last reference, soon.
    objects.pop()
    for _ in range(1000):
        if await alive(foo, on) == 3:
            break
        await asyncio.sleep(0.01)
    assert await alive(foo, on) == 3


async def alive(foo, on):
    """How many objects under test the server has for this connection."""
    return (await foo.callIntFnAsync(context=on, arg=ALIVE)).result


@scenario
async def dropped_threads_end(path):
    client, on, foo = await with_foo(path)
    thread = await client.thread("short")
    tid = tid_of(await name_of(thread))
    running = (await foo.callIntFnAsync(context=on, arg=-tid)).result
    assert running == 1
    del thread
    for _ in range(1000):
        if (await foo.callIntFnAsync(context=on, arg=-tid)).result == 0:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"thread {tid} still runs")


@scenario
async def texts(path):
    client, on, foo = await with_foo(path)
    for text in ("", "ä€😀", "a\0b", "x" * 100_000):
        assert (await foo.passText(arg=text)).result == text
    for text in (b"\xff", b"ok \xc3", b"\xed\xa0\x80"):
        await fails(foo.passText(arg=text), "FAILED", "FooInterface.passText.arg", "UTF-8")
    call = foo.passCustom(arg={"v1": b"\xff", "v2": 1})
    await fails(call, "FAILED", "FooInterface.passCustom.arg.v1", "UTF-8")
    call = foo.passLists(arg={"texts": ["a", b"\xff"]})
    await fails(call, "FAILED", "FooInterface.passLists.arg.texts", "UTF-8")
    # A thread's name is for people: what is not UTF-8 is replaced.
    thread = (await client.map.makeThread(b"a\xffb")).result
    assert "(from a\ufffdb)" in await name_of(thread)


@scenario
async def values(path):
    client, on, foo = await with_foo(path)
    answer = await foo.divide(a=17, b=5)
    assert (answer.quotient, answer.remainder) == (3, 2)
    assert (await foo.addOut(a=1, b=2)).ret == 3
    assert (await foo.addInOut(x=1, sum=2)).sum == 3
    # The defaults of the schema, both ways.
    for arg in ({"text": "", "data": b""}, {"bool": False, "int64": 5, "uint64": 0, "float64": 2.5, "text": "t",
                     "data": b"\0\1", "enum": "green", "kind": "unknown", "uint32": 7}):
        sent = foo_capnp.FooNumbers.new_message(**arg)
        back = (await foo.passNumbers(arg=sent)).result
        assert back.to_dict() == sent.to_dict(), (back, sent)
    lists = foo_capnp.FooLists.new_message(
        voids=[None, None], bools=[True, False, True], int8s=[-128, 127], int16s=[-32768],
        int32s=[1, -1], int64s=[-(2**63), 2**63 - 1], uint8s=[255], uint16s=[65535],
        uint32s=[2**32 - 1], uint64s=[2**64 - 1], float32s=[0.5], float64s=[1e300],
        texts=["", "ä"], datas=[b"", b"\0"], enums=["blue", "red"],
        structs=[{"v1": "a", "v2": 1}, {"v1": ""}], listsOfNumbers=[[1, 2], [], [3]],
        listsOfTexts=[["a"], []], listsOfEnums=[["blue"]], listsOfStructs=[[{"v1": "x"}], []],
        listsOfListsOfData=[[[b"a"], []], []],
    )
    back = (await foo.passLists(arg=lists)).result
    assert back.to_dict() == lists.to_dict(), back
    back = (await foo.passNumbers()).result
    assert (back.int64, back.float64, back.text) == (-(2**63), float("-inf"), 'default "text"')
    assert (back.data, back.enum, back.kind) == (b"\0\xff\"", "blue", "second")
    back = await foo.passOptional(arg=0, hasArg=True)
    assert back.hasResult and back.result == 0
    assert not (await foo.passOptional(arg=5)).hasResult
    back = await foo.passOptionals(text="", hasText=True, data=b"x", hasData=True, hasList=True)
    assert back.hasText and back.text == "" and back.hasData and back.data == b"x"
    assert back.hasList and len(back.list) == 0 and not back.hasValue
    assert (await foo.passDefaults()).result.startswith("7 17976931348623157"), "defaults"
    back = (await foo.passShared(context=on, arg={"text": "s", "kind": "fancy"})).result
    assert back.text == "s" and back.kind == "fancy"
    struct = {"name": "n", "setInt": [1], "vectorBool": [True], "optionalInt": 3,
              "hasOptionalInt": True, "mapStringInt": [{"first": "k", "second": 2}],
              "custom": {"v1": "c", "v2": -1}}
    back = (await getattr(foo, "pass")(arg=struct)).result
    sent = foo_capnp.FooStruct.new_message(**struct)
    assert {**sent.to_dict(), "unorderedSetInt": []} == {"unorderedSetInt": [], **back.to_dict()}
    answer = await getattr(foo, "raise")(arg=struct)
    assert answer.error.name == "n"


@scenario
async def big_data(path):
    client, on, foo = await with_foo(path)
    for size in (1 << 20, 8 << 20):
        data = bytes(range(256)) * (size // 256)
        assert (await foo.passData(arg=data)).result == data
    # Many at once; all are answered whole.
    data = bytes(1 << 20)
    answers = await asyncio.gather(*(foo.passData(arg=data) for _ in range(8)))
    assert all(answer.result == data for answer in answers)
    back = (await foo.passDataPointers(arg=[data, b"", data])).result
    assert [len(one) for one in back] == [1 << 20, 0, 1 << 20]


@scenario
async def disconnect_during_a_call(path):
    client, on, foo = await with_foo(path)
    held = asyncio.ensure_future(awaited(foo.callIntFnAsync(context=on, arg=HOLD)))
    other = await client.thread("other")
    # The call is under way when another is answered.
    while (await foo.callIntFnAsync(context=client.on(other), arg=HELD)).result == 0:
        await asyncio.sleep(0.01)
    say("held")
    client.client.close()
    await fails(held, "DISCONNECTED")


async def awaited(promise):
    await promise


@scenario
async def disconnect_during_a_callback(path):
    client, on, foo = await with_foo(path)
    begun = asyncio.Event()

    async def function(context, arg):
        begun.set()
        await asyncio.Event().wait()

    callback = Callback(function)
    call = asyncio.ensure_future(awaited(foo.callback(context=on, callback=callback, arg=1)))
    await begun.wait()
    assert not call.done()
    # Gone without a word.
    os._exit(0)


@scenario
async def threads_without_end(path):
    client, on, foo = await with_foo(path)
    threads = []
    try:
        while len(threads) < 1000:
            threads.append((await client.map.makeThread("more")).result)
        raise AssertionError("no limit")
    except capnp.KjException as error:
        assert error.type == "OVERLOADED" and "too many threads" in error.description, error
    # Others are served, and this one again once it has let go of some.
    await (await connect_foo(path)).thread()
    await fails(client.map.makePool(count=1000), "OVERLOADED")
    threads.clear()
    for _ in range(1000):
        try:
            await client.thread("again")
            return
        except capnp.KjException:
            await asyncio.sleep(0.01)
    raise AssertionError("no thread although all were let go of")


@scenario
async def pipelined_calls(path):
    """C++ clients call on results that have not come yet."""
    client = await connect_foo(path)
    thread = client.map.makeThread("early").result
    foo = client.init.makeFoo(context=client.on(thread)).result
    assert (await foo.add(a=1, b=2)).result == 3
    made = foo.makeCallbacks(context=client.on(thread), arg=3)
    assert (await made.first.call(context=client.on(thread), arg=4)).result == 7
    say("tid", tid_of(await name_of(thread)))


@scenario
async def core_init(path):
    schema = peer.load_later()
    await use_init(await connect_core(path, schema), schema)


async def use_init(client, schema):
    on = client.on(await client.thread())
    echo = (await client.init.makeEcho(context=on)).result
    for text in ("hi", "", "ä"):
        assert (await echo.echo(context=on, echo=text)).result == text
    await fails(echo.echo(context=on, echo=b"\xff"), "FAILED", "Echo.echo.echo", "UTF-8")
    # What this process does not offer is null, and no error.
    assert not (await client.init.makeMining(context=on))._has("result")
    assert not (await client.init.makeRpc(context=on))._has("result")
    old = "Old mining interface (@2) not supported. Please update your client!"
    await fails(client.init.makeMiningOld2(), "FAILED", old)
    await fails(client.init.makeLater(context=on), "UNIMPLEMENTED", "Method not implemented.")
    await fails(echo.cast_as(schema.Init).makeEcho(context=on), "UNIMPLEMENTED")
    await echo.destroy(context=on)
    await fails(echo.echo(context=on, echo="hi"), "FAILED", "after its destroy")
    await fails(echo.destroy(context=on), "FAILED", "after its destroy")
    again = (await client.init.makeEcho(context=on)).result
    assert (await again.echo(context=on, echo="again")).result == "again"


@scenario
async def many_clients(path):
    clients = [await connect_foo(path) for _ in range(20)]
    threads = [await client.thread(str(index)) for index, client in enumerate(clients)]

    async def use(client, thread):
        made = (await client.init.makeFoo(context=client.on(thread))).result
        assert (await made.add(a=1, b=1)).result == 2

    await asyncio.gather(*(use(*pair) for pair in zip(clients, threads)))


@scenario
async def core_parent(program):
    """Spawns a process as Core does: exactly `<program> -ipcfd <N>`, over a socketpair."""
    schema = peer.load_later()
    await spawn_and_use([program, "-ipcfd"], schema)


@scenario
async def serve_parent(program):
    schema = peer.load_later()
    await spawn_and_use([program, "serve", "--fd"], schema)


async def spawn_and_use(words, schema):
    ours, theirs = socket.socketpair()
    fd = theirs.fileno()
    child = subprocess.Popen([*words, str(fd)], pass_fds=[fd], stdin=subprocess.DEVNULL)
    try:
        theirs.close()
        client = await connect_core(None, schema, sock=ours)
        await use_init(client, schema)
        name = await name_of((await client.map.makeThread("main")).result)
        assert name.startswith(f"bitcoin-node-{child.pid}/"), name
        # It ends when its parent lets go.
        client.client.close()
        client.stream.close()
        assert await asyncio.to_thread(child.wait, 5) == 0, child.returncode
    finally:
        child.kill()
        child.wait()


async def main():
    _, name, path = sys.argv
    await asyncio.wait_for(SCENARIOS[name](path), TIME)


if __name__ == "__main__":
    peer.run(main)
