# error: generic-struct.capnp: Foo.foo: result pair: generic types are not supported by the typed generator
@0x9a00000000000004;
using Proxy = import "/mp/proxy.capnp";
interface Foo { foo @0 () -> (pair :Pair(Text)); }
struct Pair(T) { first @0 :T; }
