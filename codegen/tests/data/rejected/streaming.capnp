# error: streaming.capnp: Foo.foo: streaming methods are not supported by the typed generator
@0x9a00000000000013;
interface Foo { foo @0 (x :Int32) -> stream; }
