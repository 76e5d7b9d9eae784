//! `call`: one call, its result on stdout; without a method, a call for each line of input.

use eyre::Result;

use super::super::args;
use super::super::context::Context;
use super::super::lines;
use super::super::session::Session;

pub(crate) fn run(context: &Context, args: &args::Call) -> Result<u8> {
    let address = &context.options.address;
    let mut session = Session::new(context)?;
    let Some(method) = &args.method else {
        session.open(address)?;
        let done = lines::run(context, &mut session);
        session.end();
        return done;
    };
    let mut call = session.parse(method, &args.arguments, true)?;
    if args.dry_run {
        context.output.result(&session.dry_run(&call)?, false)?;
        return Ok(0);
    }
    session.open(address)?;
    let done = session
        .call(&mut call)
        .and_then(|answer| Ok(session.show(answer, None)?))
        .and_then(|shown| Ok(context.output.result(&shown, false)?));
    drop(call);
    session.end();
    done.map(|()| 0)
}
