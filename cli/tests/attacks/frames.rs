//! A client that writes its frames by hand, and so may write any: Cap'n Proto's objects as words,
//! and the messages of an attack. The server's answers are read with capnp-rpc's schema.

use std::collections::HashMap;
use std::io::{self, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use bitcoin_ipc::rt::wire::echo_capnp::echo;
use bitcoin_ipc::rt::wire::init_capnp::init;
use bitcoin_ipc::rt::wire::proxy_capnp::thread_map;
use capnp::message::ReaderOptions;
use capnp::serialize::{OwnedSegments, read_message};
use capnp::traits::HasTypeId;
use capnp_rpc::rpc_capnp::{cap_descriptor, message, payload, return_};

use crate::common::LIMIT;

/// An object in a message.
pub enum Object {
    Null,
    /// An entry of the message's table of capabilities.
    Capability(u32),
    Bytes(Vec<u8>),
    Struct(Vec<u64>, Vec<Object>),
    /// Structs of one data word and one pointer each.
    List(Vec<(u64, Object)>),
}

use Object::{Bytes, Capability, List, Null, Struct};

fn text(text: &str) -> Object {
    Bytes([text.as_bytes(), b"\0"].concat())
}

/// A message of one segment.
fn frame(root: Object) -> Vec<u8> {
    let mut words = vec![0];
    put(&mut words, 0, root);
    let header = (words.len() as u64) << 32;
    let words = [header].into_iter().chain(words);
    words.flat_map(u64::to_le_bytes).collect()
}

/// Writes an object behind the others, and the pointer to it at `at`.
fn put(words: &mut Vec<u64>, at: usize, object: Object) {
    let start = words.len();
    let offset = (start as u64 - at as u64).wrapping_sub(1) << 2;
    match object {
        Null => {}
        Capability(index) => words[at] = 3 | u64::from(index) << 32,
        Bytes(bytes) => {
            words[at] = offset | 1 | 2 << 32 | (bytes.len() as u64) << 35;
            words.extend(bytes.chunks(8).map(|chunk| {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                u64::from_le_bytes(word)
            }));
        }
        Struct(data, pointers) => {
            words[at] = offset | (data.len() as u64) << 32 | (pointers.len() as u64) << 48;
            let first = start + data.len();
            words.extend(data);
            words.resize(first + pointers.len(), 0);
            for (index, pointer) in pointers.into_iter().enumerate() {
                put(words, first + index, pointer);
            }
        }
        List(elements) => {
            words[at] = offset | 1 | 7 << 32 | (2 * elements.len() as u64) << 35;
            words.push((elements.len() as u64) << 2 | 1 << 32 | 1 << 48);
            words.resize(start + 1 + 2 * elements.len(), 0);
            for (index, (data, pointer)) in elements.into_iter().enumerate() {
                words[start + 1 + 2 * index] = data;
                put(words, start + 2 + 2 * index, pointer);
            }
        }
    }
}

/// The target of a call.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// An object of the server.
    Import(u32),
    /// The first object in the answer to a call.
    Answer(u32),
}

/// The message `Bootstrap`.
pub fn bootstrap(question: u32) -> Vec<u8> {
    frame(Struct(
        vec![8],
        vec![Struct(vec![question.into()], vec![Null])],
    ))
}

/// The message `Call`, with the capabilities of its parameters as kinds and numbers.
fn call(
    question: u32,
    to: Target,
    (interface, method): (u64, u16),
    params: Object,
    caps: &[(u64, u32)],
) -> Vec<u8> {
    let to = match to {
        Target::Import(import) => Struct(vec![import.into()], vec![Null]),
        Target::Answer(question) => {
            let first = List(vec![(1, Null)]);
            // An element of the transform has one word of data; its pointer is of a later version.
            Struct(
                vec![1 << 32],
                vec![Struct(vec![question.into()], vec![first])],
            )
        }
    };
    let caps = caps
        .iter()
        .map(|&(kind, number)| (kind | u64::from(number) << 32, Null));
    let payload = Struct(vec![], vec![params, List(caps.collect())]);
    let head = u64::from(question) | u64::from(method) << 32;
    frame(Struct(
        vec![2],
        vec![Struct(vec![head, interface, 0], vec![to, payload, Null])],
    ))
}

/// The message `Call` for `ThreadMap.makeThread`.
pub fn make_thread(question: u32, map: Target) -> Vec<u8> {
    let params = Struct(vec![], vec![text("attacker")]);
    call(question, map, (thread_map::Client::TYPE_ID, 0), params, &[])
}

/// A context whose thread is the first capability.
fn context() -> Object {
    Struct(vec![], vec![Capability(0), Null])
}

/// The message `Call` for `Init.makeEcho`, on a thread of the server.
pub fn make_echo(question: u32, init: Target, thread: u32) -> Vec<u8> {
    let params = Struct(vec![], vec![context()]);
    call(
        question,
        init,
        (init::Client::TYPE_ID, 1),
        params,
        &[(3, thread)],
    )
}

/// The message `Call` for `Echo.echo`, on a thread of the server.
pub fn echo(question: u32, echo: Target, thread: u32, words: &str) -> Vec<u8> {
    let params = Struct(vec![], vec![context(), text(words)]);
    call(
        question,
        echo,
        (echo::Client::TYPE_ID, 1),
        params,
        &[(3, thread)],
    )
}

/// The message `Finish`, which keeps the objects in the answer.
pub fn finish(question: u32) -> Vec<u8> {
    let keep = 1 << 32;
    frame(Struct(
        vec![4],
        vec![Struct(vec![u64::from(question) | keep], vec![])],
    ))
}

/// A message of a kind that no version has, with this many bytes in it.
pub fn unknown(kind: u16, bytes: usize) -> Vec<u8> {
    frame(Struct(vec![kind.into()], vec![Bytes(vec![b'x'; bytes])]))
}

/// The answer of a server.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// An object of the server, the first of the results.
    Object(u32),
    Text(String),
    /// An exception's reason.
    Exception(String),
    /// Results without anything that these tests look for.
    Other,
}

/// A connection of the attacker.
pub struct Client {
    stream: UnixStream,
    reader: BufReader<UnixStream>,
    question: u32,
    pub init: u32,
    pub thread_map: u32,
}

impl Client {
    /// Connects and sends nothing yet.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        let reader = BufReader::new(stream.try_clone()?);
        Ok(Self {
            stream,
            reader,
            question: 0,
            init: 0,
            thread_map: 0,
        })
    }

    /// Connects and asks for the `Init` and the server's thread map, as every client does.
    pub fn new(path: &Path) -> io::Result<Self> {
        let mut this = Self::connect(path)?;
        let init = this.next();
        this.send(&bootstrap(init))?;
        let construct = this.next();
        let params = Struct(vec![], vec![Capability(0)]);
        let method = (init::Client::TYPE_ID, 0);
        // The bootstrap's answer is the object itself.
        let Answer::Object(init) = this.answer(init)? else {
            return Err(io::Error::other("the server offers no object"));
        };
        this.send(&call(
            construct,
            Target::Import(init),
            method,
            params,
            &[(1, 0)],
        ))?;
        let Answer::Object(map) = this.answer(construct)? else {
            return Err(io::Error::other("the server gives no thread map"));
        };
        (this.init, this.thread_map) = (init, map);
        Ok(this)
    }

    /// Connects, and makes a thread and an `Echo`. Returns both.
    pub fn with_echo(path: &Path) -> io::Result<(Self, u32, u32)> {
        let mut this = Self::new(path)?;
        let map = Target::Import(this.thread_map);
        let thread = this.ask(|question| make_thread(question, map))?;
        let Answer::Object(thread) = thread else {
            return Err(io::Error::other(format!("no thread: {thread:?}")));
        };
        let init = Target::Import(this.init);
        let echo = this.ask(|question| make_echo(question, init, thread))?;
        let Answer::Object(echo) = echo else {
            return Err(io::Error::other(format!("no echo: {echo:?}")));
        };
        Ok((this, thread, echo))
    }

    /// Returns a number for a question.
    pub fn next(&mut self) -> u32 {
        self.question += 1;
        self.question
    }

    /// Returns another handle to its stream for sending.
    pub fn sender(&self) -> io::Result<UnixStream> {
        self.stream.try_clone()
    }

    pub fn send(&mut self, frames: &[u8]) -> io::Result<()> {
        self.stream.write_all(frames)
    }

    /// Sends a call and reads its answer.
    pub fn ask(&mut self, frame: impl FnOnce(u32) -> Vec<u8>) -> io::Result<Answer> {
        let question = self.next();
        self.send(&frame(question))?;
        self.answer(question)
    }

    /// Sends many calls at once and reads their answers.
    pub fn ask_all(
        &mut self,
        count: usize,
        frame: impl Fn(u32) -> Vec<u8>,
    ) -> io::Result<Vec<Answer>> {
        let questions: Vec<_> = (0..count).map(|_| self.next()).collect();
        let frames: Vec<u8> = questions
            .iter()
            .flat_map(|&question| frame(question))
            .collect();
        self.send(&frames)?;
        // They come in any order.
        let mut answers = HashMap::new();
        while answers.len() < questions.len() {
            let (question, answer) = self.next_answer()?;
            answers.insert(question, answer);
        }
        let answer = |question| {
            answers
                .remove(question)
                .ok_or(io::ErrorKind::InvalidData.into())
        };
        questions.iter().map(answer).collect()
    }

    /// Reads everything until the server has ended the connection.
    pub fn read_to_end(&mut self) {
        let _ = io::copy(&mut self.reader, &mut io::sink());
    }

    /// Reads the next message of the server.
    pub fn read(&mut self) -> io::Result<capnp::message::Reader<OwnedSegments>> {
        let mut options = ReaderOptions::new();
        options.traversal_limit_in_words(None);
        read_message(&mut self.reader, options).map_err(io::Error::other)
    }

    /// Reads until a Return comes. Returns its question and answer, and sends Finish for it.
    pub fn next_answer(&mut self) -> io::Result<(u32, Answer)> {
        loop {
            let message = self.read()?;
            let answer = returned(&message).map_err(io::Error::other)?;
            if let Some((question, answer)) = answer {
                self.send(&finish(question))?;
                return Ok((question, answer));
            }
        }
    }

    /// Reads until this question is answered.
    fn answer(&mut self, question: u32) -> io::Result<Answer> {
        loop {
            let (answered, answer) = self.next_answer()?;
            if answered == question {
                return Ok(answer);
            }
        }
    }
}

/// Returns the question and the answer of a Return; `None` for another message.
fn returned(
    message: &capnp::message::Reader<OwnedSegments>,
) -> capnp::Result<Option<(u32, Answer)>> {
    let message::Return(answer) = message.get_root::<message::Reader<'_>>()?.which()? else {
        return Ok(None);
    };
    let answer = answer?;
    let what = match answer.which()? {
        return_::Results(results) => results_of(results?)?,
        return_::Exception(exception) => Answer::Exception(exception?.get_reason()?.to_string()?),
        _ => Answer::Other,
    };
    Ok(Some((answer.get_answer_id(), what)))
}

fn results_of(results: payload::Reader<'_>) -> capnp::Result<Answer> {
    if let Some(cap) = results.get_cap_table()?.iter().next() {
        return Ok(match cap.which()? {
            cap_descriptor::SenderHosted(export) | cap_descriptor::SenderPromise(export) => {
                Answer::Object(export)
            }
            _ => Answer::Other,
        });
    }
    let content = results.get_content();
    if content.is_null() {
        return Ok(Answer::Other);
    }
    let results = content.get_as::<echo::echo_results::Reader<'_>>()?;
    Ok(Answer::Text(results.get_result()?.to_string()?))
}
