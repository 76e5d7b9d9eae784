# error: any-pointer.capnp: Foo.foo: parameter x: AnyPointer and type parameters are not supported by the typed generator
@0x9a00000000000003;
using Proxy = import "/mp/proxy.capnp";
interface Foo { foo @0 (x :AnyPointer) -> (); }
