# Everything that a schema can hold, for tests of schemas at run time.
@0xd6a5a83d5c9be2f1;

using Proxy = import "/mp/proxy.capnp";

enum Colour {
    red @0;
    green @1;
    blue @2;
}

struct Every {
    # A field of each type, and of each type with a default.

    void @0 :Void;
    bool @1 :Bool;
    int8 @2 :Int8;
    int16 @3 :Int16;
    int32 @4 :Int32;
    int64 @5 :Int64;
    uint8 @6 :UInt8;
    uint16 @7 :UInt16;
    uint32 @8 :UInt32;
    uint64 @9 :UInt64;
    float32 @10 :Float32;
    float64 @11 :Float64;
    text @12 :Text;
    data @13 :Data;
    enum @14 :Colour;
    point @15 :Point;

    defaults :group {
        # A group, whose fields all have defaults.

        bool @16 :Bool = true;
        int8 @17 :Int8 = -128;
        int16 @18 :Int16 = -1600;
        int32 @19 :Int32 = -320000;
        int64 @20 :Int64 = -9223372036854775808;
        uint8 @21 :UInt8 = 255;
        uint16 @22 :UInt16 = 65535;
        uint32 @23 :UInt32 = 4294967295;
        uint64 @24 :UInt64 = 18446744073709551615;
        float32 @25 :Float32 = 1.5;
        float64 @26 :Float64 = -inf;
        text @27 :Text = "default";
        data @28 :Data = 0x"00 ff 22";
        enum @29 :Colour = blue;
        point @30 :Point = (x = 1, y = -2, label = "there");
        numbers @31 :List(Int32) = [1, 2, 3];
        points @32 :List(Point) = [(x = 1), (label = "second")];
    }

    lists @33 :Lists;

    union {
        # One of these.

        nothing @34 :Void;
        number @35 :Int64 = 7;
        word @36 :Text;
        spot @37 :Point;
        pair :group {
            first @38 :Int32;
            second @39 :Text;
        }
        words @40 :List(Text);
    }

    shape :union {
        # A union with a name.

        circle @41 :Float64;
        square @42 :Float32;
        none @43 :Void;
    }

    box @44 :Box(Point);
    texts @45 :Box(Text);
    nested @46 :Box(Box(List(Int16)));
    child @47 :Every;
}

struct Point {
    x @0 :Int32;
    y @1 :Int32;
    label @2 :Text;
}

struct Lists {
    # A list of each type.

    voids @0 :List(Void);
    bools @1 :List(Bool);
    int8s @2 :List(Int8);
    int16s @3 :List(Int16);
    int32s @4 :List(Int32);
    int64s @5 :List(Int64);
    uint8s @6 :List(UInt8);
    uint16s @7 :List(UInt16);
    uint32s @8 :List(UInt32);
    uint64s @9 :List(UInt64);
    float32s @10 :List(Float32);
    float64s @11 :List(Float64);
    texts @12 :List(Text);
    datas @13 :List(Data);
    enums @14 :List(Colour);
    points @15 :List(Point);
    matrix @16 :List(List(Int32));
    cube @17 :List(List(List(Data)));
    structs @18 :List(List(Point));
    boxes @19 :List(Box(Text));
}

struct Box(T) {
    # What a type parameter is bound to, alone and further within.

    value @0 :T;
    label @1 :Label;

    struct Label {
        # Bound where its outer struct is.

        name @0 :Text;
        value @1 :T;
    }
}

struct Holder {
    # What is behind pointers of no type.

    any @0 :AnyPointer;
    unbound @1 :Box;
    keeper @2 :Keeper(Text);
    keepers @3 :List(Keeper(Point));
}

struct Endless {
    # A default that contains itself.

    name @0 :Text;
    next @1 :Endless = (name = "again");
    twice @2 :Twice(Text);
}

struct Twice(T) {
    # A type that doubles with each level.

    next @0 :Twice(Pair(T, T));
    value @1 :T;
}

struct Pair(A, B) {
    first @0 :A;
    second @1 :B;
}

struct Old {
    # As an older schema had `New`.

    kind @0 :OldKind;
    union {
        one @1 :Int32;
        two @2 :Text;
    }
}

enum OldKind {
    first @0;
    second @1;
}

struct New {
    kind @0 :NewKind;
    union {
        one @1 :Int32;
        two @2 :Text;
        three @3 :Int32;
    }
    more @4 :Text;
}

enum NewKind {
    first @0;
    second @1;
    third @2;
}

interface Keeper(T) {
    # Generic.

    destroy @0 (context :Proxy.Context) -> ();
    keep @1 (context :Proxy.Context, value :T) -> (old :T);
    other @2 (context :Proxy.Context) -> (result :Keeper(T));
}

interface Named {
    name @0 () -> (result :Text);
}

interface TextKeeper extends(Keeper(Text), Named) {
    # Inherits a generic interface and a plain one.

    size @0 () -> (result :UInt64, hasResult :Bool);
}

const answer :Int32 = 42;
const origin :Point = (label = "origin");

interface Root {
    # What a process without generated code serves first.

    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);
    makeKeeper @1 (context :Proxy.Context) -> (result :TextKeeper);
    pass @2 (context :Proxy.Context, value :Every) -> (result :Every);
    hold @3 (context :Proxy.Context, value :AnyPointer, inner :Box(Named)) -> (result :AnyPointer);
    # Answers `value`, which may be an object.
}
