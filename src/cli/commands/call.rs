//! `call`: one call, its result on stdout; without a method, a call for each line of input.

use eyre::Result;

use super::super::args;
use super::super::context::Context;
use super::super::lines;
use super::super::session::{Call, Session};
use super::super::target;

pub(crate) fn run(context: &Context, args: &args::Call) -> Result<u8> {
    let address = &context.options.address;
    let Some(method) = &args.method else {
        let mut session = Session::new(context, target::open(context, address)?);
        let done = lines::run(context, &mut session);
        session.end();
        return done;
    };
    let call = Call::parse(method, &args.arguments, true)?;
    let mut session = Session::new(context, target::open(context, address)?);
    let done = session
        .call(&call)
        .and_then(|value| Ok(session.show(value, None)?))
        .and_then(|shown| Ok(context.output.result(&shown, false)?));
    drop(call);
    session.end();
    done.map(|()| 0)
}
