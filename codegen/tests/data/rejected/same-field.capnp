# error: same-field.capnp: Value: field txId: becomes `tx_id` in Rust, as txID does
@0x9a00000000000009;
using Proxy = import "/mp/proxy.capnp";
interface Foo { foo @0 (x :Value) -> (); }
struct Value { txID @0 :Int32; txId @1 :Int32; }
