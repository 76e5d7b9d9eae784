# error: same-type.capnp: FooBar: becomes `FooBar` in Rust, as Foo.Bar does
@0x9a0000000000000a;
using Proxy = import "/mp/proxy.capnp";
interface Foo { foo @0 (x :Bar, y :FooBar) -> (); struct Bar { a @0 :Int32; } }
struct FooBar { a @0 :Int32; }
