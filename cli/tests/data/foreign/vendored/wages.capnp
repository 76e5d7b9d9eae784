@0xd2b1f4c07a9e3307;

using Proxy = import "proxy.capnp";
using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("office");

interface Wages {
  destroy @0 (context :Proxy.Context) -> ();
  sum @1 (context :Proxy.Context, month :Int32) -> (result :Int64);
}
