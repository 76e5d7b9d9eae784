# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_bitcoin_ipc_global_optspecs
    string join \n a/address= chain= datadir= timeout= wait= o/output= schema= core= wire-order v/verbose q/quiet color= h/help V/version
end

function __fish_bitcoin_ipc_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_bitcoin_ipc_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_bitcoin_ipc_using_subcommand
    set -l cmd (__fish_bitcoin_ipc_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_needs_command" -s a -l address -d 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_needs_command" -l chain -d 'The chain whose node and data directory are meant' -r -f -a "main\t''
test\t''
testnet4\t''
signet\t''
regtest\t''"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_needs_command" -l datadir -d 'The data directory of all chains, as Bitcoin Core\'s -datadir [default: ~/.bitcoin]' -r -f -a "(__fish_complete_directories)"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_needs_command" -l timeout -d 'How long connecting and each call may take: 250ms, 5s, 2m, 1h or forever' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_needs_command" -l wait -d 'Keep trying to connect, for ever or for this long' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_needs_command" -s o -l output -d 'How results are printed' -r -f -a "auto\t'A scalar plain, anything else as JSON, indented on a terminal'
json\t'Always JSON, one line each; errors too, on stderr'
raw\t'The value alone, without quotes and without a newline'
table\t'Columns'"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_needs_command" -l schema -d 'A schema of your own, which wins over the built-in one: a compiled file, a .capnp file, or a folder of them' -r -F
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_needs_command" -l core -d 'The generation of Bitcoin Core whose schema is meant; auto asks the peer' -r -f -a "auto\t'The peer\'s own, which is asked; the newest where there is no peer'
30\t'Bitcoin Core 30'
31\t'Bitcoin Core 31'
32\t'Bitcoin Core 32'"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_needs_command" -l color -d 'Whether to use colours on stderr' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_needs_command" -l wire-order -d 'Hashes as they are on the wire, not in display order'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_needs_command" -s v -l verbose -d 'Log requests and responses; twice for everything'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_needs_command" -s q -l quiet -d 'Print no status and no warnings, only errors'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_needs_command" -s V -l version -d 'Print version'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_needs_command" -f -a "spawn" -d 'Start a child over a socketpair and hold its Init'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_needs_command" -f -a "serve" -d 'Answer Init requests: a parent\'s until it is gone, clients\' until a signal'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_needs_command" -f -a "connect" -d 'Open one connection and talk: a prompt on a terminal, lines from a pipe'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_needs_command" -f -a "call" -d 'Make one call and print its result on stdout'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_needs_command" -f -a "list" -d 'List the interfaces, or an interface\'s methods'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_needs_command" -f -a "describe" -d 'Describe an interface, a method, a struct or an enum'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_needs_command" -f -a "completions" -d 'Print a shell\'s completions'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_needs_command" -f -a "man" -d 'Print the manual page'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand spawn" -s a -l address -d 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand spawn" -l chain -d 'The chain whose node and data directory are meant' -r -f -a "main\t''
test\t''
testnet4\t''
signet\t''
regtest\t''"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand spawn" -l datadir -d 'The data directory of all chains, as Bitcoin Core\'s -datadir [default: ~/.bitcoin]' -r -f -a "(__fish_complete_directories)"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand spawn" -l timeout -d 'How long connecting and each call may take: 250ms, 5s, 2m, 1h or forever' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand spawn" -l wait -d 'Keep trying to connect, for ever or for this long' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand spawn" -s o -l output -d 'How results are printed' -r -f -a "auto\t'A scalar plain, anything else as JSON, indented on a terminal'
json\t'Always JSON, one line each; errors too, on stderr'
raw\t'The value alone, without quotes and without a newline'
table\t'Columns'"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand spawn" -l schema -d 'A schema of your own, which wins over the built-in one: a compiled file, a .capnp file, or a folder of them' -r -F
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand spawn" -l core -d 'The generation of Bitcoin Core whose schema is meant; auto asks the peer' -r -f -a "auto\t'The peer\'s own, which is asked; the newest where there is no peer'
30\t'Bitcoin Core 30'
31\t'Bitcoin Core 31'
32\t'Bitcoin Core 32'"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand spawn" -l color -d 'Whether to use colours on stderr' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand spawn" -l wire-order -d 'Hashes as they are on the wire, not in display order'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand spawn" -s v -l verbose -d 'Log requests and responses; twice for everything'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand spawn" -s q -l quiet -d 'Print no status and no warnings, only errors'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand spawn" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand serve" -l fd -d 'Serve the peer of this inherited, connected socket' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand serve" -l listen -d 'Listen at this address, unix:PATH or fd:N, and serve everyone who connects' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand serve" -l role -d 'Whose Init to serve' -r -f -a "node\t''
wallet\t''
gui\t''"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand serve" -s a -l address -d 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand serve" -l chain -d 'The chain whose node and data directory are meant' -r -f -a "main\t''
test\t''
testnet4\t''
signet\t''
regtest\t''"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand serve" -l datadir -d 'The data directory of all chains, as Bitcoin Core\'s -datadir [default: ~/.bitcoin]' -r -f -a "(__fish_complete_directories)"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand serve" -l timeout -d 'How long connecting and each call may take: 250ms, 5s, 2m, 1h or forever' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand serve" -l wait -d 'Keep trying to connect, for ever or for this long' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand serve" -s o -l output -d 'How results are printed' -r -f -a "auto\t'A scalar plain, anything else as JSON, indented on a terminal'
json\t'Always JSON, one line each; errors too, on stderr'
raw\t'The value alone, without quotes and without a newline'
table\t'Columns'"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand serve" -l schema -d 'A schema of your own, which wins over the built-in one: a compiled file, a .capnp file, or a folder of them' -r -F
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand serve" -l core -d 'The generation of Bitcoin Core whose schema is meant; auto asks the peer' -r -f -a "auto\t'The peer\'s own, which is asked; the newest where there is no peer'
30\t'Bitcoin Core 30'
31\t'Bitcoin Core 31'
32\t'Bitcoin Core 32'"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand serve" -l color -d 'Whether to use colours on stderr' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand serve" -l wire-order -d 'Hashes as they are on the wire, not in display order'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand serve" -s v -l verbose -d 'Log requests and responses; twice for everything'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand serve" -s q -l quiet -d 'Print no status and no warnings, only errors'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand connect" -s a -l address -d 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand connect" -l chain -d 'The chain whose node and data directory are meant' -r -f -a "main\t''
test\t''
testnet4\t''
signet\t''
regtest\t''"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand connect" -l datadir -d 'The data directory of all chains, as Bitcoin Core\'s -datadir [default: ~/.bitcoin]' -r -f -a "(__fish_complete_directories)"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand connect" -l timeout -d 'How long connecting and each call may take: 250ms, 5s, 2m, 1h or forever' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand connect" -l wait -d 'Keep trying to connect, for ever or for this long' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand connect" -s o -l output -d 'How results are printed' -r -f -a "auto\t'A scalar plain, anything else as JSON, indented on a terminal'
json\t'Always JSON, one line each; errors too, on stderr'
raw\t'The value alone, without quotes and without a newline'
table\t'Columns'"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand connect" -l schema -d 'A schema of your own, which wins over the built-in one: a compiled file, a .capnp file, or a folder of them' -r -F
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand connect" -l core -d 'The generation of Bitcoin Core whose schema is meant; auto asks the peer' -r -f -a "auto\t'The peer\'s own, which is asked; the newest where there is no peer'
30\t'Bitcoin Core 30'
31\t'Bitcoin Core 31'
32\t'Bitcoin Core 32'"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand connect" -l color -d 'Whether to use colours on stderr' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand connect" -l wire-order -d 'Hashes as they are on the wire, not in display order'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand connect" -s v -l verbose -d 'Log requests and responses; twice for everything'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand connect" -s q -l quiet -d 'Print no status and no warnings, only errors'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand connect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand call" -l each -d 'Make a call for each line of FILE, or of stdin with -; a line has further ARGUMENTs, quoted as in a shell, or one {JSON}, and what it names wins over those given here' -r -F
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand call" -l repeat -d 'Make the call N times, or forever; the first that fails ends it' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand call" -l every -d 'Make the call again and again, one each DURATION from start to start, or at once where one takes longer' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand call" -l for -d 'With name:=print: end with 0 after this time' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand call" -l count -d 'With name:=print: end with 0 after N printed calls' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand call" -s a -l address -d 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand call" -l chain -d 'The chain whose node and data directory are meant' -r -f -a "main\t''
test\t''
testnet4\t''
signet\t''
regtest\t''"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand call" -l datadir -d 'The data directory of all chains, as Bitcoin Core\'s -datadir [default: ~/.bitcoin]' -r -f -a "(__fish_complete_directories)"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand call" -l timeout -d 'How long connecting and each call may take: 250ms, 5s, 2m, 1h or forever' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand call" -l wait -d 'Keep trying to connect, for ever or for this long' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand call" -s o -l output -d 'How results are printed' -r -f -a "auto\t'A scalar plain, anything else as JSON, indented on a terminal'
json\t'Always JSON, one line each; errors too, on stderr'
raw\t'The value alone, without quotes and without a newline'
table\t'Columns'"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand call" -l schema -d 'A schema of your own, which wins over the built-in one: a compiled file, a .capnp file, or a folder of them' -r -F
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand call" -l core -d 'The generation of Bitcoin Core whose schema is meant; auto asks the peer' -r -f -a "auto\t'The peer\'s own, which is asked; the newest where there is no peer'
30\t'Bitcoin Core 30'
31\t'Bitcoin Core 31'
32\t'Bitcoin Core 32'"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand call" -l color -d 'Whether to use colours on stderr' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand call" -l dry-run -d 'Print what would be sent, and send nothing'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand call" -l until-changed -d 'With --repeat or --every: print nothing until the result is not the first one, then print that and end with 0; with 1 if it stays the same for all N'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand call" -l wire-order -d 'Hashes as they are on the wire, not in display order'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand call" -s v -l verbose -d 'Log requests and responses; twice for everything'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand call" -s q -l quiet -d 'Print no status and no warnings, only errors'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand call" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand list" -s a -l address -d 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand list" -l chain -d 'The chain whose node and data directory are meant' -r -f -a "main\t''
test\t''
testnet4\t''
signet\t''
regtest\t''"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand list" -l datadir -d 'The data directory of all chains, as Bitcoin Core\'s -datadir [default: ~/.bitcoin]' -r -f -a "(__fish_complete_directories)"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand list" -l timeout -d 'How long connecting and each call may take: 250ms, 5s, 2m, 1h or forever' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand list" -l wait -d 'Keep trying to connect, for ever or for this long' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand list" -s o -l output -d 'How results are printed' -r -f -a "auto\t'A scalar plain, anything else as JSON, indented on a terminal'
json\t'Always JSON, one line each; errors too, on stderr'
raw\t'The value alone, without quotes and without a newline'
table\t'Columns'"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand list" -l schema -d 'A schema of your own, which wins over the built-in one: a compiled file, a .capnp file, or a folder of them' -r -F
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand list" -l core -d 'The generation of Bitcoin Core whose schema is meant; auto asks the peer' -r -f -a "auto\t'The peer\'s own, which is asked; the newest where there is no peer'
30\t'Bitcoin Core 30'
31\t'Bitcoin Core 31'
32\t'Bitcoin Core 32'"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand list" -l color -d 'Whether to use colours on stderr' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand list" -l wire-order -d 'Hashes as they are on the wire, not in display order'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand list" -s v -l verbose -d 'Log requests and responses; twice for everything'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand list" -s q -l quiet -d 'Print no status and no warnings, only errors'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand describe" -s a -l address -d 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand describe" -l chain -d 'The chain whose node and data directory are meant' -r -f -a "main\t''
test\t''
testnet4\t''
signet\t''
regtest\t''"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand describe" -l datadir -d 'The data directory of all chains, as Bitcoin Core\'s -datadir [default: ~/.bitcoin]' -r -f -a "(__fish_complete_directories)"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand describe" -l timeout -d 'How long connecting and each call may take: 250ms, 5s, 2m, 1h or forever' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand describe" -l wait -d 'Keep trying to connect, for ever or for this long' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand describe" -s o -l output -d 'How results are printed' -r -f -a "auto\t'A scalar plain, anything else as JSON, indented on a terminal'
json\t'Always JSON, one line each; errors too, on stderr'
raw\t'The value alone, without quotes and without a newline'
table\t'Columns'"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand describe" -l schema -d 'A schema of your own, which wins over the built-in one: a compiled file, a .capnp file, or a folder of them' -r -F
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand describe" -l core -d 'The generation of Bitcoin Core whose schema is meant; auto asks the peer' -r -f -a "auto\t'The peer\'s own, which is asked; the newest where there is no peer'
30\t'Bitcoin Core 30'
31\t'Bitcoin Core 31'
32\t'Bitcoin Core 32'"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand describe" -l color -d 'Whether to use colours on stderr' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand describe" -l template -d 'Print the JSON of a method\'s parameters to fill in'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand describe" -l wire-order -d 'Hashes as they are on the wire, not in display order'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand describe" -s v -l verbose -d 'Log requests and responses; twice for everything'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand describe" -s q -l quiet -d 'Print no status and no warnings, only errors'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand describe" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand completions" -s a -l address -d 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand completions" -l chain -d 'The chain whose node and data directory are meant' -r -f -a "main\t''
test\t''
testnet4\t''
signet\t''
regtest\t''"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand completions" -l datadir -d 'The data directory of all chains, as Bitcoin Core\'s -datadir [default: ~/.bitcoin]' -r -f -a "(__fish_complete_directories)"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand completions" -l timeout -d 'How long connecting and each call may take: 250ms, 5s, 2m, 1h or forever' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand completions" -l wait -d 'Keep trying to connect, for ever or for this long' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand completions" -s o -l output -d 'How results are printed' -r -f -a "auto\t'A scalar plain, anything else as JSON, indented on a terminal'
json\t'Always JSON, one line each; errors too, on stderr'
raw\t'The value alone, without quotes and without a newline'
table\t'Columns'"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand completions" -l schema -d 'A schema of your own, which wins over the built-in one: a compiled file, a .capnp file, or a folder of them' -r -F
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand completions" -l core -d 'The generation of Bitcoin Core whose schema is meant; auto asks the peer' -r -f -a "auto\t'The peer\'s own, which is asked; the newest where there is no peer'
30\t'Bitcoin Core 30'
31\t'Bitcoin Core 31'
32\t'Bitcoin Core 32'"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand completions" -l color -d 'Whether to use colours on stderr' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand completions" -l wire-order -d 'Hashes as they are on the wire, not in display order'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand completions" -s v -l verbose -d 'Log requests and responses; twice for everything'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand completions" -s q -l quiet -d 'Print no status and no warnings, only errors'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand man" -s a -l address -d 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand man" -l chain -d 'The chain whose node and data directory are meant' -r -f -a "main\t''
test\t''
testnet4\t''
signet\t''
regtest\t''"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand man" -l datadir -d 'The data directory of all chains, as Bitcoin Core\'s -datadir [default: ~/.bitcoin]' -r -f -a "(__fish_complete_directories)"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand man" -l timeout -d 'How long connecting and each call may take: 250ms, 5s, 2m, 1h or forever' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand man" -l wait -d 'Keep trying to connect, for ever or for this long' -r
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand man" -s o -l output -d 'How results are printed' -r -f -a "auto\t'A scalar plain, anything else as JSON, indented on a terminal'
json\t'Always JSON, one line each; errors too, on stderr'
raw\t'The value alone, without quotes and without a newline'
table\t'Columns'"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand man" -l schema -d 'A schema of your own, which wins over the built-in one: a compiled file, a .capnp file, or a folder of them' -r -F
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand man" -l core -d 'The generation of Bitcoin Core whose schema is meant; auto asks the peer' -r -f -a "auto\t'The peer\'s own, which is asked; the newest where there is no peer'
30\t'Bitcoin Core 30'
31\t'Bitcoin Core 31'
32\t'Bitcoin Core 32'"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand man" -l color -d 'Whether to use colours on stderr' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always'
never\t'Never'"
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand man" -l wire-order -d 'Hashes as they are on the wire, not in display order'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand man" -s v -l verbose -d 'Log requests and responses; twice for everything'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand man" -s q -l quiet -d 'Print no status and no warnings, only errors'
complete -c bitcoin-ipc -n "__fish_bitcoin_ipc_using_subcommand man" -s h -l help -d 'Print help (see more with \'--help\')'
