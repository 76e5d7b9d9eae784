# What a program and its child say to each other.
@0xb8d71157a19a7327;

using Proxy = import "/mp/proxy.capnp";

interface Sums {
    # What the child serves: its bootstrap interface.

    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);
    # Swaps threads, so that a callback runs on the thread that waits for it.

    sum @1 (context :Proxy.Context, count :Int32, term :Term) -> (result :Int64);
    # Adds `term(1)` to `term(count)`.
}

interface Term {
    # A function of the program's, which the child calls.

    destroy @0 (context :Proxy.Context) -> ();
    call @1 (context :Proxy.Context, n :Int32) -> (result :Int64);
}
