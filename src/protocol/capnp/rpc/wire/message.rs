//! The messages of RPC that hold no application values.
//!
//! Knows `rpc.capnp`; nothing of when a message is sent.

use capnp::any_pointer;
use capnp::message::{Builder, HeapAllocator};
use capnp_rpc::rpc_capnp::{exception, message, return_};

use crate::error::{Error, RemoteKind};

/// A message under construction.
pub type Building = Builder<HeapAllocator>;

/// The length at which a peer's text in an Abort or an envelope is cut, in bytes.
const MAX_TEXT: usize = 1024;
/// The length at which the text of an error is cut, in bytes: it is kept for as long as its call is,
/// and once for each call that is pipelined on that.
const MAX_REASON: usize = 64 * 1024;
/// The largest unknown message that is sent back whole, in bytes.
const MAX_UNKNOWN: usize = 64 * 1024;

/// Makes a message with room for so many words. It grows when it needs more.
pub fn room(words: u32) -> Building {
    Builder::new(HeapAllocator::new().first_segment_words(words))
}

/// Makes the Abort that ends a connection; `fault` tells whether the peer is at fault.
pub fn abort(text: &str, fault: bool) -> Building {
    let mut message = room(64);
    let mut abort = message.init_root::<message::Builder<'_>>().init_abort();
    abort.set_type(match fault {
        true => exception::Type::Failed,
        false => exception::Type::Disconnected,
    });
    abort.set_reason(text);
    message
}

/// Makes a Release of `count` references to the peer's object `id`.
pub fn release(id: u32, count: u32) -> Building {
    let mut message = room(8);
    let mut release = message.init_root::<message::Builder<'_>>().init_release();
    release.set_id(id);
    release.set_reference_count(count);
    message
}

/// Makes a Finish of a question of this side. The objects in its answer stay imported until they are
/// released.
pub fn finish(question: u32) -> Building {
    let mut message = room(8);
    let mut finish = message.init_root::<message::Builder<'_>>().init_finish();
    finish.set_question_id(question);
    finish.set_release_result_caps(false);
    message
}

/// Makes a Return that fails the peer's question.
pub fn failure(question: u32, error: &Error) -> Building {
    let mut message = room(32);
    let mut answer = message.init_root::<message::Builder<'_>>().init_return();
    answer.set_answer_id(question);
    answer.set_release_param_caps(false);
    set_exception(answer.init_exception(), error);
    message
}

/// Makes a Resolve that breaks this side's promise `promise`.
pub fn broken(promise: u32, error: &Error) -> Building {
    let mut message = room(32);
    let mut resolve = message.init_root::<message::Builder<'_>>().init_resolve();
    resolve.set_promise_id(promise);
    set_exception(resolve.init_exception(), error);
    message
}

/// Writes an error as the exception that a peer gets.
fn set_exception(mut exception: exception::Builder<'_>, error: &Error) {
    let (kind, text) = exception_of(error);
    exception.set_type(kind);
    exception.set_reason(&text[..text.floor_char_boundary(MAX_REASON)]);
}

/// Makes a Disembargo that answers the peer's: everything before it has passed.
pub fn disembargo(import: u32, embargo: u32) -> Building {
    let mut message = room(16);
    let root = message.init_root::<message::Builder<'_>>();
    let mut disembargo = root.init_disembargo();
    let mut target = disembargo.reborrow().init_target();
    target.set_imported_cap(import);
    disembargo.init_context().set_receiver_loopback(embargo);
    message
}

/// Makes the Return of a call whose results another call takes, or that only stay here.
pub fn sent_elsewhere(question: u32) -> Building {
    let mut message = room(8);
    let mut answer = message.init_root::<message::Builder<'_>>().init_return();
    answer.set_answer_id(question);
    answer.set_release_param_caps(false);
    answer.set_results_sent_elsewhere(());
    message
}

/// Makes an Unimplemented for a message that is not known here. The content of a large message is not
/// sent back.
///
/// # Errors
/// Fails when the message cannot be read.
pub fn unimplemented(of: message::Reader<'_>, bytes: usize) -> capnp::Result<Building> {
    let mut message = room(32);
    let mut root = message.init_root::<message::Builder<'_>>();
    match bytes > MAX_UNKNOWN {
        true => drop(root.init_unimplemented()),
        false => root.set_unimplemented(of)?,
    }
    Ok(message)
}

/// Returns the parameters of a Call.
///
/// # Errors
/// Fails when it is another message.
pub fn parameters(root: message::Reader<'_>) -> capnp::Result<any_pointer::Reader<'_>> {
    match root.which()? {
        message::Call(call) => Ok(call?.get_params()?.get_content()),
        _ => Err(capnp::Error::failed("no call".into())),
    }
}

/// Returns the content of a Return with results.
///
/// # Errors
/// Fails when it is another message.
pub fn content(root: message::Reader<'_>) -> capnp::Result<any_pointer::Reader<'_>> {
    let message::Return(answer) = root.which()? else {
        return Err(capnp::Error::failed("no answer".into()));
    };
    match answer?.which()? {
        return_::Results(results) => Ok(results?.get_content()),
        _ => Err(capnp::Error::failed("no results".into())),
    }
}

/// Returns an implementation's error as the exception that its caller gets.
fn exception_of(error: &Error) -> (exception::Type, String) {
    let kind = match error {
        Error::Disconnected(_) => exception::Type::Disconnected,
        Error::Unimplemented(_) => exception::Type::Unimplemented,
        Error::Remote { kind, .. } => match kind {
            RemoteKind::Failed => exception::Type::Failed,
            RemoteKind::Overloaded => exception::Type::Overloaded,
            RemoteKind::Disconnected => exception::Type::Disconnected,
        },
        _ => exception::Type::Failed,
    };
    (kind, error.to_string())
}

/// Returns the exception of a Return, as an error.
///
/// # Errors
/// Fails when it cannot be read, or is something else.
pub fn exception(root: message::Reader<'_>) -> capnp::Result<Error> {
    if let message::Return(answer) = root.which()?
        && let return_::Exception(exception) = answer?.which()?
    {
        return Ok(error_of(exception?));
    }
    Err(capnp::Error::failed("no exception".into()))
}

/// Converts a peer's exception to an error, in its own words.
fn error_of(exception: exception::Reader<'_>) -> Error {
    let text = exception.get_reason().map_or_else(
        |error| format!("an exception that cannot be read: {error}"),
        |reason| words_of(reason, MAX_REASON),
    );
    match exception.get_type() {
        // An object that the method needed is gone. The connection to the peer is not.
        Ok(exception::Type::Disconnected) => Error::Remote {
            kind: RemoteKind::Disconnected,
            text,
        },
        Ok(exception::Type::Unimplemented) => Error::Unimplemented(text),
        Ok(exception::Type::Overloaded) => Error::overloaded(text),
        _ => Error::failed(text),
    }
}

/// Returns the start of a peer's text, which may be long.
pub fn some_of(text: capnp::Result<capnp::text::Reader<'_>>) -> String {
    text.map_or_else(|_| String::new(), |text| words_of(text, MAX_TEXT))
}

fn words_of(text: capnp::text::Reader<'_>, most: usize) -> String {
    let bytes = text.as_bytes();
    String::from_utf8_lossy(bytes.get(..most).unwrap_or(bytes)).into_owned()
}
