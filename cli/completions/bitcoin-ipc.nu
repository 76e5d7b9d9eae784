# The program itself answers. Needs Nushell 0.108 or later.
def "nu-complete bitcoin-ipc" [spans: list<string>] {
    let words = $spans | each { str trim --char '"' }
    with-env { BITCOIN_IPC_COMPLETE: nushell } { ^bitcoin-ipc -- ...$words } | lines | each {|line|
        let parts = $line | split row --number 2 "\t"
        { value: $parts.0, description: ($parts | get --optional 1) }
    }
}

@complete "nu-complete bitcoin-ipc"
export extern "bitcoin-ipc" []
