# error: flag-default.capnp: Foo.foo: parameter hasX: it tells whether `x` is there and can have no default
@0x9a00000000000011;
using Proxy = import "/mp/proxy.capnp";
interface Foo { foo @0 (x :Int32, hasX :Bool = true) -> (); }
