# error: same-name.capnp: Foo.getId: becomes `get_id` in Rust, as getID does
@0x9a00000000000008;
using Proxy = import "/mp/proxy.capnp";
interface Foo { getID @0 () -> (); getId @1 () -> (); }
