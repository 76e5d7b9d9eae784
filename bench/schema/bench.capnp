# What the benchmark calls beyond Core's `Echo`.
@0xd0b6a3c44f1e92a7;

using Proxy = import "/mp/proxy.capnp";

interface BenchInit {
    # The bootstrap interface of the benchmark's child.

    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    makeBench @1 (context :Proxy.Context) -> (result :Bench);
    # Makes the interface that is measured.
}

interface Bench {
    # A method for each thing that is measured.

    destroy @0 (context :Proxy.Context) -> ();

    add @1 (context :Proxy.Context, a :Int32, b :Int32) -> (result :Int32);
    # The plain call beside callbacks.

    next @2 (context :Proxy.Context) -> (result :Bench);
    # Makes another one, to be called on.

    keep @3 (context :Proxy.Context, term :Term) -> ();
    # Keeps an object of the caller, which `sum` calls back.

    sum @4 (context :Proxy.Context, count :Int32) -> (result :Int32);
    # Calls the kept object `count` times, and adds up its answers.

    sumOf @5 (context :Proxy.Context, term :Term, count :Int32) -> (result :Int32);
    # The same with an object that is passed and let go of.

    take @6 (context :Proxy.Context, data :Data) -> (result :UInt32);
    # Answers how many bytes came.

    give @7 (context :Proxy.Context, size :UInt32) -> (result :Data);
    # Answers so many bytes.
}

interface Term {
    # Called back; a closure can stand for it.

    destroy @0 (context :Proxy.Context) -> ();
    call @1 (context :Proxy.Context, n :Int32) -> (result :Int32);
}

interface Plain {
    # Called with capnp-rpc alone: no thread is named.

    echo @0 (text :Text) -> (result :Text);
}
