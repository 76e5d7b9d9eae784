//! Turns the compiled schema into traits, proxies and servers.

fn main() -> Result<(), bitcoin_ipc_codegen::Error> {
    bitcoin_ipc_codegen::Builder::new("../../schema/test/compiled.bin").generate("foo")
}
