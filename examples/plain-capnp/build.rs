//! Turns Bitcoin Core's schemas into plain `capnp` messages. The schemas are compiled already, so that
//! no `capnp` tool is needed; where there is one, `capnpc::CompilerCommand` reads the sources.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let compiled = "../../schema/core32/compiled.bin";
    println!("cargo::rerun-if-changed={compiled}");
    capnpc::codegen::CodeGenerationCommand::new()
        .output_directory(std::env::var("OUT_DIR")?)
        .default_parent_module(vec!["messages".to_owned()])
        .run(std::fs::File::open(compiled)?)?;
    Ok(())
}
