# error: group.capnp: Value: field g: groups and named unions are not supported by the typed generator
@0x9a00000000000002;
using Proxy = import "/mp/proxy.capnp";
interface Foo { foo @0 (x :Value) -> (); }
struct Value { g :group { a @0 :Text; } }
