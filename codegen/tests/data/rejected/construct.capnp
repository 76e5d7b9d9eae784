# error: construct.capnp: Foo.construct: a method that swaps thread maps can have no other parameters and results
@0x9a0000000000000e;
using Proxy = import "/mp/proxy.capnp";
interface Foo { construct @0 (threadMap :Proxy.ThreadMap, x :Int32) -> (threadMap :Proxy.ThreadMap); }
