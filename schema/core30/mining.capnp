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

    waitTipChanged @3 (context :Proxy.Context, currentTip :Data, timeout :Float64) -> (result :Common.BlockRef);
    # Waits until the tip is no longer `currentTip`, `timeout` milliseconds at most.

    createNewBlock @4 (options :BlockCreateOptions) -> (result :BlockTemplate);
    # Makes a block template.

    checkBlock @5 (block :Data, options :BlockCheckOptions) -> (reason :Text, debug :Text, result :Bool);
    # Checks a serialized block against the tip.
}

interface BlockTemplate {
    # A block template that the node holds.

    destroy @0 (context :Proxy.Context) -> ();
    getBlockHeader @1 (context :Proxy.Context) -> (result :Data);
    getBlock @2 (context :Proxy.Context) -> (result :Data);
    getTxFees @3 (context :Proxy.Context) -> (result :List(Int64));
    getTxSigops @4 (context :Proxy.Context) -> (result :List(Int64));
    getCoinbaseTx @5 (context :Proxy.Context) -> (result :Data);
    getCoinbaseCommitment @6 (context :Proxy.Context) -> (result :Data);
    getWitnessCommitmentIndex @7 (context :Proxy.Context) -> (result :Int32);
    getCoinbaseMerklePath @8 (context :Proxy.Context) -> (result :List(Data));
    submitSolution @9 (context :Proxy.Context, version :UInt32, timestamp :UInt32, nonce :UInt32, coinbase :Data) -> (result :Bool);
    waitNext @10 (context :Proxy.Context, options :BlockWaitOptions) -> (result :BlockTemplate);
    interruptWait @11 () -> ();
}

struct BlockCreateOptions {
    # How to make a template.

    useMempool @0 :Bool;
    # Whether transactions of the mempool are taken.

    blockReservedWeight @1 :UInt64;
    # Weight units kept free for header, transaction count and coinbase.

    coinbaseOutputMaxAdditionalSigops @2 :UInt64;
    # Signature operations kept free for coinbase outputs.
}

struct BlockWaitOptions {
    # What to wait for.

    timeout @0 :Float64;
    # Milliseconds; the largest double is for ever.

    feeThreshold @1 :Int64;
    # Satoshi more in fees that make a template better; at or above 2100000000000000 fees do not count.
}

struct BlockCheckOptions {
    # What to check.

    checkMerkleRoot @0 :Bool;
    checkPow @1 :Bool;
}
