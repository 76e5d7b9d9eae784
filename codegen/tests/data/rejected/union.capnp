# error: union.capnp: Value: unions are not supported by the typed generator
@0x9a00000000000001;
using Proxy = import "/mp/proxy.capnp";
interface Foo { foo @0 (x :Value) -> (); }
struct Value { union { a @0 :Text; b @1 :Int32; } }
