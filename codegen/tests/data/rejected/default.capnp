# error: default.capnp: Value: field list: defaults of lists are not supported by the typed generator
@0x9a00000000000010;
using Proxy = import "/mp/proxy.capnp";
interface Foo { foo @0 (x :Value) -> (); }
struct Value { list @0 :List(Int32) = [1]; }
