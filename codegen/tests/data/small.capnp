# A schema that is small enough to read what becomes of it.
@0xa9f0c6b1d2e34758;

using Proxy = import "/mp/proxy.capnp";

interface Counter {
    # Counts, for <whoever> asks.

    destroy @0 (context :Proxy.Context) -> ();

    add @1 (context :Proxy.Context, by :Int32 = 1, label :Text, hasLabel :Bool) -> (total :Int64, state :State);
    # Adds `by`, and tells the total.

    watch @2 (context :Proxy.Context, watcher :Watcher) -> (result :Watcher, error :Failure $Proxy.exception("Failure"));
    reset @3 () -> ();
}

interface Watcher {
    # Called with each new total.

    destroy @0 (context :Proxy.Context) -> ();
    call @1 (context :Proxy.Context, totals :List(Int64)) -> (result :Bool);
}

struct Failure {
    # Why it failed.

    text @0 :Text = "failed";
    codes @1 :List(List(UInt8));
}

enum State {
    # What a counter is doing.

    idle @0;
    counting @1;
}
