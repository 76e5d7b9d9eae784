# error: apart.capnp: Foo.foo: parameter x: uses a type of union.capnp, which was not compiled with it: compile both together
@0x9a00000000000012;
using Proxy = import "/mp/proxy.capnp";
using Other = import "union.capnp";
interface Foo { foo @0 (x :Other.Value) -> (); }
