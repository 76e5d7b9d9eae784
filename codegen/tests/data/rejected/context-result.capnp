# error: context-result.capnp: Foo.foo: result c: Proxy.Context cannot stand here: the runtime handles `Proxy.Context` as a parameter, `Proxy.ThreadMap` as a parameter and result of one method
@0x9a0000000000000c;
using Proxy = import "/mp/proxy.capnp";
interface Foo { foo @0 () -> (c :Proxy.Context); }
