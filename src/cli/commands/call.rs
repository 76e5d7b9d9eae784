//! `call`: one call, its result on stdout; without a method, a call for each line of input.

use eyre::Result;

use super::super::args;
use super::super::context::Context;
use super::super::each;
use super::super::lines;
use super::super::repeat;
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
    if let Some(file) = &args.each {
        return each::run(context, session, method, &args.arguments, file);
    }
    let mut call = session.parse(method, &args.arguments, true)?;
    if args.dry_run {
        context.output.result(&session.dry_run(&call)?, false)?;
        return Ok(0);
    }
    session.open(address)?;
    if args.repeat.is_some() || args.every.is_some() {
        let done = repeat::run(context, &mut session, &mut call, args);
        drop(call);
        session.end();
        return done.map(|()| 0);
    }
    let done = session
        .call(&mut call)
        .and_then(|answer| Ok(session.show(answer, None)?))
        .and_then(|shown| Ok(context.output.result(&shown, false)?));
    drop(call);
    session.end();
    done.map(|()| 0)
}
