//! `completions`: prints the script with which a shell asks this program for completions.

use eyre::Result;

use crate::args::Completions;
use crate::schema::shells;
use crate::ui::output;

pub(crate) fn run(args: &Completions) -> Result<u8> {
    output::print(shells::script(args.shell)?.as_bytes())?;
    Ok(0)
}
