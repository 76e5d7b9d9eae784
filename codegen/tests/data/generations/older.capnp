# An older generation of `newer.capnp`.
@0xd0c6b1a4f6a2e914;

using Proxy = import "/mp/proxy.capnp";

interface Shop @0x9a5e1c3b7d2f4e61 {
    sell @0 (context :Proxy.Context, order :Order, count :Int32) -> (result :Receipt);
    list @1 () -> (result :List(Receipt));
    tell @2 (context :Proxy.Context) -> (result :Int32);
    open @3 (context :Proxy.Context) -> (result :Shop);
    close @4 (context :Proxy.Context) -> ();
    swap @5 (context :Proxy.Context, a :Int32, b :Int32) -> ();
    peek @6 (context :Proxy.Context) -> (result :Int32);
    poke @7 () -> ();
}

struct Order @0xb6d7f1e2c3a45890 {
    item @0 :Text;
    old @1 :Bool;
}

struct Receipt @0x8f1e2d3c4b5a6978 {
    price @0 :Int64;
}
