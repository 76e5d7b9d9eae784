# Has the names of Bitcoin Core's interfaces and is another program's.
@0xd2b1f4c07a9e3302;

interface Mining {
  waitTipChanged @0 (currentTip :Data, timeout :Float64) -> (result :BlockRef);
  createNewBlock @1 (cooldown :Bool) -> (hash :Data);
  submit @2 (block :BlockRef) -> ();
}

struct BlockRef {
  hash @0 :Data;
  hasNote @1 :Bool;
  note @2 :Text;
}
