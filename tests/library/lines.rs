//! A protocol that is not the library's, as a program would bring it: a line of text is a call, and a
//! line its answer. It knows streams and acceptors, and so runs over every channel.

use std::io::{ErrorKind, IoSlice};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bitcoin_ipc::protocol::{Listening, Protocol};
use bitcoin_ipc::transport::{Acceptor, Stream};
use bitcoin_ipc::{Address, Error, Ipc, Program, Result};

use crate::channels::channels;
use crate::support::{eventually, timed};

/// The bootstrap interface of both processes.
trait Echo: Send + Sync {
    fn echo(&self, line: &str) -> Result<String>;
}

/// A stream of lines, in blocking mode.
struct Lines {
    stream: Arc<dyn Stream>,
    /// The beginning of the next line.
    rest: Mutex<Vec<u8>>,
}

impl Lines {
    fn new(stream: Box<dyn Stream>) -> Result<Self> {
        let failed = |error| Error::io("prepare the stream", error);
        stream.set_nonblocking(false).map_err(failed)?;
        Ok(Self {
            stream: stream.into(),
            rest: Mutex::default(),
        })
    }

    fn write(&self, line: &str) -> Result<()> {
        let text = format!("{line}\n");
        let mut left = text.as_bytes();
        let failed = |error| Error::io("write a line", error);
        while !left.is_empty() {
            let count = self.stream.send(&[IoSlice::new(left)]).map_err(failed)?;
            left = &left[count..];
        }
        self.stream.flush().map_err(failed)
    }

    /// Returns the next line, if the peer has not ended.
    fn read(&self) -> Result<Option<String>> {
        let mut rest = self.rest.lock().unwrap();
        loop {
            if let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).take(end).collect();
                let line = String::from_utf8(line);
                return line.map(Some).map_err(|_| Error::failed("no text"));
            }
            rest.reserve(100);
            match self.stream.receive(&mut rest) {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("read a line", error)),
            }
        }
    }
}

/// The peer's object.
struct Client {
    lines: Lines,
    /// Held by the thread whose call is under way.
    calling: Mutex<()>,
}

impl Echo for Client {
    fn echo(&self, line: &str) -> Result<String> {
        let _calling = self.calling.lock().unwrap();
        self.lines.write(line)?;
        let answer = self.lines.read()?;
        answer.ok_or_else(|| Error::Disconnected("the peer has gone".into()))
    }
}

/// The streams that are served.
type Served = Arc<Mutex<Vec<Arc<dyn Stream>>>>;

#[derive(Default)]
struct LineProtocol {
    served: Served,
}

/// Answers one peer's lines until it has gone.
fn answer(served: &Served, lines: &Lines, init: &dyn Echo) -> Result<()> {
    let stream = &lines.stream;
    served.lock().unwrap().push(stream.clone());
    let answered = loop {
        match lines.read() {
            Ok(Some(line)) => {
                if let Err(error) = lines.write(&init.echo(&line)?) {
                    break Err(error);
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    let mut served = served.lock().unwrap();
    served.retain(|other| !Arc::ptr_eq(other, stream));
    answered
}

impl Protocol<dyn Echo> for LineProtocol {
    fn connect(&self, stream: Box<dyn Stream>) -> Result<Arc<dyn Echo>> {
        Ok(Arc::new(Client {
            lines: Lines::new(stream)?,
            calling: Mutex::default(),
        }))
    }

    fn serve(&self, stream: Box<dyn Stream>, init: Arc<dyn Echo>) -> Result<()> {
        answer(&self.served, &Lines::new(stream)?, &*init)
    }

    fn listen(&self, acceptor: Box<dyn Acceptor>, init: Arc<dyn Echo>) -> Result<Listening> {
        let failed = |error| Error::io("prepare the listener", error);
        acceptor.set_nonblocking(true).map_err(failed)?;
        let stopped = Arc::new(AtomicBool::new(false));
        let (served, stop) = (self.served.clone(), stopped.clone());
        let accepting = thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                let Ok(stream) = acceptor.accept() else {
                    thread::sleep(Duration::from_millis(1));
                    continue;
                };
                let (served, init) = (served.clone(), init.clone());
                thread::spawn(move || answer(&served, &Lines::new(stream)?, &*init));
            }
        });
        Ok(Listening::new(move || {
            stopped.store(true, Ordering::SeqCst);
            accepting.join().unwrap();
        }))
    }

    fn disconnect_incoming(&self) {
        for stream in &*self.served.lock().unwrap() {
            let _ = stream.shut_down();
        }
    }

    fn incoming(&self) -> usize {
        self.served.lock().unwrap().len()
    }
}

/// The object of each process.
struct Here(&'static str);

impl Echo for Here {
    fn echo(&self, line: &str) -> Result<String> {
        Ok(format!("{line}, says the {}", self.0))
    }
}

fn ipc(name: &'static str) -> Ipc<dyn Echo> {
    Ipc::with_protocol(Box::<LineProtocol>::default(), Arc::new(Here(name)))
}

/// A child that `child.sh` starts. In the run of all tests it is none, and has nothing to do.
#[test]
fn a_child_serves_its_parent() {
    if let Some(fd) = std::env::var_os("IPCFD") {
        let args = ["child".into(), "-ipcfd".into(), fd];
        let status = ipc("child").start_spawned(&args, || ()).unwrap();
        assert_eq!(status, Some(0));
    }
}

#[test]
fn another_protocol_spawns_a_child() {
    timed(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/library/child.sh");
        let program = Program::new(script).env("CHILD", std::env::current_exe().unwrap());
        let spawned = ipc("parent").spawn(program).unwrap();
        assert_eq!(spawned.init.echo("hi").unwrap(), "hi, says the child");
        assert!(spawned.finish().unwrap().success());
    });
}

#[test]
fn another_protocol_listens_at_addresses_and_connects_to_them() {
    timed(|| {
        let directory = tempfile::tempdir().unwrap();
        let address = Address::Unix(Some(directory.path().join("s")));
        let (server, clients) = (ipc("server"), ipc("client"));
        let listener = server.listen(&address).unwrap();
        let path = listener.path().unwrap().to_owned();
        assert!(path.exists());
        let echo = clients.connect(&address).unwrap().unwrap();
        assert_eq!(echo.echo("hi").unwrap(), "hi, says the server");
        drop(listener);
        assert!(!path.exists());
        assert_eq!(echo.echo("still").unwrap(), "still, says the server");
    });
}

#[test]
fn another_protocol_runs_over_any_channel() {
    timed(|| {
        for channel in channels() {
            eprintln!("over {}", channel.kind);
            let (server, clients) = (ipc("server"), ipc("client"));
            let _listener = server.listen_on(channel.acceptor).unwrap();
            let connect = || clients.connect_stream((channel.connect)()).unwrap();
            let (one, other) = (connect(), connect());
            let long = "x".repeat(100_000);
            for echo in [&one, &other] {
                let answer = echo.echo(&long).unwrap();
                assert_eq!(answer, format!("{long}, says the server"));
            }
            assert_eq!(server.incoming(), 2);
            drop(other);
            eventually("it is known", || server.incoming() == 1);
            server.disconnect_incoming();
            one.echo("hi").unwrap_err();
            eventually("it is known", || server.incoming() == 0);
        }
    });
}
