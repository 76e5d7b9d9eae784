@0xd2b1f4c07a9e3303;

using Coin = import "/shop/coin.capnp";
using import "../goods.capnp".Ware;

interface Till {
  pay @0 (coin :Coin.Coin, ware :Ware) -> (change :List(Coin.Coin));
}
