
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'bitcoin-ipc' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'bitcoin-ipc'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'bitcoin-ipc' {
            [CompletionResult]::new('-a', '-a', [CompletionResultType]::ParameterName, 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM')
            [CompletionResult]::new('--address', '--address', [CompletionResultType]::ParameterName, 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM')
            [CompletionResult]::new('--chain', '--chain', [CompletionResultType]::ParameterName, 'The chain whose node and data directory are meant')
            [CompletionResult]::new('--datadir', '--datadir', [CompletionResultType]::ParameterName, 'The data directory of all chains, as Bitcoin Core''s -datadir [default: ~/.bitcoin]')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'How long connecting and each call may take: 250ms, 5s, 2m, 1h or forever')
            [CompletionResult]::new('--wait', '--wait', [CompletionResultType]::ParameterName, 'Keep trying to connect, for ever or for this long')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How results are printed')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How results are printed')
            [CompletionResult]::new('--schema', '--schema', [CompletionResultType]::ParameterName, 'A schema of your own, which wins over the built-in one: a compiled file, a .capnp file, or a folder of them')
            [CompletionResult]::new('--core', '--core', [CompletionResultType]::ParameterName, 'The generation of Bitcoin Core whose schema is meant; auto asks the peer')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Whether to use colours on stderr')
            [CompletionResult]::new('--wire-order', '--wire-order', [CompletionResultType]::ParameterName, 'Hashes as they are on the wire, not in display order')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log requests and responses; twice for everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log requests and responses; twice for everything')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no status and no warnings, only errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no status and no warnings, only errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('spawn', 'spawn', [CompletionResultType]::ParameterValue, 'Start a child over a socketpair and hold its Init')
            [CompletionResult]::new('serve', 'serve', [CompletionResultType]::ParameterValue, 'Answer Init requests: a parent''s until it is gone, clients'' until a signal')
            [CompletionResult]::new('connect', 'connect', [CompletionResultType]::ParameterValue, 'Open one connection and talk: a prompt on a terminal, lines from a pipe')
            [CompletionResult]::new('call', 'call', [CompletionResultType]::ParameterValue, 'Make one call and print its result on stdout')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List the interfaces, or an interface''s methods')
            [CompletionResult]::new('describe', 'describe', [CompletionResultType]::ParameterValue, 'Describe an interface, a method, a struct or an enum')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print a shell''s completions')
            [CompletionResult]::new('man', 'man', [CompletionResultType]::ParameterValue, 'Print the manual page')
            break
        }
        'bitcoin-ipc;spawn' {
            [CompletionResult]::new('-a', '-a', [CompletionResultType]::ParameterName, 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM')
            [CompletionResult]::new('--address', '--address', [CompletionResultType]::ParameterName, 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM')
            [CompletionResult]::new('--chain', '--chain', [CompletionResultType]::ParameterName, 'The chain whose node and data directory are meant')
            [CompletionResult]::new('--datadir', '--datadir', [CompletionResultType]::ParameterName, 'The data directory of all chains, as Bitcoin Core''s -datadir [default: ~/.bitcoin]')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'How long connecting and each call may take: 250ms, 5s, 2m, 1h or forever')
            [CompletionResult]::new('--wait', '--wait', [CompletionResultType]::ParameterName, 'Keep trying to connect, for ever or for this long')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How results are printed')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How results are printed')
            [CompletionResult]::new('--schema', '--schema', [CompletionResultType]::ParameterName, 'A schema of your own, which wins over the built-in one: a compiled file, a .capnp file, or a folder of them')
            [CompletionResult]::new('--core', '--core', [CompletionResultType]::ParameterName, 'The generation of Bitcoin Core whose schema is meant; auto asks the peer')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Whether to use colours on stderr')
            [CompletionResult]::new('--wire-order', '--wire-order', [CompletionResultType]::ParameterName, 'Hashes as they are on the wire, not in display order')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log requests and responses; twice for everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log requests and responses; twice for everything')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no status and no warnings, only errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no status and no warnings, only errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'bitcoin-ipc;serve' {
            [CompletionResult]::new('--fd', '--fd', [CompletionResultType]::ParameterName, 'Serve the peer of this inherited, connected socket')
            [CompletionResult]::new('--listen', '--listen', [CompletionResultType]::ParameterName, 'Listen at this address, unix:PATH or fd:N, and serve everyone who connects')
            [CompletionResult]::new('--role', '--role', [CompletionResultType]::ParameterName, 'Whose Init to serve')
            [CompletionResult]::new('-a', '-a', [CompletionResultType]::ParameterName, 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM')
            [CompletionResult]::new('--address', '--address', [CompletionResultType]::ParameterName, 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM')
            [CompletionResult]::new('--chain', '--chain', [CompletionResultType]::ParameterName, 'The chain whose node and data directory are meant')
            [CompletionResult]::new('--datadir', '--datadir', [CompletionResultType]::ParameterName, 'The data directory of all chains, as Bitcoin Core''s -datadir [default: ~/.bitcoin]')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'How long connecting and each call may take: 250ms, 5s, 2m, 1h or forever')
            [CompletionResult]::new('--wait', '--wait', [CompletionResultType]::ParameterName, 'Keep trying to connect, for ever or for this long')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How results are printed')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How results are printed')
            [CompletionResult]::new('--schema', '--schema', [CompletionResultType]::ParameterName, 'A schema of your own, which wins over the built-in one: a compiled file, a .capnp file, or a folder of them')
            [CompletionResult]::new('--core', '--core', [CompletionResultType]::ParameterName, 'The generation of Bitcoin Core whose schema is meant; auto asks the peer')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Whether to use colours on stderr')
            [CompletionResult]::new('--wire-order', '--wire-order', [CompletionResultType]::ParameterName, 'Hashes as they are on the wire, not in display order')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log requests and responses; twice for everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log requests and responses; twice for everything')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no status and no warnings, only errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no status and no warnings, only errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'bitcoin-ipc;connect' {
            [CompletionResult]::new('-a', '-a', [CompletionResultType]::ParameterName, 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM')
            [CompletionResult]::new('--address', '--address', [CompletionResultType]::ParameterName, 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM')
            [CompletionResult]::new('--chain', '--chain', [CompletionResultType]::ParameterName, 'The chain whose node and data directory are meant')
            [CompletionResult]::new('--datadir', '--datadir', [CompletionResultType]::ParameterName, 'The data directory of all chains, as Bitcoin Core''s -datadir [default: ~/.bitcoin]')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'How long connecting and each call may take: 250ms, 5s, 2m, 1h or forever')
            [CompletionResult]::new('--wait', '--wait', [CompletionResultType]::ParameterName, 'Keep trying to connect, for ever or for this long')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How results are printed')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How results are printed')
            [CompletionResult]::new('--schema', '--schema', [CompletionResultType]::ParameterName, 'A schema of your own, which wins over the built-in one: a compiled file, a .capnp file, or a folder of them')
            [CompletionResult]::new('--core', '--core', [CompletionResultType]::ParameterName, 'The generation of Bitcoin Core whose schema is meant; auto asks the peer')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Whether to use colours on stderr')
            [CompletionResult]::new('--wire-order', '--wire-order', [CompletionResultType]::ParameterName, 'Hashes as they are on the wire, not in display order')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log requests and responses; twice for everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log requests and responses; twice for everything')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no status and no warnings, only errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no status and no warnings, only errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'bitcoin-ipc;call' {
            [CompletionResult]::new('--each', '--each', [CompletionResultType]::ParameterName, 'Make a call for each line of FILE, or of stdin with -; a line has further ARGUMENTs, quoted as in a shell, or one {JSON}, and what it names wins over those given here')
            [CompletionResult]::new('--repeat', '--repeat', [CompletionResultType]::ParameterName, 'Make the call N times, or forever; the first that fails ends it')
            [CompletionResult]::new('--every', '--every', [CompletionResultType]::ParameterName, 'Make the call again and again, one each DURATION from start to start, or at once where one takes longer')
            [CompletionResult]::new('--for', '--for', [CompletionResultType]::ParameterName, 'With name:=print: end with 0 after this time')
            [CompletionResult]::new('--count', '--count', [CompletionResultType]::ParameterName, 'With name:=print: end with 0 after N printed calls')
            [CompletionResult]::new('-a', '-a', [CompletionResultType]::ParameterName, 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM')
            [CompletionResult]::new('--address', '--address', [CompletionResultType]::ParameterName, 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM')
            [CompletionResult]::new('--chain', '--chain', [CompletionResultType]::ParameterName, 'The chain whose node and data directory are meant')
            [CompletionResult]::new('--datadir', '--datadir', [CompletionResultType]::ParameterName, 'The data directory of all chains, as Bitcoin Core''s -datadir [default: ~/.bitcoin]')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'How long connecting and each call may take: 250ms, 5s, 2m, 1h or forever')
            [CompletionResult]::new('--wait', '--wait', [CompletionResultType]::ParameterName, 'Keep trying to connect, for ever or for this long')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How results are printed')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How results are printed')
            [CompletionResult]::new('--schema', '--schema', [CompletionResultType]::ParameterName, 'A schema of your own, which wins over the built-in one: a compiled file, a .capnp file, or a folder of them')
            [CompletionResult]::new('--core', '--core', [CompletionResultType]::ParameterName, 'The generation of Bitcoin Core whose schema is meant; auto asks the peer')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Whether to use colours on stderr')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Print what would be sent, and send nothing')
            [CompletionResult]::new('--until-changed', '--until-changed', [CompletionResultType]::ParameterName, 'With --repeat or --every: print nothing until the result is not the first one, then print that and end with 0; with 1 if it stays the same for all N')
            [CompletionResult]::new('--wire-order', '--wire-order', [CompletionResultType]::ParameterName, 'Hashes as they are on the wire, not in display order')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log requests and responses; twice for everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log requests and responses; twice for everything')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no status and no warnings, only errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no status and no warnings, only errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'bitcoin-ipc;list' {
            [CompletionResult]::new('-a', '-a', [CompletionResultType]::ParameterName, 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM')
            [CompletionResult]::new('--address', '--address', [CompletionResultType]::ParameterName, 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM')
            [CompletionResult]::new('--chain', '--chain', [CompletionResultType]::ParameterName, 'The chain whose node and data directory are meant')
            [CompletionResult]::new('--datadir', '--datadir', [CompletionResultType]::ParameterName, 'The data directory of all chains, as Bitcoin Core''s -datadir [default: ~/.bitcoin]')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'How long connecting and each call may take: 250ms, 5s, 2m, 1h or forever')
            [CompletionResult]::new('--wait', '--wait', [CompletionResultType]::ParameterName, 'Keep trying to connect, for ever or for this long')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How results are printed')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How results are printed')
            [CompletionResult]::new('--schema', '--schema', [CompletionResultType]::ParameterName, 'A schema of your own, which wins over the built-in one: a compiled file, a .capnp file, or a folder of them')
            [CompletionResult]::new('--core', '--core', [CompletionResultType]::ParameterName, 'The generation of Bitcoin Core whose schema is meant; auto asks the peer')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Whether to use colours on stderr')
            [CompletionResult]::new('--wire-order', '--wire-order', [CompletionResultType]::ParameterName, 'Hashes as they are on the wire, not in display order')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log requests and responses; twice for everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log requests and responses; twice for everything')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no status and no warnings, only errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no status and no warnings, only errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'bitcoin-ipc;describe' {
            [CompletionResult]::new('-a', '-a', [CompletionResultType]::ParameterName, 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM')
            [CompletionResult]::new('--address', '--address', [CompletionResultType]::ParameterName, 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM')
            [CompletionResult]::new('--chain', '--chain', [CompletionResultType]::ParameterName, 'The chain whose node and data directory are meant')
            [CompletionResult]::new('--datadir', '--datadir', [CompletionResultType]::ParameterName, 'The data directory of all chains, as Bitcoin Core''s -datadir [default: ~/.bitcoin]')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'How long connecting and each call may take: 250ms, 5s, 2m, 1h or forever')
            [CompletionResult]::new('--wait', '--wait', [CompletionResultType]::ParameterName, 'Keep trying to connect, for ever or for this long')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How results are printed')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How results are printed')
            [CompletionResult]::new('--schema', '--schema', [CompletionResultType]::ParameterName, 'A schema of your own, which wins over the built-in one: a compiled file, a .capnp file, or a folder of them')
            [CompletionResult]::new('--core', '--core', [CompletionResultType]::ParameterName, 'The generation of Bitcoin Core whose schema is meant; auto asks the peer')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Whether to use colours on stderr')
            [CompletionResult]::new('--template', '--template', [CompletionResultType]::ParameterName, 'Print the JSON of a method''s parameters to fill in')
            [CompletionResult]::new('--wire-order', '--wire-order', [CompletionResultType]::ParameterName, 'Hashes as they are on the wire, not in display order')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log requests and responses; twice for everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log requests and responses; twice for everything')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no status and no warnings, only errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no status and no warnings, only errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'bitcoin-ipc;completions' {
            [CompletionResult]::new('-a', '-a', [CompletionResultType]::ParameterName, 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM')
            [CompletionResult]::new('--address', '--address', [CompletionResultType]::ParameterName, 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM')
            [CompletionResult]::new('--chain', '--chain', [CompletionResultType]::ParameterName, 'The chain whose node and data directory are meant')
            [CompletionResult]::new('--datadir', '--datadir', [CompletionResultType]::ParameterName, 'The data directory of all chains, as Bitcoin Core''s -datadir [default: ~/.bitcoin]')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'How long connecting and each call may take: 250ms, 5s, 2m, 1h or forever')
            [CompletionResult]::new('--wait', '--wait', [CompletionResultType]::ParameterName, 'Keep trying to connect, for ever or for this long')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How results are printed')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How results are printed')
            [CompletionResult]::new('--schema', '--schema', [CompletionResultType]::ParameterName, 'A schema of your own, which wins over the built-in one: a compiled file, a .capnp file, or a folder of them')
            [CompletionResult]::new('--core', '--core', [CompletionResultType]::ParameterName, 'The generation of Bitcoin Core whose schema is meant; auto asks the peer')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Whether to use colours on stderr')
            [CompletionResult]::new('--wire-order', '--wire-order', [CompletionResultType]::ParameterName, 'Hashes as they are on the wire, not in display order')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log requests and responses; twice for everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log requests and responses; twice for everything')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no status and no warnings, only errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no status and no warnings, only errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'bitcoin-ipc;man' {
            [CompletionResult]::new('-a', '-a', [CompletionResultType]::ParameterName, 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM')
            [CompletionResult]::new('--address', '--address', [CompletionResultType]::ParameterName, 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM')
            [CompletionResult]::new('--chain', '--chain', [CompletionResultType]::ParameterName, 'The chain whose node and data directory are meant')
            [CompletionResult]::new('--datadir', '--datadir', [CompletionResultType]::ParameterName, 'The data directory of all chains, as Bitcoin Core''s -datadir [default: ~/.bitcoin]')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'How long connecting and each call may take: 250ms, 5s, 2m, 1h or forever')
            [CompletionResult]::new('--wait', '--wait', [CompletionResultType]::ParameterName, 'Keep trying to connect, for ever or for this long')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How results are printed')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How results are printed')
            [CompletionResult]::new('--schema', '--schema', [CompletionResultType]::ParameterName, 'A schema of your own, which wins over the built-in one: a compiled file, a .capnp file, or a folder of them')
            [CompletionResult]::new('--core', '--core', [CompletionResultType]::ParameterName, 'The generation of Bitcoin Core whose schema is meant; auto asks the peer')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Whether to use colours on stderr')
            [CompletionResult]::new('--wire-order', '--wire-order', [CompletionResultType]::ParameterName, 'Hashes as they are on the wire, not in display order')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log requests and responses; twice for everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log requests and responses; twice for everything')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print no status and no warnings, only errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print no status and no warnings, only errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
