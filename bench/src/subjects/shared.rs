//! What several subjects use together: children, started when the first one asks for them and
//! ended at the end.

use std::cell::{OnceCell, RefCell};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use bitcoin_ipc::interfaces::echo::Echo;
use bitcoin_ipc::interfaces::init::Init;
use bitcoin_ipc::roles::Role;
use bitcoin_ipc::{Ipc, Spawned};
use eyre::{Result, WrapErr, eyre};

use super::connections::{Crowd, Listening};
use super::echo::{self, Server};
use super::objects::Benching;
use super::processes;
use crate::children::finish;

/// What is shared.
pub struct Shared {
    /// The benchmark's side of Core's interfaces.
    pub ipc: Rc<Ipc<dyn Init>>,
    folder: tempfile::TempDir,
    /// Programs as an installation has them.
    installed: tempfile::TempDir,
    echoes: RefCell<Vec<Rc<Echoing>>>,
    benching: Lazy<Benching>,
    listening: Lazy<Listening>,
    crowd: Lazy<Crowd>,
    executable: OnceCell<Option<PathBuf>>,
}

/// A child that serves Core's `Init`.
struct Echoing {
    server: Server,
    spawned: Spawned<dyn Init>,
    echo: Arc<dyn Echo>,
}

/// Something that is made when it is asked for first.
struct Lazy<T>(RefCell<Option<Rc<T>>>);

impl<T> Lazy<T> {
    fn get(&self, make: impl FnOnce() -> Result<T>) -> Result<Rc<T>> {
        if let Some(made) = &*self.0.borrow() {
            return Ok(made.clone());
        }
        let made = Rc::new(make()?);
        *self.0.borrow_mut() = Some(made.clone());
        Ok(made)
    }
}

impl<T> Default for Lazy<T> {
    fn default() -> Self {
        Self(RefCell::new(None))
    }
}

impl Shared {
    /// Nothing is started yet.
    pub fn new() -> Result<Self> {
        Ok(Self {
            ipc: Rc::new(Ipc::new("bench", Role::Gui.init())?),
            folder: tempfile::tempdir().wrap_err("make a temporary folder")?,
            // Where they were built, since the system's folder for such may be in memory.
            installed: tempfile::tempdir_in(processes::own_folder()?)
                .wrap_err("make a temporary folder")?,
            echoes: RefCell::default(),
            benching: Lazy::default(),
            listening: Lazy::default(),
            crowd: Lazy::default(),
            executable: OnceCell::new(),
        })
    }

    /// A folder for sockets.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn echoing(&self, server: &Server) -> Result<Rc<Echoing>> {
        let find = |echoing: &&Rc<Echoing>| echoing.server == *server;
        if let Some(found) = self.echoes.borrow().iter().find(find) {
            return Ok(found.clone());
        }
        let spawned = self.ipc.spawn(server.program()?)?;
        let made = Rc::new(Echoing {
            server: server.clone(),
            echo: echo::make(&*spawned.init)?,
            spawned,
        });
        self.echoes.borrow_mut().push(made.clone());
        Ok(made)
    }

    /// The `Init` of a child.
    pub fn init(&self, server: &Server) -> Result<Arc<dyn Init>> {
        Ok(self.echoing(server)?.spawned.init.clone())
    }

    /// An `Echo` of that child's.
    pub fn echo(&self, server: &Server) -> Result<Arc<dyn Echo>> {
        Ok(self.echoing(server)?.echo.clone())
    }

    /// A child with the benchmark's own interfaces.
    pub fn benching(&self) -> Result<Rc<Benching>> {
        self.benching.get(Benching::start)
    }

    /// A child that listens.
    pub fn listening(&self) -> Result<Rc<Listening>> {
        let path = self.folder().join("listening.sock");
        self.listening.get(|| Listening::start(&path))
    }

    /// A child that listens and has many idle connections.
    pub fn crowd(&self) -> Result<Rc<Crowd>> {
        self.crowd.get(|| Crowd::start(self))
    }

    /// The executable `bitcoin-ipc`, where it can be had.
    pub fn executable(&self) -> Result<Option<&Path>> {
        if self.executable.get().is_none() {
            // Nobody else sets it.
            let built = processes::build_executable()?;
            let installed = built.map(|built| self.install(&built)).transpose()?;
            let _ = self.executable.set(installed);
        }
        Ok(self.executable.get().and_then(|found| found.as_deref()))
    }

    /// A copy of a program, as installing makes one. What a linker has just written lies in the
    /// system's memory in small pieces, which takes longer to map than what is written at once, or
    /// read from the disk.
    pub fn install(&self, program: &Path) -> Result<PathBuf> {
        let name = program.file_name().ok_or_else(|| eyre!("not a program"))?;
        let copy = self.installed.path().join(name);
        let write = || {
            fs::write(&copy, fs::read(program)?)?;
            fs::set_permissions(&copy, fs::metadata(program)?.permissions())
        };
        write().wrap_err_with(|| format!("copy {}", program.display()))?;
        Ok(copy)
    }

    /// Ends every child. Subjects that use one must be gone.
    pub fn end(self) -> Result<()> {
        let mut ended = Ok(());
        for echoing in self
            .echoes
            .into_inner()
            .into_iter()
            .filter_map(Rc::into_inner)
        {
            drop(echoing.echo);
            let finished = finish(echoing.spawned);
            ended = ended.and(finished.wrap_err_with(|| echoing.server.name("the child")));
        }
        if let Some(benching) = self.benching.0.into_inner().and_then(Rc::into_inner) {
            ended = ended.and(benching.end());
        }
        ended
    }
}
