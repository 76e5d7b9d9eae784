# error: generic-interface.capnp: Foo: generic types are not supported by the typed generator
@0x9a00000000000006;
using Proxy = import "/mp/proxy.capnp";
interface Foo(T) { foo @0 () -> (); }
