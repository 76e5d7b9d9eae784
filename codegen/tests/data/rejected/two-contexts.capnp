# error: two-contexts.capnp: Foo.foo: parameter b: a second Proxy.Context in one method
@0x9a0000000000000d;
using Proxy = import "/mp/proxy.capnp";
interface Foo { foo @0 (a :Proxy.Context, b :Proxy.Context) -> (); }
