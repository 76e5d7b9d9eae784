# error: generic-method.capnp: Foo.foo: generic methods are not supported by the typed generator
@0x9a00000000000005;
using Proxy = import "/mp/proxy.capnp";
interface Foo { foo @0 [T] (x :T) -> (); }
