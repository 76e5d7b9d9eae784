# Every feature of the generator, for tests.
@0xb1c5a4e2f07d9368;

using Proxy = import "/mp/proxy.capnp";
using Shared = import "shared.capnp";

interface FooInit {
    # The bootstrap interface of a test process.

    construct @0 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);
    makeFoo @1 (context :Proxy.Context) -> (result :FooInterface);
    # Makes the interface under test.
}

interface FooInterface {
    # One method for each way in which values, objects and failures cross.

    add @0 (a :Int32, b :Int32) -> (result :Int32);
    # Without `context`: runs on the event loop's thread in C++, on a worker here.

    addOut @1 (a :Int32, b :Int32) -> (ret :Int32);
    # One out-parameter is the value returned.

    addInOut @2 (x :Int32, sum :Int32) -> (sum :Int32);
    # An in-out parameter is a parameter and a result.

    divide @3 (a :Int32, b :Int32) -> (quotient :Int32, remainder :Int32);
    # Several out-parameters are a struct.

    pass @4 (arg :FooStruct) -> (result :FooStruct);
    raise @5 (arg :FooStruct) -> (error :FooStruct $Proxy.exception("FooStruct"));
    # Throws `arg`, as a declared exception.

    raiseOr @6 (raise :Bool, arg :Int32) -> (result :Int32, error :Text $Proxy.exception("Text"));
    # Throws or returns.

    initThreadMap @7 (threadMap :Proxy.ThreadMap) -> (threadMap :Proxy.ThreadMap);

    callback @8 (context :Proxy.Context, callback :FooCallback, arg :Int32) -> (result :Int32);
    callbackUnique @9 (context :Proxy.Context, callback :FooCallback, arg :Int32) -> (result :Int32);
    callbackShared @10 (context :Proxy.Context, callback :FooCallback, arg :Int32) -> (result :Int32);
    saveCallback @11 (context :Proxy.Context, callback :FooCallback) -> ();
    callbackSaved @12 (context :Proxy.Context, arg :Int32) -> (result :Int32);
    callbackExtended @13 (context :Proxy.Context, callback :ExtendedCallback, arg :Int32) -> (result :Int32);
    passCallback @14 (context :Proxy.Context, callback :FooCallback) -> (result :FooCallback);
    # Answers the object it is given.

    passCallbacks @15 (context :Proxy.Context, arg :List(FooCallback)) -> (result :List(FooCallback));
    passHolder @16 (context :Proxy.Context, arg :FooHolder) -> (result :FooHolder);
    # Objects in a struct.

    makeCallbacks @17 (context :Proxy.Context, arg :Int32) -> (first :FooCallback, second :FooCallback);
    # Two objects as out-parameters.

    passCustom @18 (arg :FooCustom) -> (result :FooCustom);
    passEmpty @19 (arg :FooEmpty) -> (result :FooEmpty);
    passData @20 (arg :Data) -> (result :Data);
    passText @21 (arg :Text) -> (result :Text);
    passMessage @22 (arg :FooMessage) -> (result :FooMessage);
    passMutable @23 (arg :FooMutable) -> (arg :FooMutable);
    passEnum @24 (arg :FooEnum) -> (result :FooEnum);
    passDouble @25 (arg :Float64) -> (result :Float64);
    passVoid @26 (arg :Void) -> (result :Void);
    passNumbers @27 (arg :FooNumbers) -> (result :FooNumbers);
    passLists @28 (arg :FooLists) -> (result :FooLists);
    passOptional @29 (arg :Int32, hasArg :Bool) -> (result :Int32, hasResult :Bool);
    passOptionals @30 (text :Text, hasText :Bool, data :Data, hasData :Bool, list :List(Text), hasList :Bool, value :FooCustom, hasValue :Bool) -> (text :Text, hasText :Bool, data :Data, hasData :Bool, list :List(Text), hasList :Bool, value :FooCustom, hasValue :Bool);
    passDefaults @31 (count :Int32 = 7, timeout :Float64 = 1.7976931348623157e308, name :Text = "foo", on :Bool = true) -> (result :Text);
    passDataPointers @32 (arg :List(Data)) -> (result :List(Data));
    passShared @33 (context :Proxy.Context, arg :Shared.SharedValue) -> (result :Shared.SharedValue);
    # A value of another file.

    passFn @34 (context :Proxy.Context, fn :FooFn) -> (result :Int32);
    passTextFn @35 (context :Proxy.Context, fn :FooTextFn, arg :Text) -> (result :Text);
    callFn @36 () -> ();
    callFnAsync @37 (context :Proxy.Context) -> ();
    callIntFnAsync @38 (context :Proxy.Context, arg :Int32) -> (result :Int32);

    type @39 (build :Int32, read :Text, self :Bool) -> (params :Int32, results :Text);
    # Names that mean something in Rust or in generated code.
}

interface FooCallback {
    # Called back; a closure can stand for it.

    destroy @0 (context :Proxy.Context) -> ();
    call @1 (context :Proxy.Context, arg :Int32) -> (result :Int32);
}

interface ExtendedCallback extends(FooCallback) {
    # A callback that inherits its first method.

    callExtended @0 (context :Proxy.Context, arg :Int32) -> (result :Int32);
}

interface FooFn {
    # A function without parameters.

    destroy @0 (context :Proxy.Context) -> ();
    call @1 (context :Proxy.Context) -> (result :Int32);
}

interface FooTextFn {
    # A function with parameters of several kinds.

    destroy @0 (context :Proxy.Context) -> ();
    call @1 (context :Proxy.Context, text :Text, data :Data, numbers :List(Int32), value :FooCustom) -> (result :Text);
}

struct FooStruct {
    # Text, lists, an optional number and structs within.

    name @0 :Text;
    setInt @1 :List(Int32);
    vectorBool @2 :List(Bool);
    optionalInt @3 :Int32;
    hasOptionalInt @4 :Bool;
    unorderedSetInt @5 :List(Int32);
    mapStringInt @6 :List(StringIntPair);
    custom @7 :FooCustom;
    # A struct in a struct.
}

struct FooCustom {
    v1 @0 :Text;
    v2 @1 :Int32;
}

struct FooEmpty {
    # Nothing.
}

struct FooMessage {
    message @0 :Text;
}

struct FooMutable {
    message @0 :Text;
}

struct StringIntPair {
    first @0 :Text;
    second @1 :Int32;
}

struct FooHolder {
    # Objects, alone and in a list.

    name @0 :Text;
    one @1 :FooCallback;
    many @2 :List(FooCallback);
    holders @3 :List(FooHolder);
    # A struct may hold a list of itself.
}

struct FooNumbers {
    # Each type of number, with a default.

    bool @0 :Bool = true;
    int8 @1 :Int8 = -8;
    int16 @2 :Int16 = -1600;
    int32 @3 :Int32 = -320000;
    int64 @4 :Int64 = -9223372036854775808;
    uint8 @5 :UInt8 = 8;
    uint16 @6 :UInt16 = 1600;
    uint32 @7 :UInt32 = 4294967295;
    uint64 @8 :UInt64 = 18446744073709551615;
    float32 @9 :Float32 = 1.5;
    float64 @10 :Float64 = -inf;
    text @11 :Text = "default \"text\"";
    data @12 :Data = 0x"00 ff 22";
    enum @13 :FooEnum = blue;
    zero @14 :Int32;
    kind @15 :Kind = second;

    enum Kind {
        # An enum within a struct.

        first @0;
        second @1;
        unknown @2;
    }
}

struct FooLists {
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
    enums @14 :List(FooEnum);
    structs @15 :List(FooCustom);
    listsOfNumbers @16 :List(List(Int32));
    listsOfTexts @17 :List(List(Text));
    listsOfEnums @18 :List(List(FooEnum));
    listsOfStructs @19 :List(List(FooCustom));
    listsOfListsOfData @20 :List(List(List(Data)));
}

enum FooEnum {
    # A colour.

    red @0;
    # The first value, which is the default.

    green @1;
    blue @2;
}

struct FooUnused(T) {
    # Generic, and used by no interface: left out.

    value @0 :T;
}
