# Every kind of declaration that programs have in their schemas, for tests of the command line.
@0xd2b1f4c07a9e3301;

annotation shown(struct, field, method) :Text;
# What a form calls it.

const greeting :Text = "good day";
# Said at the door.

const limits :Limits = (lowest = -3, steps = [1, 2]);

struct Limits {
  lowest @0 :Int32 = -1;
  steps @1 :List(UInt16);
}

struct Box(T) {
  # Holds one thing.

  item @0 :T;
  lid @1 :Lid;
  spare @2 :Box(T);

  struct Lid {
    of @0 :T;
    colour @1 :Colour;
  }

  enum Colour {
    grey @0;
    brown @1;
    # As wood is.
  }

  const edge :UInt8 = 7;
}

struct Shape {
  name @0 :Text = "shape" $shown("Name");

  union {
    circle @1 :Float64;
    # Its radius.
    rectangle :group {
      width @2 :Float64 = 1;
      height @3 :Float64;
    }
    nothing @4 :Void;
  }

  paint :union {
    none @5 :Void;
    colour @6 :Box(Text).Colour;
    mixed @7 :List(Box(Data).Lid);
  }
}

interface Desk {
  # Served first: nothing else leads to it.

  open @0 (name :Text, pages :List(Text)) -> (ledger :Ledger);
  # Requires what to open.
  drawers @1 () -> (drawers :List(Drawer));
  boxed @2 () -> (box :Box(Clerk));
  both @3 () -> (first :Scale, second :Drawer);
  watch @4 (bell :Bell, times :UInt32) -> ();
  measure @5 Shape -> (area :Float64, limits :Limits);
  wait @6 (timeout :Float64) -> ();
  # In seconds.
  plain @7 () -> (stamp :Stamp);

  enum Kind {
    small @0;
    large @1;
  }

  interface Bell {
    ring @0 (loud :Bool);
    # Called by the desk.
  }
}

interface Ledger extends(Named, Shelf(Text)) {
  entry @0 (name :Text, at :UInt64) -> (entry :Entry);
  # Has a parameter of the name that `open` has.
  pages @1 [T, U] (first :T, all :U) -> (last :U, kept :Box(T));
  append @2 (line :Data) -> stream;
  any @3 (any :AnyPointer, struct :AnyStruct, cap :Capability) -> ();
}

interface Entry {
  read @0 () -> (text :Text);
}

interface Drawer {
  pull @0 (kind :Desk.Kind) -> (paper :Paper);
}

interface Paper {
  text @0 () -> (text :Text);
}

interface Clerk {
  ask @0 (question :Text) -> (answer :Text);
}

interface Scale {
  weigh @0 (thing :Data) -> (grams :UInt64);
}

interface Stamp {
  press @0 () -> ();
}

interface Named {
  name @0 () -> (name :Text);
}

interface Shelf(T) {
  put @0 (value :T) -> ();
  get @1 () -> (value :T);
}
