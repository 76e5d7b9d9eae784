# A newer generation of `older.capnp`.
@0xd0c6b1a4f6a2e914;

using Proxy = import "/mp/proxy.capnp";

interface Shop @0x9a5e1c3b7d2f4e61 {
    sell @0 (context :Proxy.Context, count :Int32, order :Order, gift :Bool = true) -> (result :Receipt);
    list @1 (context :Proxy.Context) -> (result :List(Receipt));
    tell @2 (context :Proxy.Context) -> (result :Text);
    open @3 (context :Proxy.Context) -> (result :Shop);
    swap @5 (context :Proxy.Context, b :Int32, a :Int32) -> ();
    greet @4 (context :Proxy.Context) -> ();
    peek @6 (context :Proxy.Context) -> (result :Int32);
    poke @7 (context :Proxy.Context) -> ();
}

struct Order @0xb6d7f1e2c3a45890 {
    item @0 :Text;
    old @1 :Bool;
    colour @2 :Text = "red";
}

struct Receipt @0x8f1e2d3c4b5a6978 {
    price @0 :Int64;
    shop @1 :Text;
}
