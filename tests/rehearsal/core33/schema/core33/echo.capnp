# The smallest interface: it answers what it is told.
@0x888b4f7f51e691f7;

using Proxy = import "/mp/proxy.capnp";

interface Echo {
    # Answers what it is told: shows that a connection works.

    destroy @0 (context :Proxy.Context) -> ();

    echo @1 (context :Proxy.Context, echo :Text) -> (result :Text);
    # Returns `echo` unchanged.
}
