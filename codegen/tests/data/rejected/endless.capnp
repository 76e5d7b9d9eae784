# error: endless.capnp: Node: field next: `Node` contains itself: only a list of itself is supported by the typed generator
@0x9a00000000000007;
using Proxy = import "/mp/proxy.capnp";
interface Foo { foo @0 (x :Node) -> (); }
struct Node { next @0 :Node; }
