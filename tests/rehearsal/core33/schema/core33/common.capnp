# Values that several interfaces share.
@0xcd2c6232cb484a28;

struct BlockRef {
    # A block by hash and height.

    hash @0 :Data;
    # 32 bytes in internal order.

    height @1 :Int32;
}
