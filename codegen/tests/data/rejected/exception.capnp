# error: exception.capnp: Foo.foo: result error: an exception must be a struct, text, data or list, so that it can be absent
@0x9a0000000000000f;
using Proxy = import "/mp/proxy.capnp";
interface Foo { foo @0 () -> (error :Int32 $Proxy.exception("int")); }
