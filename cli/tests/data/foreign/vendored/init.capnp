# A program's own Init, beside the files that it imports by both of their names.
@0xd2b1f4c07a9e3306;

using Proxy = import "/mp/proxy.capnp";
using Cxx = import "c++.capnp";
using Till = import "wages.capnp";
$Cxx.namespace("office");

interface Init {
  construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);
  makeWages @1 (context :Proxy.Context, year :Int32) -> (result :Till.Wages);
}
