# Values that another schema file uses.
@0xd2f86b01c93e745a;

struct SharedValue {
    # A value of a file without interfaces.

    text @0 :Text;
    kind @1 :SharedKind;
}

enum SharedKind {
    # An enum of a file without interfaces.

    plain @0;
    fancy @1;
}
