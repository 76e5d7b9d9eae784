//! `call`: one call, its result on stdout; without a method, a call for each line of input.

use eyre::Result;

use crate::args;
use crate::calls::each;
use crate::calls::lines;
use crate::calls::printing::{self, Wanted};
use crate::calls::repeat;
use crate::calls::session::{Call, Session};
use crate::context::Context;
use crate::peer::target::OwnChild;

pub(crate) fn run(context: &Context, args: &args::Call) -> Result<u8> {
    let mut session = Session::new(context)?;
    let Some(method) = &args.method else {
        session.open(OwnChild::Allowed)?;
        let done = lines::run(context, &mut session, &super::MANUAL);
        session.end();
        return done;
    };
    if let Some(file) = &args.each {
        return each::run(context, session, method, args, file);
    }
    let mut call = session.parse(method, &args.arguments, true)?;
    if args.dry_run {
        let shown = session.dry_run(&call)?;
        args.pick
            .print(&context.output, shown, &call.name(), false)?;
        return Ok(0);
    }
    printing::check(&call, args)?;
    session.open(OwnChild::Allowed)?;
    let done = if args.repeat.is_some() || args.every.is_some() {
        repeat::run(context, &mut session, &mut call, args)
    } else if call.hosts() {
        printing::run(context, &mut session, &mut call, &Wanted::by(args))
    } else {
        once(context, &mut session, &mut call, args)
    };
    drop(call);
    session.end();
    done.map(|()| 0)
}

fn once(
    context: &Context,
    session: &mut Session,
    call: &mut Call,
    args: &args::Call,
) -> Result<()> {
    let answer = session.call(call)?;
    let shown = session.show(answer, None)?;
    args.pick.print(&context.output, shown, &call.name(), false)
}
