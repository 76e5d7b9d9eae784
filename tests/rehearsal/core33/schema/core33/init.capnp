# The bootstrap interface of every process.
@0xf2c5cfa319406aa6;

using Proxy = import "/mp/proxy.capnp";
using Echo = import "echo.capnp";
using Mining = import "mining.capnp";
using Rpc = import "rpc.capnp";

interface Init {
    # What a process serves first; it makes every other interface. A process that does not offer one
    # answers null.

    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);
    # Swaps thread maps, so that each side can make threads in the other. The first call.

    makeEcho @1 (context :Proxy.Context) -> (result :Echo.Echo);
    # Makes the echo interface.

    makeMiningOld2 @2 () -> ();
    # Where Core 30 has `makeMining`: always answers with an error.

    makeMiningOld3 @3 () -> ();
    # Where Core 31 and 32 have `makeMining`: always answers with an error.

    makeRpc @4 (context :Proxy.Context) -> (result :Rpc.Rpc);
    # Makes the JSON-RPC interface.

    makeMining @5 (context :Proxy.Context) -> (result :Mining.Mining);
    # Makes the mining interface.
}
