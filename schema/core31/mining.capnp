# Block templates and the chain tip, for Stratum V2 and pools.
@0xc77d03df6a41b505;

using Proxy = import "/mp/proxy.capnp";
using Common = import "common.capnp";

interface Mining {
    # The chain tip and block templates.

    isTestChain @0 (context :Proxy.Context) -> (result :Bool);
    # Whether this is a test chain.

    isInitialBlockDownload @1 (context :Proxy.Context) -> (result :Bool);
    # Whether the node is still catching up.

    getTip @2 (context :Proxy.Context) -> (result :Common.BlockRef, hasResult :Bool);
    # The tip, none before one is known.

    waitTipChanged @3 (context :Proxy.Context, currentTip :Data, timeout :Float64 = 1.7976931348623157e308) -> (result :Common.BlockRef);
    # Waits until the tip is no longer `currentTip`, `timeout` milliseconds at most. Answers the old tip
    # when the time is over, nothing when interrupted or shutting down.

    createNewBlock @4 (context :Proxy.Context, options :BlockCreateOptions, cooldown :Bool = true) -> (result :BlockTemplate);
    # Makes a block template; null when interrupted. With `cooldown` it waits first until initial block
    # download is over and the tip has caught up with the best header, which on a regtest, or a signet
    # with one miner, may be never.

    checkBlock @5 (context :Proxy.Context, block :Data, options :BlockCheckOptions) -> (reason :Text, debug :Text, result :Bool);
    # Checks a serialized block against the tip.

    interrupt @6 () -> ();
    # Ends `waitTipChanged` and `createNewBlock` of this connection.
}

interface BlockTemplate {
    # A block template that the node holds.

    destroy @0 (context :Proxy.Context) -> ();
    getBlockHeader @1 (context :Proxy.Context) -> (result :Data);
    getBlock @2 (context :Proxy.Context) -> (result :Data);
    getTxFees @3 (context :Proxy.Context) -> (result :List(Int64));
    getTxSigops @4 (context :Proxy.Context) -> (result :List(Int64));
    getCoinbaseTx @5 (context :Proxy.Context) -> (result :CoinbaseTx);
    getCoinbaseMerklePath @6 (context :Proxy.Context) -> (result :List(Data));
    submitSolution @7 (context :Proxy.Context, version :UInt32, timestamp :UInt32, nonce :UInt32, coinbase :Data) -> (result :Bool);
    waitNext @8 (context :Proxy.Context, options :BlockWaitOptions) -> (result :BlockTemplate);
    # Waits for a better template, as the options say; null when the time is over or interrupted.

    interruptWait @9 () -> ();
    # Ends `waitNext`.
}

struct BlockCreateOptions {
    # How to make a template.

    useMempool @0 :Bool = true;
    # Whether transactions of the mempool are taken.

    blockReservedWeight @1 :UInt64 = 8000;
    # Weight units kept free for header, transaction count and coinbase.

    coinbaseOutputMaxAdditionalSigops @2 :UInt64 = 400;
    # Signature operations kept free for coinbase outputs.
}

struct BlockWaitOptions {
    # What to wait for.

    timeout @0 :Float64 = 1.7976931348623157e308;
    # Milliseconds; the largest double is for ever.

    feeThreshold @1 :Int64 = 2100000000000000;
    # Satoshi more in fees that make a template better; at or above 2100000000000000 fees do not count.
}

struct BlockCheckOptions {
    # What to check.

    checkMerkleRoot @0 :Bool = true;
    checkPow @1 :Bool = true;
}

struct CoinbaseTx {
    # What a coinbase for this template needs.

    version @0 :UInt32;
    sequence @1 :UInt32;
    scriptSigPrefix @2 :Data;
    # Bytes the scriptSig starts with.

    witness @3 :Data;
    blockRewardRemaining @4 :Int64;
    # Satoshi left to pay out.

    requiredOutputs @5 :List(Data);
    # Serialized outputs that must be there.

    lockTime @6 :UInt32;
}
