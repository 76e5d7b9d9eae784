@0xd2b1f4c07a9e3305;

struct Ware {
  name @0 :Text;
}
