# error: taken.capnp: Foo.foo: parameter x: `Result` is a name that the generated code uses itself
@0x9a0000000000000b;
using Proxy = import "/mp/proxy.capnp";
interface Foo { foo @0 (x :Result) -> (); }
struct Result { a @0 :Int32; }
