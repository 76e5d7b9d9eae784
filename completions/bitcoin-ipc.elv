
use builtin;
use str;

set edit:completion:arg-completer[bitcoin-ipc] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'bitcoin-ipc'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'bitcoin-ipc'= {
            cand -a 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM'
            cand --address 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM'
            cand --chain 'The chain whose node and data directory are meant'
            cand --datadir 'The data directory of all chains, as Bitcoin Core''s -datadir [default: ~/.bitcoin]'
            cand --timeout 'How long connecting and each call may take: 250ms, 5s, 2m, 1h or forever'
            cand --wait 'Keep trying to connect, for ever or for this long'
            cand -o 'How results are printed'
            cand --output 'How results are printed'
            cand --color 'Whether to use colours on stderr'
            cand -v 'Log requests and responses; twice for everything'
            cand --verbose 'Log requests and responses; twice for everything'
            cand -q 'Print no status and no warnings, only errors'
            cand --quiet 'Print no status and no warnings, only errors'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
            cand spawn 'Start a child over a socketpair and hold its Init'
            cand serve 'Answer Init requests: a parent''s until it is gone, clients'' until a signal'
            cand connect 'Open one connection and talk: a prompt on a terminal, lines from a pipe'
            cand call 'Make one call and print its result on stdout'
            cand completions 'Print a shell''s completions'
            cand man 'Print the manual page'
        }
        &'bitcoin-ipc;spawn'= {
            cand -a 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM'
            cand --address 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM'
            cand --chain 'The chain whose node and data directory are meant'
            cand --datadir 'The data directory of all chains, as Bitcoin Core''s -datadir [default: ~/.bitcoin]'
            cand --timeout 'How long connecting and each call may take: 250ms, 5s, 2m, 1h or forever'
            cand --wait 'Keep trying to connect, for ever or for this long'
            cand -o 'How results are printed'
            cand --output 'How results are printed'
            cand --color 'Whether to use colours on stderr'
            cand -v 'Log requests and responses; twice for everything'
            cand --verbose 'Log requests and responses; twice for everything'
            cand -q 'Print no status and no warnings, only errors'
            cand --quiet 'Print no status and no warnings, only errors'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'bitcoin-ipc;serve'= {
            cand --fd 'Serve the peer of this inherited, connected socket'
            cand --listen 'Listen at this address, unix:PATH or fd:N, and serve everyone who connects'
            cand --role 'Whose Init to serve'
            cand -a 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM'
            cand --address 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM'
            cand --chain 'The chain whose node and data directory are meant'
            cand --datadir 'The data directory of all chains, as Bitcoin Core''s -datadir [default: ~/.bitcoin]'
            cand --timeout 'How long connecting and each call may take: 250ms, 5s, 2m, 1h or forever'
            cand --wait 'Keep trying to connect, for ever or for this long'
            cand -o 'How results are printed'
            cand --output 'How results are printed'
            cand --color 'Whether to use colours on stderr'
            cand -v 'Log requests and responses; twice for everything'
            cand --verbose 'Log requests and responses; twice for everything'
            cand -q 'Print no status and no warnings, only errors'
            cand --quiet 'Print no status and no warnings, only errors'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'bitcoin-ipc;connect'= {
            cand -a 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM'
            cand --address 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM'
            cand --chain 'The chain whose node and data directory are meant'
            cand --datadir 'The data directory of all chains, as Bitcoin Core''s -datadir [default: ~/.bitcoin]'
            cand --timeout 'How long connecting and each call may take: 250ms, 5s, 2m, 1h or forever'
            cand --wait 'Keep trying to connect, for ever or for this long'
            cand -o 'How results are printed'
            cand --output 'How results are printed'
            cand --color 'Whether to use colours on stderr'
            cand -v 'Log requests and responses; twice for everything'
            cand --verbose 'Log requests and responses; twice for everything'
            cand -q 'Print no status and no warnings, only errors'
            cand --quiet 'Print no status and no warnings, only errors'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'bitcoin-ipc;call'= {
            cand -a 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM'
            cand --address 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM'
            cand --chain 'The chain whose node and data directory are meant'
            cand --datadir 'The data directory of all chains, as Bitcoin Core''s -datadir [default: ~/.bitcoin]'
            cand --timeout 'How long connecting and each call may take: 250ms, 5s, 2m, 1h or forever'
            cand --wait 'Keep trying to connect, for ever or for this long'
            cand -o 'How results are printed'
            cand --output 'How results are printed'
            cand --color 'Whether to use colours on stderr'
            cand -v 'Log requests and responses; twice for everything'
            cand --verbose 'Log requests and responses; twice for everything'
            cand -q 'Print no status and no warnings, only errors'
            cand --quiet 'Print no status and no warnings, only errors'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'bitcoin-ipc;completions'= {
            cand -a 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM'
            cand --address 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM'
            cand --chain 'The chain whose node and data directory are meant'
            cand --datadir 'The data directory of all chains, as Bitcoin Core''s -datadir [default: ~/.bitcoin]'
            cand --timeout 'How long connecting and each call may take: 250ms, 5s, 2m, 1h or forever'
            cand --wait 'Keep trying to connect, for ever or for this long'
            cand -o 'How results are printed'
            cand --output 'How results are printed'
            cand --color 'Whether to use colours on stderr'
            cand -v 'Log requests and responses; twice for everything'
            cand --verbose 'Log requests and responses; twice for everything'
            cand -q 'Print no status and no warnings, only errors'
            cand --quiet 'Print no status and no warnings, only errors'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'bitcoin-ipc;man'= {
            cand -a 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM'
            cand --address 'The peer: auto, unix, unix:PATH, fd:N or exec:PROGRAM'
            cand --chain 'The chain whose node and data directory are meant'
            cand --datadir 'The data directory of all chains, as Bitcoin Core''s -datadir [default: ~/.bitcoin]'
            cand --timeout 'How long connecting and each call may take: 250ms, 5s, 2m, 1h or forever'
            cand --wait 'Keep trying to connect, for ever or for this long'
            cand -o 'How results are printed'
            cand --output 'How results are printed'
            cand --color 'Whether to use colours on stderr'
            cand -v 'Log requests and responses; twice for everything'
            cand --verbose 'Log requests and responses; twice for everything'
            cand -q 'Print no status and no warnings, only errors'
            cand --quiet 'Print no status and no warnings, only errors'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
    ]
    $completions[$command]
}
