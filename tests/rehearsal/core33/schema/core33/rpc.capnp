# The node's JSON-RPC over IPC.
@0x9c3505dc45e146ac;

using Proxy = import "/mp/proxy.capnp";

interface Rpc {
    # The node's JSON-RPC without its HTTP server.

    executeRpc @0 (context :Proxy.Context, request :Text, uri :Text, user :Text) -> (result :Text);
    # Executes one JSON-RPC request (JSON text) and returns the response (JSON text). `uri` is the
    # HTTP path a wallet request would use, `user` the name to log.
}
