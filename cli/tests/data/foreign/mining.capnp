# Has the names of Bitcoin Core's interfaces and is another program's.
@0xd2b1f4c07a9e3302;

interface Mining {
  waitTipChanged @0 (currentTip :Data, timeout :Float64) -> (result :BlockRef);
  createNewBlock @1 (cooldown :Bool) -> (hash :Data);
}

struct BlockRef {
  hash @0 :Data;
}
