//! Starts itself as a child process and passes it a closure, which the child calls.

mod schema {
    bitcoin_ipc::include_schema!("schema");
}

use bitcoin_ipc::{Error, Ipc, Program, Result};
use schema::sums::{Sums, Term};
use std::{env, process::ExitCode, sync::Arc};

/// The child's implementation of `Sums`.
struct Child;

impl Sums for Child {
    fn sum(&self, count: i32, term: Option<Arc<dyn Term>>) -> Result<i64> {
        let term = term.ok_or_else(|| Error::failed("there is no term"))?;
        (1..=count).map(|n| term.call(n)).sum()
    }
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let ipc = Ipc::<dyn Sums>::new("closure", Arc::new(Child))?;
    let args: Vec<_> = env::args_os().collect();
    if let Some(status) = ipc.start_spawned(&args, || ())? {
        return Ok(status.into()); // This was the child.
    }
    let child = ipc.spawn(Program::new(env::current_exe()?))?;
    let square = |n: i32| {
        println!("the child asks for the square of {n}");
        Ok(i64::from(n * n))
    };
    println!("the sum is {}", child.init.sum(3, Some(Arc::new(square)))?);
    child.finish()?;
    Ok(ExitCode::SUCCESS)
}
