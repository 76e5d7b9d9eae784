
set edit:completion:arg-completer[bitcoin-ipc] = { |@words|
    var index = (count $words)
    set index = (- $index 1)

    put (env _CLAP_IFS="\n" _CLAP_COMPLETE_INDEX=(to-string $index) BITCOIN_IPC_COMPLETE="elvish" bitcoin-ipc -- $@words) | to-lines
}

