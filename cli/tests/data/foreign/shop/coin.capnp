@0xd2b1f4c07a9e3304;

struct Coin {
  value @0 :UInt32;
}
